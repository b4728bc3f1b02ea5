"""The demo project, its bugs, and how far the search gets with them."""

from pathlib import Path

import pytest

from perstack.core.signals import TestCase, TestStatus
from perstack.demo.bugs import Bug, possible_slips
from perstack.demo.inject import DEFAULT_SEED, SuiteOutcome, inject_bug
from perstack.demo.issue import issue_text
from perstack.demo.project import write_project
from perstack.demo.suite import read_summary
from tests.search.loop import build, pytest_run, run_suite

pytestmark = pytest.mark.anyio
SEEDS = {"every day": range(21, 22), "by night": range(22, 33)}
MISSED = {"every day": 0, "by night": 2}


def test_the_project_is_whole_and_its_suite_is_green(tmp_path: Path) -> None:
    write_project(tmp_path)
    for name in ("perstack.toml", "pyproject.toml", "README.md", ".gitignore", "depot/money.py", "tests/conftest.py"):
        assert (tmp_path / name).is_file()
    done = pytest_run(tmp_path, "-W", "error")
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 40


def test_many_kinds_of_bug_fit_into_it(tmp_path: Path) -> None:
    write_project(tmp_path)
    slips = [s for p in (tmp_path / "depot").glob("*.py") for s in possible_slips(p.read_text(encoding="utf-8"))]
    assert len({slip.kind for slip in slips}) >= 15
    assert len(slips) > 500


@pytest.mark.slow
async def test_the_default_bug_shows_and_is_fixed_by_search(tmp_path: Path) -> None:
    write_project(tmp_path)
    tests = {p: p.read_bytes() for p in (tmp_path / "tests").iterdir()}
    injection = await inject_bug(tmp_path, DEFAULT_SEED, run_suite)
    assert injection.bug.after in (tmp_path / injection.bug.path).read_text(encoding="utf-8")
    ran = await build(tmp_path, [case.id for case in injection.failing])
    assert pytest_run(tmp_path).returncode == 0, ran.result
    assert {p: p.read_bytes() for p in (tmp_path / "tests").iterdir() if p.is_file()} == tests


async def test_a_seed_gives_the_same_bug_and_invisible_ones_are_drawn_again(tmp_path: Path) -> None:
    texts, seen = [], 0

    async def red_at_the_third(project: Path) -> SuiteOutcome:
        nonlocal seen
        seen += 1
        texts.append((project / "depot" / "money.py").read_text(encoding="utf-8"))
        case = TestCase("tests/test_money.py::test_x", TestStatus.FAILED)
        return (SuiteOutcome(()), SuiteOutcome((case,), broken=True), SuiteOutcome((case,)))[(seen - 1) % 3]

    one, other = tmp_path / "one", tmp_path / "other"
    write_project(one)
    write_project(other)
    first = await inject_bug(one, 5, red_at_the_third)
    assert first == await inject_bug(other, 5, red_at_the_third)
    assert seen == 6
    fresh = tmp_path / "fresh"
    write_project(fresh)
    changed = [p.name for p in (one / "depot").iterdir() if p.read_bytes() != (fresh / "depot" / p.name).read_bytes()]
    assert changed == [Path(first.bug.path).name]


def test_the_issue_tells_the_symptom_and_not_the_change() -> None:
    bug = Bug("depot/slots.py", 58, "boundary", "    if a <= b:", "    if a < b:", "boundary in depot/slots.py:58")
    case = TestCase("tests/test_slots.py::test_touching_slots_merge[1]", TestStatus.FAILED, message="assert 2 == 1")
    title, body = issue_text(bug, [case])
    assert title == "slots: “touching slots merge” is no longer true"
    assert case.id in body
    assert "assert 2 == 1" in body
    for secret in (bug.before.strip(), bug.after.strip(), bug.kind, bug.path):
        assert secret not in title + body


def test_the_summary_of_a_run_is_read() -> None:
    text = (
        "FAILED tests/test_a.py::test_x[1 - 2] - assert 1 == 2\nFAILED tests/test_a.py::T::test_y\n2 failed, 3 passed\n"
    )
    outcome = read_summary(text, 1)
    assert [(c.id, c.message) for c in outcome.failing] == [
        ("tests/test_a.py::test_x[1 - 2]", "assert 1 == 2"),
        ("tests/test_a.py::T::test_y", ""),
    ]
    assert not outcome.broken
    assert read_summary("ERROR tests/test_a.py - ImportError\n", 2).broken


@pytest.mark.slow
@pytest.mark.parametrize("when", ["every day", pytest.param("by night", marks=pytest.mark.nightly)])
async def test_most_random_bugs_are_fixed(tmp_path: Path, when: str) -> None:
    missed = []
    for seed in SEEDS[when]:
        root = tmp_path / str(seed)
        write_project(root)
        injection = await inject_bug(root, seed, run_suite)
        ran = await build(root, [case.id for case in injection.failing])
        if pytest_run(root).returncode != 0:
            missed.append((injection.bug, ran.result))
    assert len(missed) <= MISSED[when], missed
