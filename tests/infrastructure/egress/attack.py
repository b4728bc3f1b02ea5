"""Runs inside a sandbox: tries every way out, and writes what came of each as one JSON object.

Argument: a JSON object of lists: `fetch` (URLs, through whatever proxy the environment names), `connect` (targets of
a CONNECT request), `raw` (bytes for the proxy, as Latin-1), `direct` (host and port, without any proxy), `datagrams`
(the same over UDP), `abstract` (names of Unix sockets), `raw_sockets` (family, type and protocol), `resolve`.
"""

import json
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROXY = ("127.0.0.1", 3128)
SECONDS = 20


def first_line(data: bytes) -> str:
    with socket.create_connection(PROXY, timeout=SECONDS) as proxy:
        proxy.sendall(data)
        return proxy.recv(200).split(b"\r\n")[0].decode("latin-1")


def connect(target: str) -> str:
    return first_line(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())


def fetch(url: str) -> str:
    context = ssl.create_default_context(cafile=str(Path(__file__).with_name("authority.pem")))
    try:
        with urllib.request.urlopen(url, timeout=SECONDS, context=context) as answer:
            return f"{answer.status} {answer.read(200).decode()}"
    except urllib.error.HTTPError as error:
        return str(error.code)


def direct(place: list[str | int]) -> str:
    with socket.create_connection((str(place[0]), int(place[1])), timeout=3):
        return "connected"


def datagram(place: list[str | int]) -> str:
    """A question for names over UDP, and its answer."""
    family = socket.AF_INET6 if ":" in str(place[0]) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as plug:
        plug.settimeout(3)
        plug.connect((str(place[0]), int(place[1])))
        plug.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\7allowed\7example\0\0\1\0\1")
        return f"answered {len(plug.recv(500))}"


def abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as plug:
        plug.connect(name)
        return "connected"


def raw_socket(kind: list[int]) -> str:
    with socket.socket(*kind):
        return "opened"


def resolve(name: str) -> str:
    return str(socket.getaddrinfo(name, 443))


def outcome(attempt: Callable[[Any], str], argument: Any) -> str:
    try:
        return attempt(argument)
    except OSError as error:
        return f"failed: {error}"


wanted = json.loads(sys.argv[1])
found = {
    "fetch": {url: outcome(fetch, url) for url in wanted.get("fetch", [])},
    "connect": {target: outcome(connect, target) for target in wanted.get("connect", [])},
    "raw": [outcome(first_line, data.encode("latin-1")) for data in wanted.get("raw", [])],
    "direct": [outcome(direct, place) for place in wanted.get("direct", [])],
    "datagrams": [outcome(datagram, place) for place in wanted.get("datagrams", [])],
    "abstract": [outcome(abstract, name) for name in wanted.get("abstract", [])],
    "raw_sockets": [outcome(raw_socket, kind) for kind in wanted.get("raw_sockets", [])],
    "resolve": [outcome(resolve, name) for name in wanted.get("resolve", [])],
}
for name in [name for name in os.environ if "PROXY" in name.upper()]:
    del os.environ[name]
found["unset"] = {url: outcome(fetch, url) for url in wanted.get("unset", [])}
sys.stdout.write(json.dumps(found) + "\n")
