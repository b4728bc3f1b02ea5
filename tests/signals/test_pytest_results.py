"""Canaries and cross-checks: what makes a finished run unreadable."""

from __future__ import annotations

from random import Random

import pytest

from perstack.core.json import JsonObject
from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.pytest.canary import Canaries, check_canaries, make_canaries
from perstack.signals.pytest.results import Expectations, Results, check_xml, merge, read_results, xml_name

CANARIES = make_canaries(Random(7))
FINISH: JsonObject = {"type": "finish", "exit": 1, "replaced": [], "own": [], "outside": {}}


def case(identity: str, outcome: str = "passed", when: str = "call", message: str = "") -> JsonObject:
    return {"type": "case", "id": identity, "outcome": outcome, "when": when, "message": message, "seconds": 0.1}


def canary_records(file: str, canaries: Canaries = CANARIES) -> list[JsonObject]:
    chosen = canaries.first if file == "first" else canaries.last
    return [case(f"::{n}", s.value, message=canaries.secret if s.value == "failed" else "")
            for n, s in chosen.expected.items()]  # fmt: skip


def read(*own: JsonObject, finish: JsonObject = FINISH, exit_code: int = 1) -> Results:
    records = [*canary_records("first"), *own, *canary_records("last")]
    return read_results(records, finish, exit_code, Expectations(CANARIES, {"app": "src/app/__init__.py"}))


def problem_of(results: Results) -> ReasonCode | None:
    return results.problem.code if results.problem else None


def test_an_honest_run_gives_the_repositorys_tests_only() -> None:
    results = read(case("t.py::a"), case("t.py::b", "failed"))
    assert problem_of(results) is None
    assert {i: c.status.value for i, c in results.tests.items()} == {"t.py::a": "passed", "t.py::b": "failed"}


def test_several_outcomes_of_one_test_become_the_worst() -> None:
    results = read(case("t.py::a"), case("t.py::a", "error", "teardown"), case("t.py::b", "rerun"))
    assert results.tests["t.py::a"].status is TestStatus.ERROR
    assert results.tests["t.py::b"].status is TestStatus.ERROR, "an outcome nobody knows is not a pass"


@pytest.mark.parametrize(
    ("finish", "exit_code", "code"),
    [
        ({}, 0, ReasonCode.RESULTS_DISAGREE),
        ({"exit": 0}, 0, ReasonCode.CANARY_FAILED),
        ({"exit": 2}, 2, ReasonCode.REPORT_MISSING),
        ({"exit": 3}, 3, ReasonCode.SIGNAL_ERROR),
        ({"own": ["pluggy"]}, 1, ReasonCode.FOREIGN_MODULE),
        ({"outside": {"app": "/usr/lib/app/__init__.py"}}, 1, ReasonCode.FOREIGN_MODULE),
        ({"outside": {"yaml": "/usr/lib/yaml/__init__.py"}}, 1, None),
    ],
)
def test_exit_code_and_origin_of_modules_must_be_right(
    finish: JsonObject, exit_code: int, code: ReasonCode | None
) -> None:
    assert problem_of(read(case("t.py::a"), finish={**FINISH, **finish}, exit_code=exit_code)) is code


def test_a_run_without_own_tests_has_no_tests() -> None:
    assert problem_of(read()) is ReasonCode.NO_TESTS


def test_a_test_that_raised_and_was_reported_as_passed_spoils_the_run() -> None:
    assert problem_of(read({"type": "hidden", "id": "t.py::a"}, case("t.py::a"))) is ReasonCode.RESULTS_DISAGREE


def outcomes() -> list[tuple[str, TestStatus, str]]:
    first, last = ([(f"::{n}", s, CANARIES.secret) for n, s in f.expected.items()] for f in CANARIES.files)
    return [*first, ("t.py::a", TestStatus.PASSED, ""), *last]


def test_canaries_in_their_places_are_right() -> None:
    assert check_canaries(CANARIES, outcomes()) == ""


@pytest.mark.parametrize("index", [0, 1, 3, 4])
@pytest.mark.parametrize("status", [TestStatus.SKIPPED, TestStatus.XFAILED, TestStatus.ERROR, None])
def test_a_canary_that_is_anything_else_or_missing_is_found(index: int, status: TestStatus | None) -> None:
    found = outcomes()
    identity, _, message = found[index]
    found[index : index + 1] = [] if status is None else [(identity, status, message)]
    assert "must be" in check_canaries(CANARIES, found)


def test_red_and_green_canaries_cannot_change_places_or_fail_for_another_reason() -> None:
    for index, (identity, status, _) in enumerate(outcomes()):
        if status is TestStatus.FAILED:
            green, foreign = outcomes(), outcomes()
            green[index] = (identity, TestStatus.PASSED, "")
            foreign[index] = (identity, TestStatus.FAILED, "TypeError")
            assert check_canaries(CANARIES, green)
            assert "own assertion" in check_canaries(CANARIES, foreign)


def test_canaries_run_first_and_last_and_once() -> None:
    late = outcomes()
    late.insert(0, late.pop(2))
    assert "first and last" in check_canaries(CANARIES, late)
    assert "twice" in check_canaries(CANARIES, [*outcomes(), outcomes()[-1]])


def test_canaries_have_no_name_in_common_between_runs() -> None:
    one, other = make_canaries(Random(1)), make_canaries(Random(2))
    assert not set(one.expected) & set(other.expected)
    assert one.secret not in other.first.text + other.last.text
    for file in one.files:
        compile(file.text, file.file, "exec")


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("tests/test_a.py::test_x", "tests.test_a::test_x"),
        ("tests/test_a.py::C::test_x[a/b::c]", "tests.test_a.C::test_x[a/b::c]"),
        ("tests/test_a.py", "tests.test_a"),
        ("a.py::t[\x07]", "a::t[#x07]"),
    ],
)
def test_names_in_junit_xml_are_known_beforehand(identity: str, name: str) -> None:
    assert xml_name(identity) == name


def test_channel_and_report_must_tell_the_same_tests_and_colours() -> None:
    tests = merge([TestCase("t.py::a", TestStatus.PASSED), TestCase("t.py::b", TestStatus.FAILED)])
    same = [TestCase("t::a", TestStatus.PASSED), TestCase("t::b", TestStatus.ERROR)]
    assert check_xml(tests, same, CANARIES) is None
    for wrong in (
        [same[0]],
        [*same, TestCase("t::c", TestStatus.PASSED)],
        [same[0], TestCase("t::b", TestStatus.PASSED)],
    ):
        problem = check_xml(tests, wrong, CANARIES)
        assert problem is not None
        assert problem.code is ReasonCode.RESULTS_DISAGREE
