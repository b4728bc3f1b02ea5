"""Starts a scene in namespaces of its own, and reads what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.egress.scene_addresses import ADDRESSES

ROOT = Path(__file__).parents[3]
_MAKE = """set -e
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
ip link set lo up
shift
for address in $1; do ip addr add "$address" dev lo nodad 2>/dev/null || ip addr add "$address" dev lo; done
shift
exec "$@"
"""


def skip_without_tools() -> None:
    """A skip that says what is missing."""
    if shutil.which("squid", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("no squid: run scripts/sandbox/ensure-egress")
    for tool in ("unshare", "ip", "openssl"):
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            pytest.skip(f"no {tool} here")


def play(back_end: str, folder: Path, snapshot: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Play a scene: what was tried, and what came of it."""
    folder.chmod(0o755)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    given = folder / "given"
    given.mkdir()
    shutil.copy(Path(__file__).with_name("attack.py"), given / "attack.py")
    _certificate(folder)
    shutil.copy(folder / "authority.pem", given / "authority.pem")
    namespaces = ["unshare", "--net", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    scene = [sys.executable, "-m", "tests.infrastructure.egress.scene"]
    arguments = [back_end, str(folder), str(Path(sys.executable).parent), snapshot, json.dumps(wanted)]
    finished = subprocess.run(
        [*namespaces, "sh", "-c", _MAKE, "sh", str(folder), " ".join(ADDRESSES), *scene, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def _certificate(folder: Path) -> None:
    names = ",".join(f"DNS:{name}" for name in ("allowed.example", "*.wild.example", "six.example", "other.example"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName={names}",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "authority.pem")],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
