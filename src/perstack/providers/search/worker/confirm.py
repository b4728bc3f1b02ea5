"""Run the signal's own command on the edited files on disk. Needs no pytest of its own while the command is green."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def confirm(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the edit holds outside of our forks."""
    for argv, cwd in spec["commands"]:
        try:
            process = subprocess.run(
                argv,
                cwd=str(Path(spec["root"]) / cwd),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=float(spec["seconds"]),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"confirmed": False, "output": str(error)[:500]}
        if process.returncode != 0:
            green = _no_worse(spec)
            tail = process.stdout.decode("utf-8", errors="replace")[-800:]
            return {"confirmed": green, "exit": process.returncode, "output": tail, "finished": green}
    return {"confirmed": True, "exit": 0, "finished": True}


def _no_worse(spec: Mapping[str, Any]) -> bool:
    """The command may stay red for failures that were not asked about; then compare test by test."""
    path = Path(spec["home"]) / "state.json"
    if not path.exists():
        return False
    state = json.loads(path.read_text(encoding="utf-8"))
    locate = importlib.import_module("perstack.providers.search.worker.locate").locate
    tests = locate({**spec, "failing": [], "pytest": state["arguments"], "seconds": 45}).get("tests", {})
    return all(tests.get(i, {}).get("status") == "passed" for i in [*state["targets"], *state["passing"]])


def listing(root: str) -> set[str]:
    """Every file below the root, large foreign folders aside."""
    found: set[str] = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in {".git", ".venv", "node_modules"}]
        found.update(f"{folder}{os.sep}{name}" for name in files)
    return found


def remove_new(root: str, before: set[str]) -> None:
    """What test runs left in the workspace is not part of any edit."""
    for path in listing(root) - before:
        try:
            Path(path).unlink()
            os.removedirs(Path(path).parent)  # as far up as nothing else is in it
        except OSError:
            continue
