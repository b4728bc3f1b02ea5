"""C projects through the protocol: each attack is stopped, with a reason that fits; honest patches pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.verdict import Report, Verdict
from perstack.signals.protocol import Verifier
from tests.attacks.c.ctest_attacks import ATTACKS, CONFIGURATION
from tests.signals.ctest.projects import BUGGY, CMAKE, CTEST, FIXED, HEADER, make
from tests.signals.project import Project, codes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
REPORT = VerifySpec(suspicious="report")
ALLOWED = replace(REPORT, allow=("CMakeLists.txt",))


@dataclass
class Judge:
    """One repository whose base is measured once for all patches."""

    project: Project
    verifier: Verifier

    async def judge(self, changes: Mapping[str, str | None], verify: VerifySpec = REPORT) -> Report:
        request = await self.project.request(self.project.patch(changes), CTEST)
        return await self.verifier.verify(replace(request, verify=verify))


@pytest.fixture(scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder: Path = tmp_path_factory.mktemp("c")
    project = make(folder)
    return Judge(project, project.verifier())


@pytest.mark.parametrize("name", ATTACKS)
async def test_product_code_cannot_make_a_red_run_green(name: str, judge: Judge) -> None:
    changes, wanted = ATTACKS[name]
    report = await judge.judge(changes)
    assert report.verdict is not Verdict.PASS
    assert codes(report) & wanted, report.reasons


@pytest.mark.parametrize("name", CONFIGURATION)
async def test_an_allowed_change_of_the_build_cannot_change_what_tests_mean(name: str, judge: Judge) -> None:
    text, wanted = CONFIGURATION[name]
    report = await judge.judge({"CMakeLists.txt": text, "src/stats.c": f"/* */\n{BUGGY}"}, ALLOWED)
    assert report.verdict is not Verdict.PASS
    assert codes(report) & wanted, report.reasons


async def test_a_change_of_the_build_has_to_be_allowed(judge: Judge) -> None:
    report = await judge.judge({"CMakeLists.txt": f"{CMAKE}# more\n", "src/stats.c": FIXED})
    assert codes(report) == {"protected-path"}


async def test_a_fix_with_a_new_source_file_passes_where_the_build_may_be_changed(judge: Judge) -> None:
    body = FIXED.replace('#include "stats.h"\n', '#include "stats.h"\n\nint half(int count);\n').replace(
        "count / 2", "half(count)"
    )
    changes = {
        "CMakeLists.txt": CMAKE.replace("src/stats.c)", "src/stats.c src/half.c)"),
        "src/half.c": "int half(int count);\nint half(int count) { return count / 2; }\n",
        "src/stats.c": body,
    }
    report = await judge.judge(changes, ALLOWED)
    assert report.verdict is Verdict.PASS, report.reasons


async def test_a_fix_beside_changes_of_the_header_passes(judge: Judge) -> None:
    header = HEADER.replace("double mean(", "/* The arithmetic mean. */\ndouble mean(")
    report = await judge.judge({"src/stats.c": FIXED, "src/stats.h": header}, VerifySpec())
    assert report.verdict is Verdict.PASS, report.reasons
