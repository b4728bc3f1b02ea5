"""Where the worker starts: puts the interpreter into the state `pytest` would have, then hands over."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perstack.providers.search.worker.confirm import listing, remove_new

MARK = "PERSTACK-SEARCH "


_COMMANDS = {"locate": ("main", "find"), "try": ("main", "attempt"), "confirm": ("confirm", "confirm")}


def start(arguments: Sequence[str], home: str) -> int:
    """Carry out the specification in `arguments[0]` (JSON). Tests cannot write to the answer's channel by printing."""
    spec = json.loads(arguments[0])
    spec["home"] = home
    spec["root"] = str(Path(spec["cwd"]).resolve())
    os.chdir(spec["root"])
    sys.dont_write_bytecode = True
    answer = os.dup(1)
    began = time.monotonic()
    before = listing(spec["root"])
    result = _carry_out(spec)
    remove_new(spec["root"], before)
    result.update(command=spec["command"], home=home, seconds=round(time.monotonic() - began, 2))
    if result.get("finished"):
        shutil.rmtree(home, ignore_errors=True)
    os.write(answer, f"{MARK}{json.dumps(result)}\n".encode())
    return 0


def _carry_out(spec: dict[str, Any]) -> dict[str, Any]:
    module, function = _COMMANDS[spec["command"]]
    try:
        worker = importlib.import_module(f"perstack.providers.search.worker.{module}")
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        return {"problem": "pytest cannot be imported by the Python that runs the signal", "finished": True}
    home = os.path.realpath(spec["home"])
    sys.path[:] = [p for p in sys.path if os.path.realpath(p or ".") != home]
    sys.path.append(home)  # last, where nothing of the repository can be shadowed by it
    if spec["as_module"] and spec["root"] not in sys.path:
        sys.path.insert(0, spec["root"])
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if not (descriptor == 2 and os.environ.get("PERSTACK_SEARCH_DEBUG")):
            os.dup2(quiet, descriptor)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    result: dict[str, Any] = getattr(worker, function)(spec)
    return result
