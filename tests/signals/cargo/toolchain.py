"""Where Rust is on this machine. Shared by the tests about Rust."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from perstack.core.signals import SignalKind, SignalSpec
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap

CARGO_TEST = SignalSpec("tests", SignalKind.TEST, ("cargo", "test"), framework="cargo", repeat=1, timeout_s=200)


@cache
def rust_folder() -> Path | None:
    """The folder of the real programs: what lies on PATH may be a switch between tool chains."""
    if shutil.which("rustc") is None:
        return None
    done = subprocess.run(["rustc", "--print", "sysroot"], check=False, capture_output=True, text=True)
    folder = Path(done.stdout.strip(), "bin")
    return folder if (folder / "cargo").is_file() else None


def missing() -> str:
    """Why these tests cannot run here; empty where they can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    return "" if rust_folder() else "Rust is not installed"


def rust_sandbox() -> Bubblewrap:
    folder = rust_folder()
    assert folder is not None
    return Bubblewrap((folder,))
