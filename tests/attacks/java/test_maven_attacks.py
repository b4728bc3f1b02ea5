"""Maven projects through the protocol: each attack is stopped, with a reason that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.verdict import Report, Verdict
from perstack.signals.protocol import Verifier
from tests.attacks.java.maven_attacks import ATTACKS, CONFIGURATION, SOURCE
from tests.signals.maven.projects import BUGGY, MAVEN, make, missing
from tests.signals.project import Project, codes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(missing, reason="Maven or its packages are not on this machine"),
]


@dataclass
class Judge:
    """One repository whose base is measured once for all patches."""

    project: Project
    verifier: Verifier

    async def judge(self, changes: Mapping[str, str | None]) -> Report:
        request = await self.project.request(self.project.patch(changes), MAVEN)
        return await self.verifier.verify(replace(request, verify=VerifySpec(suspicious="report")))


@pytest.fixture(scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder: Path = tmp_path_factory.mktemp("java")
    project = make(folder)
    return Judge(project, project.verifier())


@pytest.mark.parametrize("name", ATTACKS)
async def test_product_code_cannot_make_a_red_run_green(name: str, judge: Judge) -> None:
    changes, wanted = ATTACKS[name]
    report = await judge.judge(changes)
    assert report.verdict is not Verdict.PASS
    assert codes(report) & wanted, report.reasons


@pytest.mark.parametrize("name", CONFIGURATION)
async def test_what_decides_about_tests_is_as_on_the_base(name: str, judge: Judge) -> None:
    report = await judge.judge(CONFIGURATION[name])
    assert report.verdict is Verdict.FAIL
    assert {"protected-path", "empty-patch"} <= codes(report), report.reasons


async def test_a_comment_leaves_the_test_red(judge: Judge) -> None:
    report = await judge.judge({SOURCE: f"// more\n{BUGGY}"})
    assert "still-failing" in codes(report), report.reasons
