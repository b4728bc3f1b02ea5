"""Many patches of one project through one verifier, a few at a time. Shared by the languages that compile tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import anyio

from perstack.core.contracts import Sandbox
from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Report
from tests.signals.project import Project


class Patch(Protocol):
    """What a case has to offer."""

    @property
    def name(self) -> str: ...
    @property
    def changes(self) -> Mapping[str, str | None]: ...
    @property
    def blind(self) -> bool: ...


async def verify_all(
    cases: Sequence[Patch], files: Mapping[str, str], spec: SignalSpec, *, sandbox: Sandbox, folder: Path
) -> Mapping[str, Report]:
    """Reports by name. `blind` cases are judged by their runs: the policy on product code only reports."""
    project = Project.make(folder / "shop", files)
    project.sandbox = sandbox
    verifier, limiter = project.verifier(), anyio.CapacityLimiter(3)
    template = await project.request("", spec)
    patches = {case.name: project.patch(case.changes) for case in cases}
    found: dict[str, Report] = {}

    async def one(case: Patch) -> None:
        verify = VerifySpec(suspicious="report" if case.blind else "fail")
        async with limiter:
            found[case.name] = await verifier.verify(replace(template, patch=patches[case.name], verify=verify))

    async with anyio.create_task_group() as group:
        for case in cases:
            group.start_soon(one, case)
    return found
