"""Asking one tree: its calls are evaluated in a plain process in a fresh sandbox, without tests and runner."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join
from typing import Any
from uuid import uuid4

import anyio.to_thread

from perstack.core.contracts import Sandbox
from perstack.core.sandbox import Mount, Snapshot
from perstack.infrastructure.owned import remove_tree
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT
from perstack.signals.environment import other_session
from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.plain import Program
from perstack.signals.schedule import Slots
from perstack.signals.tree import Tree, copy_tree

_CONTROL, _ELSEWHERE = "/perstack/control", "/perstack/home"
_LONG_AGO_S = 1_000_000_000
_LIMIT_S, _SOURCES = 20.0, ("*.py", "*.[cm]js", "*.js", "*.ts", "*.[cm]ts", "*.tsx")


@dataclass(frozen=True, slots=True)
class Asker:
    """Where trees are asked. `is_test` names the files that are not there then."""

    sandbox: Sandbox
    snapshot: Snapshot
    scratch: Path
    slots: Slots
    is_test: Callable[[str], bool]

    async def ask(self, tree: Tree, program: Program, questions: Questions) -> Answers:
        """What a tree answers. A process that does not end as it should has answered nothing.

        Raises: SandboxUnavailable.
        """
        folder = self.scratch / f"held-out-{uuid4().hex}"
        async with self.slots.at(0):
            try:
                return await self._ask(folder, tree, program, questions)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(remove_tree, folder)

    async def _ask(self, folder: Path, tree: Tree, program: Program, questions: Questions) -> Answers:
        control, elsewhere, workspace = folder / "control", folder / "home", folder / "workspace"
        control.mkdir(parents=True)
        elsewhere.mkdir()
        elsewhere.chmod(0o777)  # the sandbox's user is another one
        for script in program.scripts:
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
                "home": home,
                **program.request(session.workspace, questions),
            }
            await session.run(
                list(program.command(inside)),
                cwd=".",
                env={**other_session(dict(self.snapshot.env)), **program.environment},
                stdin=json.dumps(request).encode(),
                timeout_s=_LIMIT_S,
                output_limit=OUTPUT_LIMIT,
            )
            await channel.settle()
        return _answers(channel, questions)


def _make_old(workspace: Path) -> None:
    for path in (path for pattern in _SOURCES for path in workspace.rglob(pattern) if "node_modules" not in path.parts):
        os.utime(path, (_LONG_AGO_S, _LONG_AGO_S), follow_symlinks=False)


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
