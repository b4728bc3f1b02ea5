"""Where the worker starts: puts the interpreter into the state `pytest` would have, then hands over."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

MARK = "PERSTACK-SEARCH "


def start(arguments: Sequence[str], home: str) -> int:
    """Carry out the specification in `arguments[0]` (JSON). Tests cannot write to the answer's channel by printing."""
    spec = json.loads(arguments[0])
    spec["home"] = home
    spec["root"] = str(Path(spec["cwd"]).resolve())
    os.chdir(spec["root"])
    sys.dont_write_bytecode = True
    answer = os.dup(1)
    try:
        importlib.import_module("pytest")
    except ImportError:
        problem = "pytest cannot be imported by the Python that runs the signal"
        report = {"command": spec["command"], "home": home, "seconds": 0, "problem": problem}
        os.write(answer, f"{MARK}{json.dumps(report)}\n".encode())
        return 0
    main = importlib.import_module("perstack.providers.search.worker.main")
    sys.path[:] = [p for p in sys.path if os.path.realpath(p or ".") != os.path.realpath(home)]
    if spec["as_module"] and spec["root"] not in sys.path:
        sys.path.insert(0, spec["root"])
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if not (descriptor == 2 and os.environ.get("PERSTACK_SEARCH_DEBUG")):
            os.dup2(quiet, descriptor)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main.run(spec, answer)
    return 0
