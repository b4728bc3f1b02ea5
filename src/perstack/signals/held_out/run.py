"""Asking one tree: its calls are evaluated in a plain process in a fresh sandbox, without tests and runner."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath
from typing import Any
from uuid import uuid4

import anyio.to_thread

from perstack.core.contracts import Sandbox
from perstack.core.sandbox import Mount, Snapshot
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT
from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.plain import Python
from perstack.signals.schedule import Slots
from perstack.signals.suites.python import SHARED_SCRIPTS
from perstack.signals.tree import Tree, copy_tree

_PROBE = Path(__file__).parent / "worker" / "probe.py"
_SCRIPTS = (*SHARED_SCRIPTS, _PROBE, _PROBE.with_name("perstack_encoding.py"))
_CONTROL, _ELSEWHERE = "/perstack/control", "/perstack/home"
# The plain run of a suite has no CI variables, and its files are new.
_ENVIRONMENT = {"PYTHONPATH": "", "PYTHONSTARTUP": "", "PYTHONOPTIMIZE": "", "CI": "true", "GITHUB_ACTIONS": "true"}
_LONG_AGO_S = 1_000_000_000
_LIMIT_S, _NEIGHBOURS_S = 20.0, 0.8


@dataclass(frozen=True, slots=True)
class Asker:
    """Where trees are asked. `is_test` names the files that are not there then."""

    sandbox: Sandbox
    snapshot: Snapshot
    scratch: Path
    slots: Slots
    is_test: Callable[[str], bool]

    async def ask(self, tree: Tree, python: Python, questions: Questions) -> Answers:
        """What a tree answers. A process that does not end as it should has answered nothing.

        Raises: SandboxUnavailable.
        """
        folder = self.scratch / f"held-out-{uuid4().hex}"
        async with self.slots.at(0):
            try:
                return await self._ask(folder, tree, python, questions)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def _ask(self, folder: Path, tree: Tree, python: Python, questions: Questions) -> Answers:
        control, elsewhere, workspace = folder / "control", folder / "home", folder / "workspace"
        control.mkdir(parents=True)
        elsewhere.mkdir()
        elsewhere.chmod(0o777)  # the sandbox's user is another one
        for script in _SCRIPTS:
            shutil.copyfile(script, control / script.name)
        await copy_tree(tree, workspace, leave_out=self.is_test)
        await anyio.to_thread.run_sync(_make_old, workspace)
        nonce, mounts = secrets.token_hex(32), (Mount(control, _CONTROL), Mount(elsewhere, _ELSEWHERE, writable=True))
        async with (
            listening(control, nonce) as channel,
            self.sandbox.open(self.snapshot, workspace, mounts=mounts, limits=self.snapshot.limits) as session,
        ):
            inside, home = session.inside(mounts[0]), session.inside(mounts[1])
            request = {
                "nonce": nonce,
                "socket": join(inside, "s"),
                "workspace": session.workspace,
                "roots": [normpath(join(session.workspace, root)) for root in python.roots],
                "version_files": [[join(session.workspace, path), name] for path, name in python.version_files],
                "seconds": _NEIGHBOURS_S,
                **_asked(questions),
            }
            await session.run(
                # neither of the start flags of the runners: it should look like any other process
                [python.interpreter, "-c", _START.format(home=home, script=join(inside, _PROBE.name))],
                cwd=".",
                env=_ENVIRONMENT,
                stdin=json.dumps(request).encode(),
                timeout_s=_LIMIT_S,
                output_limit=OUTPUT_LIMIT,
            )
            await channel.settle()
        return _answers(channel, questions)


_START = (
    "import os, sys; os.chdir({home!r}); __file__ = {script!r}; sys.path[0] = os.path.dirname(__file__); "
    "exec(compile(open(__file__).read(), __file__, 'exec'))"
)


def _make_old(workspace: Path) -> None:
    for path in workspace.rglob("*.py"):
        os.utime(path, (_LONG_AGO_S, _LONG_AGO_S), follow_symlinks=False)


def _asked(questions: Questions) -> dict[str, Any]:
    groups = [
        {
            "names": [[name, *meaning] for name, meaning in example.names.items()],
            "examples": [{"call": example.call, "expected": example.expected}],
        }
        for example in questions.examples
    ]
    near = [[index, number, n.text] for index, found in questions.neighbours.items() for number, n in found]
    return {"groups": groups, "neighbours": near}


def _answers(channel: Channel, questions: Questions) -> Answers:
    answers = Answers(finished=channel.finish is not None and not channel.problem)
    kinds: dict[str, dict[int, Sequence[Any]]] = {
        "first": answers.first,
        "expected": answers.expected,
        "again": answers.again,
        "later": answers.later,
    }
    for record in channel.records:
        kind, outcome = str(record.get("type")), record.get("outcome")
        group, place = record.get("group"), record.get("number")
        if kind == "unloaded" and isinstance(group, int):
            answers.unloaded.add(group)
        if not isinstance(outcome, list) or not isinstance(group, int) or not isinstance(place, int):
            continue
        if kind == "neighbour":
            answers.neighbour[place] = outcome
        elif kind in kinds and group < len(questions.examples):
            kinds[kind][group] = outcome
    return answers
