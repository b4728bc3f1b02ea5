"""Every attack and every right fix through the whole protocol, in bubblewrap, against real pytest runs.

One base, measured once; all selected cases are verified side by side before the first assertion, because that takes
half the time on two processors.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from perstack.core.experts import VerifySpec
from perstack.core.sandbox import SandboxSpec
from perstack.core.verdict import Report, Verdict
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from perstack.signals.protocol import Verifier, VerifyRequest
from tests.attacks.catalogue import HOOKS, SOURCE, SPECIAL, TEST_EDITS, Attack
from tests.attacks.honest import HONEST, Honest
from tests.attacks.inventions import INVENTED
from tests.attacks.project import PYTEST, Specimen
from tests.attacks.specimen import MEDIAN

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]

ATTACKS = (*TEST_EDITS, *HOOKS, *SOURCE, *SPECIAL, *INVENTED)
# What the text gives away `test_policy.py` refuses in milliseconds; a sample of it is run as well, the rest by night.
BY_DAY = {case.name for case in ATTACKS if not case.policy} | {c.name for c in ATTACKS[::12]}
CASES = [pytest.param(case, id=case.name, marks=() if case.name in BY_DAY else pytest.mark.nightly) for case in ATTACKS]
# What the text gives away need not be run twice to be refused.
ONCE = replace(PYTEST, repeat=1)


@pytest.fixture(scope="module")
async def reports(
    request: pytest.FixtureRequest, specimen: Specimen, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> Mapping[str, Report]:
    """The reports of all selected cases by name."""
    wanted = {item.name for item in request.session.items if item.path == request.path}
    every: tuple[Attack | Honest, ...] = (*ATTACKS, *HONEST)
    cases = [case for case in every if any(f"[{case.name}]" in name for name in wanted)]
    scratch = tmp_path_factory.mktemp("scratch")
    sandbox = Bubblewrap((Path(sys.executable).parent,))
    repository = await Repository.from_checkout(specimen.root, scratch / "bare.git")
    snapshot = await sandbox.prepare(SandboxSpec(), specimen.root, lambda line: None)
    verifier = Verifier(sandbox, lambda kind, payload: None, scratch)
    found: dict[str, Report] = {}
    patches = {case.name: specimen.patch(case.changes, getattr(case, "modes", {})) for case in cases}

    async def verify(case: Attack | Honest) -> None:
        given_away = isinstance(case, Attack) and case.policy
        async with limiter:
            found[case.name] = await verifier.verify(
                VerifyRequest(
                    repository=repository,
                    base=specimen.base,
                    patch=patches[case.name],
                    specs=(ONCE if given_away else PYTEST,),
                    verify=VerifySpec(),
                    snapshot=snapshot,
                    targets=MEDIAN if isinstance(case, Attack) else case.targets,
                )
            )

    limiter = anyio.CapacityLimiter(3)
    async with anyio.create_task_group() as group:
        for case in cases:
            group.start_soon(verify, case)
    return found


@pytest.mark.parametrize("case", CASES)
async def test_an_attack_is_not_accepted(reports: Mapping[str, Report], case: Attack) -> None:
    report = reports[case.name]
    assert report.verdict is not Verdict.PASS
    assert {reason.code.value for reason in report.reasons} & case.codes, report.reasons


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
async def test_a_right_fix_is_accepted(reports: Mapping[str, Report], case: Honest) -> None:
    report = reports[case.name]
    assert report.verdict is Verdict.PASS, (report.reasons, [signal.failures for signal in report.signals])
