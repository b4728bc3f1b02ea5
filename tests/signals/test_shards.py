"""Units, their distribution, the files a shard leaves, and what merging makes of them. Real runs: test_sharding.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.errors import UserError
from perstack.core.sandbox import Snapshot
from perstack.core.signals import (
    Measurement,
    Picture,
    SignalKind,
    SignalRun,
    SignalSpec,
    SignalStatus,
    TestCase,
    TestStatus,
)
from perstack.signals.cache import Setting
from perstack.signals.measure import Measured
from perstack.signals.shards import Question, Shards, ShardWriter, Unit, joined, units_of
from perstack.signals.suites.contract import Part

SPEC = SignalSpec("tests", SignalKind.TEST, ("pytest",))
LINT = SignalSpec("lint", SignalKind.COMPILER, ("ruff", "check"))
SETTING = Setting("bubblewrap", Snapshot("here", "digest"), "base-tree")
ABOUT = {"base": "b" * 40, "candidate": "c" * 64}


@dataclass(frozen=True)
class Whole:
    """A plan that cannot be divided."""

    shuffles: bool = False


@dataclass(frozen=True)
class Dividing(Whole):
    def part(self, part: Part) -> Dividing:
        return self


def run(*tests: tuple[str, TestStatus], problem: str = "") -> SignalRun:
    cases = {name: TestCase(name, status) for name, status in tests}
    red = any(status is not TestStatus.PASSED for _, status in tests)
    status = SignalStatus.ERROR if problem else SignalStatus.FAIL if red else SignalStatus.PASS
    return SignalRun(status, 1.0, exit_code=int(red), tests=cases, problem=problem, problem_code=problem)


def measured(*runs: SignalRun) -> Measured:
    return Measured(Measurement(SPEC, runs))


@given(st.integers(1, 12), st.booleans(), st.booleans())
def test_every_unit_is_measured_by_exactly_one_shard(of: int, own: bool, divides: bool) -> None:
    plans = {"tests": Dividing() if divides else Whole()}
    shares = units_of([SPEC, LINT], plans, of, own=own)  # type: ignore[arg-type]  # plans that are never run
    units = [unit for share in shares for unit in share]
    trees = ["base", "candidate", *(["own"] if own else [])]
    parts = [Part(number, of) for number in range(1, of + 1)] if divides and of > 1 else [Part()]
    wanted = {Unit("tests", tree, part) for tree in trees for part in parts}
    assert sorted(map(str, units)) == sorted(map(str, wanted | {Unit("lint", "base"), Unit("lint", "candidate")}))
    assert len(shares) == of
    assert shares == units_of([SPEC, LINT], plans, of, own=own)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=40), st.integers(1, 9))
def test_a_file_belongs_to_exactly_one_part(path: str, of: int) -> None:
    assert sum(Part(number, of).holds(path) for number in range(1, of + 1)) == 1


def test_parts_become_one_run_with_all_tests_and_the_worst_status() -> None:
    one = measured(run(("a", TestStatus.PASSED)), run(("a", TestStatus.PASSED)))
    two = measured(run(("b", TestStatus.FAILED)), run(("b", TestStatus.PASSED)))
    found = joined(SPEC, [one, two]).measurement.runs
    assert [r.status for r in found] == [SignalStatus.FAIL, SignalStatus.PASS]
    assert [{i: c.status for i, c in r.tests.items()} for r in found] == [
        {"a": TestStatus.PASSED, "b": TestStatus.FAILED},
        {"a": TestStatus.PASSED, "b": TestStatus.PASSED},
    ]


def test_a_part_without_tests_is_no_error_but_all_parts_without_tests_are() -> None:
    empty = measured(run(problem="no-tests"))
    full = measured(run(("a", TestStatus.PASSED)), run(("a", TestStatus.PASSED)))
    assert joined(SPEC, [empty, full]).measurement == full.measurement
    assert joined(SPEC, [empty, empty]).measurement.runs[0].problem_code == "no-tests"


def test_an_error_in_one_part_is_an_error_of_the_whole() -> None:
    broken = measured(run(problem="canary-failed"))
    found = joined(SPEC, [measured(run(("a", TestStatus.PASSED)), run(("a", TestStatus.PASSED))), broken])
    assert [r.problem_code for r in found.measurement.runs] == ["canary-failed", "canary-failed"]


def written(folder: Path, number: int, result: Measured, *, tree: str = "tree", of: int = 2) -> Path:
    writer = ShardWriter(folder / f"shard-{number}", number, of, ABOUT)
    writer.add(Unit("tests", "base", Part(number, of)), Question(SPEC, tree, SETTING), result)
    writer.close()
    return folder / f"shard-{number}"


def test_what_two_shards_left_answers_the_question_they_were_asked(tmp_path: Path) -> None:
    one = replace(run(("a", TestStatus.PASSED)), pictures=(Picture("page", b"png"),))
    written(tmp_path, 1, replace(measured(one, one), replaced=frozenset({"x"}), order_dependent=frozenset({"a"})))
    written(tmp_path, 2, measured(run(("b", TestStatus.PASSED)), run(("b", TestStatus.PASSED))))
    shards = Shards.load([tmp_path], ABOUT)
    found = shards.measured(Question(SPEC, "tree", SETTING))
    assert found is not None
    assert set(found.measurement.runs[0].tests) == {"a", "b"}
    assert found.measurement.runs[0].pictures == (Picture("page", b"png"),)
    assert (set(found.replaced), set(found.order_dependent)) == ({"x"}, {"a"})
    assert shards.missing == ()


@pytest.mark.parametrize(
    "asked",
    [
        Question(SPEC, "another tree", SETTING),
        Question(replace(SPEC, run=("pytest", "-q")), "tree", SETTING),
        Question(SPEC, "tree", replace(SETTING, base="another base")),
        Question(SPEC, "tree", replace(SETTING, snapshot=Snapshot("here", "another image"))),
        Question(SPEC, "tree", replace(SETTING, sandbox="host")),
        Question(SPEC, "tree", SETTING, runs=1),
    ],
)
def test_results_answer_no_other_question(tmp_path: Path, asked: Question) -> None:
    for number in (1, 2):
        written(tmp_path, number, measured(run((f"t{number}", TestStatus.PASSED))))
    shards = Shards.load([tmp_path], ABOUT)
    assert shards.measured(Question(SPEC, "tree", SETTING)) is not None
    assert shards.measured(asked) is None


def test_a_missing_shard_leaves_the_question_open(tmp_path: Path) -> None:
    written(tmp_path, 2, measured(run(("b", TestStatus.PASSED))))
    shards = Shards.load([tmp_path], ABOUT)
    assert shards.missing == (1,)
    assert shards.measured(Question(SPEC, "tree", SETTING)) is None


def test_a_changed_byte_makes_a_result_worthless(tmp_path: Path) -> None:
    for number in (1, 2):
        written(tmp_path, number, measured(run((f"t{number}", TestStatus.FAILED))))
    file = tmp_path / "shard-1" / "unit-1.json"
    file.write_bytes(file.read_bytes().replace(b"failed", b"passed"))
    assert Shards.load([tmp_path], ABOUT).measured(Question(SPEC, "tree", SETTING)) is None


def test_results_about_another_change_are_refused_with_their_place(tmp_path: Path) -> None:
    written(tmp_path, 1, measured(run(("a", TestStatus.PASSED))))
    with pytest.raises(UserError, match=r"shard\.json: these results are about another change"):
        Shards.load([tmp_path], {**ABOUT, "candidate": "d" * 64})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format":1,"of":1,"shard":2,"units":[]}', "\xff"])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    place = written(tmp_path, 1, measured(run(("a", TestStatus.PASSED)))) / "shard.json"
    place.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"shard-1/shard\.json"):
        Shards.load([tmp_path], ABOUT)


def test_no_manifest_at_all_is_an_error_and_a_path_in_one_stays_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no shard\.json below"):
        Shards.load([tmp_path], ABOUT)
    place = written(tmp_path, 1, measured(run(("a", TestStatus.PASSED))), of=1) / "shard.json"
    head = json.loads(place.read_text())
    (tmp_path / "unit-1.json").write_bytes((tmp_path / "shard-1" / "unit-1.json").read_bytes())
    head["units"][0]["file"] = "../unit-1.json"
    (tmp_path / "shard-1" / "unit-1.json").unlink()
    place.write_text(json.dumps(head))
    assert Shards.load([tmp_path], ABOUT).measured(Question(SPEC, "tree", SETTING)) is None
