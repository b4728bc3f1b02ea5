"""dotenv files: what a line means, which value wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.interface.dotenv import merged, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("  export A = two words # comment", "two words"),
        ("A='raw $x \"q\" \\n'", 'raw $x "q" \\n'),
        ('A="x\\ny \\"q\\" # no" # yes', 'x\ny "q" # no'),
        ('A="more\nlines"', "more\nlines"),
        ("A=a#b", "a#b"),
        ("A=# nothing", None),
        ("A=", None),
        ("A=''", None),
        ("\ufeffA=1\r\n", "1"),
        ("# A=1", None),
        ("A=1\nA=2", "1"),
        ("A=x=y", "x=y"),
    ],
)
def test_a_line_gives_its_value(text: str, value: str | None) -> None:
    assert parse(text, ".env").get("A") == value


@pytest.mark.parametrize(
    ("text", "line"),
    [("A", 1), ("A=1\n\nnot a line\n", 3), ("1A=x", 1), ("A='open", 1), ('B=1\nA="x" y', 2), ("=x", 1)],
)
def test_what_is_no_assignment_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(UserError, match=f"^my.env:{line}: not a `NAME=value` line"):
        parse(text, "my.env")


def test_the_process_wins_over_files_and_earlier_files_over_later(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("X=a\nY=a\nZ=a\n")
    (tmp_path / "b").write_text("Y=b\nW=b\n")
    files = [tmp_path / "a", tmp_path / "missing", tmp_path / "b"]
    found = merged({"X": "process", "Z": "", "P": "p"}, files, must_exist=False)
    assert found == {"X": "process", "P": "p", "Y": "a", "Z": "a", "W": "b"}
    with pytest.raises(UserError, match="missing: no such file"):
        merged({}, files, must_exist=True)


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"x: cannot be read"):
        merged({}, [tmp_path / "x"], must_exist=False)
    with pytest.raises(UserError, match="cannot be read"):
        merged({}, [tmp_path], must_exist=False)
