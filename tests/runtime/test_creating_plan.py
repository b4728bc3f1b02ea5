"""Plans of new experts: a closed set of signals, none of which can be green for nothing or lead out of the folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from perstack.core.errors import ToolError
from perstack.runtime.creating_plan import Check, Plan, holds, lay_out, matches, read_plan, restore_tests

TEXTS = {"key": "new", "purpose": "p", "query": "q", "check": "answer-holds", "pattern": "it is 4"}


@pytest.mark.parametrize(
    ("changes", "files", "words"),
    [
        ({"key": "@a/b"}, {}, "no key"),
        ({"key": "old"}, {}, "already"),
        ({"key": "a..b"}, {}, "no key"),
        ({"key": "a" * 61}, {}, "no key"),
        ({"query": "count\u202e"}, {}, "nobody sees"),
        ({"query": " "}, {}, "`query` is empty"),
        ({"check": "looks-good"}, {}, "no signal"),
        ({"pattern": "*"}, {}, "nearly every text"),
        ({"check": "file-exists", "path": "../x"}, {}, "no path inside"),
        ({"check": "file-exists", "path": "a"}, {"a": "x"}, "green before"),
        ({"check": "file-parses", "path": "a.png"}, {}, "file-parses"),
        ({"check": "tests-pass"}, {"a.py": ""}, "needs a file"),
        ({}, {"/etc/passwd": "x"}, "no path inside"),
        ({}, {"a": "x" * 200_001}, "At most"),
    ],
)
def test_a_plan_that_proves_nothing_is_refused(changes: dict[str, str], files: dict[str, str], words: str) -> None:
    with pytest.raises(ToolError) as refused:
        read_plan(TEXTS | changes, files, frozenset({"old"}))
    assert words in refused.value.message


def test_a_pattern_is_text_with_gaps_and_never_takes_long() -> None:
    assert matches("a*c", "xabcx")
    assert matches("(a+)+$", "the text (a+)+$ itself")
    assert not matches("c*a", "abc")
    started = time.process_time()
    assert not matches("a*" * 5000 + "b", "a" * 200_000)
    assert time.process_time() - started < 5


def test_signals_about_files_see_the_workspace_and_nothing_behind_a_link(tmp_path: Path) -> None:
    plan = read_plan(TEXTS, {"in/a.json": "[1]", "test_a.py": "old"}, frozenset())
    room = tmp_path / "room"
    lay_out(plan, room)
    assert holds(Check("file-exists", "in/a.json"), "", room)
    assert holds(Check("file-parses", "in/a.json"), "", room)
    assert holds(Check("file-holds", "in/a.json", "[*]"), "", room)
    assert not holds(Check("file-holds", "in/a.json", "2"), "2", room)
    (room / "bad.json").write_text("[" * 100_000)
    assert not holds(Check("file-parses", "bad.json"), "", room)
    (tmp_path / "secret").write_text("it is 4")
    (room / "link").symlink_to(tmp_path / "secret")
    assert not holds(Check("file-exists", "link"), "", room)
    (room / "test_a.py").write_text("changed")
    restore_tests(plan, room)
    assert (room / "test_a.py").read_text() == "old"


def test_a_plan_keeps_the_name_that_a_person_gave() -> None:
    assert isinstance(read_plan(TEXTS, {}, frozenset(), "new"), Plan)
    with pytest.raises(ToolError, match="to be called"):
        read_plan(TEXTS, {}, frozenset(), "mine")
