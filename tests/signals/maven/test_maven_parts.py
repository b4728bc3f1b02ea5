"""What is read from commands, reports and the words of Maven."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from perstack.core.signals import SignalKind, SignalSpec, TestCase, TestStatus
from perstack.signals.maven.canary import MavenCanaries, plant_canaries
from perstack.signals.maven.plan import MavenPlan, plan_maven
from perstack.signals.maven.results import judge, read_cases
from tests.signals.project import write

TEST = "src/test/java/demo/ATest.java"


def plan_of(*run: str, cwd: str = ".") -> MavenPlan:
    paths = ("pom.xml", "one/pom.xml", f"one/{TEST}", "two/pom.xml", f"two/{TEST}", f"loose/{TEST}")
    return plan_maven(SignalSpec("tests", SignalKind.TEST, run, cwd=cwd), paths)


def test_what_selects_a_build_is_kept_and_what_skips_tests_is_not() -> None:
    plan = plan_of("mvn", "-q", "-DskipTests", "-Dmaven.test.skip=true", "-Dtest=A", "-P", "ci", "-Dx=1", "verify")
    assert plan.arguments == ("-P", "ci", "-Dx=1")
    assert plan.modules == ("one", "two")
    words = plan.command_line("s", ())
    assert words[0] == "mvn"
    assert words[-1] == "test"
    assert "-o" in words
    assert "-DskipTests=false" in words
    narrowed = plan.narrowed(["demo.ATest$In::a", "demo.ATest::b"])
    assert "-Dtest=demo.ATest,AxTest" in narrowed.command_line("s", ("AxTest",))
    assert plan_of("mvn", "test", cwd="two").modules == ("two",)


@pytest.mark.parametrize("imports", ["org.junit.jupiter.api.Test", "org.junit.Test"])
def test_canaries_are_written_in_the_modules_own_framework(imports: str, tmp_path: Path) -> None:
    write(tmp_path, {TEST: f"package demo;\nimport {imports};\nclass ATest {{}}\n"})
    canaries = plant_canaries(tmp_path, (".",), Random(1))
    texts = [path.read_text() for path in (tmp_path / "src/test/java").glob("*.java")]
    assert len(texts) == 2
    assert all(f"import {imports};" in text and canaries.secret in text for text in texts)
    assert sorted(status.value for status in canaries.expected.values()) == ["failed", "failed", "passed", "passed"]


def test_a_module_of_another_framework_has_no_canaries(tmp_path: Path) -> None:
    write(tmp_path, {TEST: "package demo;\nimport org.testng.annotations.Test;\nclass ATest {}\n"})
    assert not plant_canaries(tmp_path, (".",), Random(1)).expected


CANARIES = MavenCanaries("tok", "word", {"AtokTest::g": TestStatus.PASSED, "AtokTest::r": TestStatus.FAILED})
GOOD = [
    TestCase("AtokTest(s)::g", TestStatus.PASSED),
    TestCase("AtokTest(s)::r", TestStatus.FAILED, message="word"),
    TestCase("demo.ATest(s)::a", TestStatus.PASSED),
]
TOTALS = "[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0\n"


def code_of(cases: list[TestCase], output: str = TOTALS, exit_code: int = 0, foreign: tuple[str, ...] = ()) -> str:
    _, problem = judge(read_cases(cases, "s"), CANARIES, exit_code=exit_code, output=output, foreign=foreign)
    return problem.code.value if problem else ""


def test_only_sources_that_agree_are_believed() -> None:
    assert code_of(GOOD) == ""
    assert code_of(GOOD[1:]) == "canary-failed"
    assert code_of([*GOOD[:2], TestCase("demo.ATest(s)::a", TestStatus.FAILED)]) == "results-disagree"
    assert code_of(GOOD, TOTALS.replace("Failures: 1", "Failures: 2")) == "results-disagree"
    assert code_of(GOOD, "") == "results-disagree"
    assert code_of([GOOD[0], TestCase("AtokTest(s)::r", TestStatus.FAILED, message="other")]) == "canary-failed"
    assert code_of(GOOD, foreign=("target/classes/org/junit",)) == "foreign-module"
    assert code_of([], "[ERROR] The forked VM terminated without saying properly goodbye.", 1) == "report-missing"
    assert code_of([], "[ERROR] COMPILATION ERROR : \n", 1) == "collection-error"


def test_names_are_without_what_was_added_and_the_worst_of_two_counts() -> None:
    twice = [*GOOD, TestCase("demo.ATest(s)::a", TestStatus.SKIPPED)]
    assert read_cases(twice, "s")["demo.ATest::a"].status is TestStatus.SKIPPED
