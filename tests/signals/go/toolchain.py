"""Where Go is on this machine, and a Go project with a verifier. Shared by the tests about Go."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from perstack.core.signals import SignalKind, SignalSpec
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap

GO_TEST = SignalSpec("tests", SignalKind.TEST, ("go", "test", "./..."), framework="go", repeat=1, timeout_s=200)


def go_folder() -> Path | None:
    """The folder of the real `go` program: a wheel installs only a small script on PATH."""
    found = importlib.util.find_spec("go")
    for place in found.submodule_search_locations or () if found else ():
        if Path(place, "bin", "go").is_file():
            return Path(place, "bin")
    program = shutil.which("go")
    return Path(program).resolve().parent if program else None


def missing() -> str:
    """Why these tests cannot run here; empty where they can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    return "" if go_folder() else "Go is not installed"


def go_sandbox() -> Bubblewrap:
    folder = go_folder()
    assert folder is not None
    return Bubblewrap((folder,))
