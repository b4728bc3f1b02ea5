"""Programs that evaluate calls of a project in a plain process: how each is started and asked. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath
from types import MappingProxyType
from typing import Any, Final, Protocol

from perstack.signals.held_out.answers import Questions
from perstack.signals.suites.python import SHARED_SCRIPTS

_WORKER = Path(__file__).parent / "worker"
NEIGHBOURS_S: Final = 0.8
# The plain run of a suite has no CI variables, and its files are new.
_CI: Final = MappingProxyType({"CI": "true", "GITHUB_ACTIONS": "true"})


class Program(Protocol):
    """A way to ask a tree. `scripts` are laid beside each other; `request` is what they read, as JSON."""

    @property
    def scripts(self) -> Sequence[Path]: ...

    @property
    def environment(self) -> Mapping[str, str]: ...

    def command(self, inside: str) -> Sequence[str]:
        """The command, where the scripts lie in `inside`."""

    def request(self, workspace: str, questions: Questions) -> dict[str, Any]: ...


_PROBE = _WORKER / "probe.py"
_START = (
    "import os, sys; __file__ = {script!r}; sys.path[0] = os.path.dirname(__file__); "
    "exec(compile(open(__file__).read(), __file__, 'exec'))"
)


@dataclass(frozen=True, slots=True)
class Python:
    """How the project's Python is started and where its packages lie, as its suite's plan has it."""

    interpreter: str
    roots: tuple[str, ...]
    provides: tuple[str, ...]
    version_files: tuple[tuple[str, str], ...]

    @property
    def scripts(self) -> Sequence[Path]:
        return (*SHARED_SCRIPTS, _PROBE, _PROBE.with_name("perstack_encoding.py"))

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": "", "PYTHONSTARTUP": "", "PYTHONOPTIMIZE": "", **_CI}

    def command(self, inside: str) -> Sequence[str]:
        # neither of the start flags of the runners: it should look like any other process
        return [self.interpreter, "-c", _START.format(script=join(inside, _PROBE.name))]

    def request(self, workspace: str, questions: Questions) -> dict[str, Any]:
        groups = [
            {
                "names": [[name, *meaning] for name, meaning in example.names.items()],
                "examples": [{"call": example.call, "expected": example.expected}],
            }
            for example in questions.examples
        ]
        near = [[index, number, n.text] for index, found in questions.neighbours.items() for number, n in found]
        return {
            "workspace": workspace,
            "roots": [normpath(join(workspace, root)) for root in self.roots],
            "version_files": [[join(workspace, path), name] for path, name in self.version_files],
            "seconds": NEIGHBOURS_S,
            "groups": groups,
            "neighbours": near,
        }


_NODE = Path(__file__).parents[1] / "node" / "worker"
_SCRIPT = _WORKER / "probe.mjs"


@dataclass(frozen=True, slots=True)
class Node:
    """How a project for node is asked. `calls` are, by the example's place: module, name and arguments."""

    calls: tuple[tuple[str, str, tuple[object, ...]], ...]

    @property
    def scripts(self) -> Sequence[Path]:
        shared = [_NODE / f"perstack_{name}.cjs" for name in ("main", "wire")]
        return (_SCRIPT, _SCRIPT.with_name("types.mjs"), *shared)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"NODE_OPTIONS": "", "NODE_PATH": "", "NODE_ENV": "production", **_CI}

    def command(self, inside: str) -> Sequence[str]:
        return ["node", "--no-warnings", join(inside, _SCRIPT.name)]

    def request(self, workspace: str, questions: Questions) -> dict[str, Any]:
        near = [
            [index, number, list(n.arguments)] for index, found in questions.neighbours.items() for number, n in found
        ]
        groups = [{"module": module, "name": name, "given": list(given)} for module, name, given in self.calls]
        return {"workspace": workspace, "seconds": NEIGHBOURS_S, "groups": groups, "neighbours": near}
