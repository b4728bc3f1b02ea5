"""Attacks on Rust suites through the whole protocol, in bubblewrap, and right fixes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from perstack.core.verdict import Report, Verdict
from tests.attacks.compiled import verify_all
from tests.attacks.go.cases import Case
from tests.attacks.project import Specimen
from tests.attacks.rust.cases import HONEST, RUNS, TEXTS
from tests.attacks.rust.shop import FILES
from tests.signals.cargo.toolchain import CARGO_TEST, missing, rust_sandbox
from tests.signals.project import codes

needs_rust = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@pytest.fixture(scope="module")
async def reports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> Mapping[str, Report]:
    wanted = {item.name for item in request.session.items if item.path == request.path}
    cases = [case for case in (*RUNS, *HONEST) if any(f"[{case.name}]" in name for name in wanted)]
    spec = replace(CARGO_TEST, timeout_s=30)
    return await verify_all(cases, FILES, spec, sandbox=rust_sandbox(), folder=tmp_path_factory.mktemp("rust"))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return Specimen.make(tmp_path_factory.mktemp("specimen") / "shop", FILES)


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.name)
def test_the_text_of_an_attack_gives_it_away(specimen: Specimen, case: Case) -> None:
    found = {finding.code.value for finding in specimen.policy(specimen.patch(case.changes)) if finding.blocks}
    assert found & case.codes, found


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_the_text_of_a_right_fix_is_accepted(specimen: Specimen, case: Case) -> None:
    assert not [finding for finding in specimen.policy(specimen.patch(case.changes)) if finding.blocks]


@needs_rust
@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.name)
async def test_the_runs_alone_stop_an_attack(reports: Mapping[str, Report], case: Case) -> None:
    report = reports[case.name]
    assert report.verdict is not Verdict.PASS
    assert codes(report) & case.codes, report.reasons


@needs_rust
@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
async def test_a_right_fix_is_accepted(reports: Mapping[str, Report], case: Case) -> None:
    report = reports[case.name]
    assert report.verdict is Verdict.PASS, (report.reasons, report.signals)
