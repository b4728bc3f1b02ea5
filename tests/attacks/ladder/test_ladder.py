"""The suite as a whole: cases are well-formed, its page is up to date, and a sample climbs where it should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.ladder.collect import LANGUAGES, collect
from tests.attacks.ladder.record import Result
from tests.attacks.ladder.rungs import RUNGS
from tests.attacks.ladder.suite import run_cases
from tests.attacks.ladder.table import BEGIN, END, as_markdown, as_text

_PAGE = Path(__file__).parents[3] / "docs" / "attack-suite.md"


def _result(key: str, verdict: str, *codes: str, attack: bool = True, refused: str = "") -> Result:
    names = list(RUNGS)
    rungs = {name: not refused or names.index(name) < names.index(refused) for name in names}
    return Result(key, "python", attack, verdict, codes, True, rungs, 1.0)


def test_every_case_has_its_own_key_and_every_attack_a_reason() -> None:
    cases = collect()
    assert len({case.key for case in cases}) == len(cases)
    assert [case.key for case in cases if case.attack and not case.codes] == []
    assert {case.world.language for case in cases} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_attacks_and_honest_patches_of_each_world(language: str) -> None:
    worlds: dict[str, set[bool]] = {}
    for case in collect([language]):
        worlds.setdefault(case.world.name, set()).add(case.attack)
    assert {True, False} <= set().union(*worlds.values())


@pytest.mark.slow
def test_a_tool_chain_that_is_missing_is_told_and_does_not_end_the_suite() -> None:
    argv = [sys.executable, "-m", "tests.attacks.ladder", "--no-ladder", "--only", "rust/fix"]
    done = subprocess.run(
        argv, env={"PATH": "/nowhere"}, cwd=_PAGE.parents[1], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert "rust: the 5 cases of `rust` did not run: bubblewrap is not installed" in done.stderr
    assert "all: attacks stopped 0/0" in done.stdout


def test_the_page_counts_the_cases_there_are() -> None:
    _, _, rest = _PAGE.read_text(encoding="utf-8").partition(BEGIN)
    generated = rest.partition(END)[0]
    for language, attacks, honest in re.findall(
        r"^\| (\w+) \| \d+/(\d+) \| \d+/(\d+) \| \d+ \|$", generated, re.MULTILINE
    ):
        cases = collect([language])
        counts = (sum(case.attack for case in cases), sum(not case.attack for case in cases))
        assert (int(attacks), int(honest)) == counts, f"run `make attack-suite ARGS=--document` for {language}"


def test_the_tables_say_who_was_stopped_where_and_who_was_not() -> None:
    results = [
        _result("tally/T01-delete", "fail", "protected-path", refused="G3"),
        _result("tally/hole", "pass"),
        _result("tally/the-fix", "pass", attack=False),
    ]
    text, page = as_text(results), as_markdown(results)
    assert "G3  protected-path" in text
    assert "ATTACK ACCEPTED" in text
    assert "all: attacks stopped 1/2, honest patches accepted 1/1" in text
    assert "| G2 | + JUnit file present, no failure in it | 2/2 | 1/1 |" in page
    assert "| G3 | + every test of the base is there and passed | 1/2 | 1/1 |" in page
    assert [result.good for result in results] == [True, False, True]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_rungs_stop_what_the_rungs_below_accept() -> None:
    found: dict[str, Result] = {}
    keys = ["tally/P01-makereport", "tally/S12-lookup-table", "tally/the-fix"]

    def tell(result: Result) -> None:
        found[result.key.partition("/")[2]] = result

    await run_cases(keys, tell, languages=["python"], ladder=True)
    hook, table, fix = (found[key.partition("/")[2]] for key in keys)
    assert (hook.rungs["G3"], hook.rungs["G4"], hook.stopped_at) == (True, False, "G4")
    assert (table.rungs["G7"], table.rungs["G8"], table.verdict) == (True, False, "fail")
    assert set(fix.rungs.values()) == {True}
