"""What an adversary found, and how it is stopped: by the text of the patch, and some also by the run alone."""

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
from tests.attacks.adversary import ADVERSARY, CLOSE
from tests.attacks.catalogue import Attack, Changes
from tests.attacks.honest import Honest
from tests.attacks.project import PYTEST, Specimen
from tests.attacks.shop import RED, files

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# the run must stop these although the text is let through
BY_RUN = {"meta-path-session": "results-disagree", "main-forge": "still-failing"}


@pytest.fixture(scope="session", params=["", "src/"], ids=["flat", "src"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return Specimen.make(tmp_path_factory.mktemp("shop") / "shop", files(request.param))


def placed(specimen: Specimen, changes: Changes) -> Changes:
    """The changes in the specimen's layout."""
    source = "" if "shop/bills.py" in specimen.files else "src/"
    return {source + path: text for path, text in changes.items()}


@pytest.mark.parametrize("case", ADVERSARY, ids=lambda case: case.name)
def test_the_text_gives_the_adversary_away(shop: Specimen, case: Attack) -> None:
    findings = shop.policy(shop.patch(placed(shop, case.changes)))
    assert {finding.code.value for finding in findings if finding.blocks} & case.codes, findings


@pytest.mark.parametrize("case", CLOSE, ids=lambda case: case.name)
def test_a_close_right_fix_is_not_accused(shop: Specimen, case: Honest) -> None:
    findings = shop.policy(shop.patch(placed(shop, case.changes)))
    assert not [finding for finding in findings if finding.blocks]


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> Mapping[str, Report]:
    """Reports by name: close fixes as configured by default, attacks with the text's findings only shown."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    folder = tmp_path_factory.mktemp("scratch")
    specimen = Specimen.make(folder / "shop", files("src/"))
    sandbox = Bubblewrap((Path(sys.executable).parent,))
    repository = await Repository.from_checkout(specimen.root, folder / "bare.git")
    snapshot = await sandbox.prepare(SandboxSpec(), specimen.root, lambda line: None)
    verifier = Verifier(sandbox, lambda kind, payload: None, folder)
    found: dict[str, Report] = {}
    limiter = anyio.CapacityLimiter(2)
    cases: list[tuple[str, Changes, VerifySpec]] = [
        *((case.name, case.changes, VerifySpec()) for case in CLOSE),
        *((case.name, case.changes, VerifySpec(suspicious="report")) for case in ADVERSARY if case.name in BY_RUN),
    ]
    patches = {name: specimen.patch(placed(specimen, changes)) for name, changes, _ in cases}

    async def verify(name: str, spec: VerifySpec) -> None:
        async with limiter:
            found[name] = await verifier.verify(
                VerifyRequest(
                    repository=repository,
                    base=specimen.base,
                    patch=patches[name],
                    specs=(replace(PYTEST, repeat=1),),
                    verify=spec,
                    snapshot=snapshot,
                    targets=RED,
                )
            )

    async with anyio.create_task_group() as group:
        for name, _, spec in cases:
            group.start_soon(verify, name, spec)
    return found


@pytest.mark.parametrize("name", BY_RUN)
async def test_the_run_alone_stops_who_replaces_what_is_run(reports: Mapping[str, Report], name: str) -> None:
    report = reports[name]
    assert report.verdict is Verdict.FAIL
    assert BY_RUN[name] in {reason.code.value for reason in report.reasons}, report.reasons


@pytest.mark.parametrize("case", CLOSE, ids=lambda case: case.name)
async def test_a_close_right_fix_is_accepted(reports: Mapping[str, Report], case: Honest) -> None:
    assert reports[case.name].verdict is Verdict.PASS, reports[case.name].reasons
