"""Which paths are the repository's, and installed packages without those. Lies beside the runners in the sandbox.

Nothing of the repository can be imported after `set_up_site`; what the runner has loaded by then is the toolchain's.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH100, PTH118, PTH120, PTH123

from __future__ import annotations

import importlib.util
import os
import site
import sys
import tempfile
import types
from typing import Any


def inside(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, links resolved."""
    real = os.path.realpath(path)
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


class Places:
    """What belongs to the tree under test: the workspace, without a virtual environment that was set up in it."""

    def __init__(self, workspace: str) -> None:
        self.workspace = os.path.realpath(workspace)

    def owns(self, path: str) -> bool:
        """Whether a path is the repository's."""
        prefix = os.path.realpath(sys.prefix)
        is_tools = prefix != self.workspace and inside(prefix, self.workspace) and inside(path, prefix)
        return inside(path, self.workspace) and not is_tools


def set_up_site(places: Places) -> tuple[list[str], list[Any]]:
    """Make installed packages importable, without `sitecustomize`; what points into the workspace is taken out.

    Returns what was taken out: paths of the workspace and import hooks of editable installs.
    """
    finders = list(sys.meta_path)
    vars(site).update(execsitecustomize=lambda: None, execusercustomize=lambda: None)
    site.main()
    here = os.path.dirname(os.path.abspath(__file__))
    entries = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    sys.path[:] = [entry for entry in entries if not places.owns(entry)]
    hooks = [finder for finder in sys.meta_path if finder not in finders]
    sys.meta_path[:] = finders
    return [entry for entry in entries if places.owns(entry)], hooks


def stand_aside(tool: str) -> types.ModuleType:
    """Put what `python -m TOOL` would be in the place of this program; returns this program, to be kept alive."""
    program, stand_in = sys.modules["__main__"], types.ModuleType("__main__")
    spec = importlib.util.find_spec(tool + ".__main__")
    stand_in.__spec__, stand_in.__file__ = spec, spec.origin if spec else None
    sys.modules["__main__"] = stand_in
    return program


def write_canaries(canaries: list[dict[str, str]]) -> str:
    """Write the canary files into a new directory outside the workspace."""
    folder = os.path.realpath(tempfile.mkdtemp())
    for canary in canaries:
        with open(os.path.join(folder, canary["file"]), "w", encoding="utf-8") as file:
            file.write(canary["text"])
    return folder
