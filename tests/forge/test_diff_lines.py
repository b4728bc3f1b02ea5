"""Diffs of real git: what the new side shows, quoted names, sections by file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from perstack.forge.diff_lines import new_sides, paths_of, replacements, split_files

ODD = 'é "quoted"\tname.py'
BEFORE = {ODD: "one\ntwo\n", "-- dashes.txt": "x\n-- a\n++ b\n", "gone.py": "x\n", "old name.py": "a\nb\nc\nd\ne\n",
          "end.txt": "x", "plain.py": "".join(f"{n}\n" for n in range(1, 41))}  # fmt: skip
AFTER = {
    ODD: "one\n2\n",
    "-- dashes.txt": "x\n++ b\n-- c\n",
    "new name.py": "a\nb\nc\nd\nE\n",
    "end.txt": "x\ny",
    "plain.py": "".join(f"{n}\n" for n in range(1, 41)).replace("5\n", "five\n", 1).replace("30\n", "30\n30½\n"),
}


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60).stdout.decode()


@pytest.fixture(scope="module")
def diff(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("diff")
    git(folder, "init", "-q")
    for name, text in BEFORE.items():
        (folder / name).write_text(text, "utf-8", newline="")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\1")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "before")
    for name in BEFORE:
        (folder / name).unlink()
    for name, text in AFTER.items():
        (folder / name).write_text(text, "utf-8", newline="")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\2")
    git(folder, "add", "-A")
    return git(folder, "diff", "--cached", "--find-renames")


def test_the_new_side_is_known_line_by_line(diff: str) -> None:
    sides = new_sides(diff)
    assert set(sides) == {ODD, "-- dashes.txt", "new name.py", "end.txt", "plain.py"}
    assert sides[ODD].added == {2}
    assert sides["-- dashes.txt"].added == {3}
    assert sides["new name.py"].added == {5}
    assert sides["end.txt"].added == {1, 2}
    assert sides["plain.py"].added == {5, 31}
    for name, side in sides.items():
        lines = AFTER[name].split("\n")
        assert all(0 < line <= len(lines) for hunk in side.hunks for line in hunk)


def test_a_range_must_lie_in_one_hunk(diff: str) -> None:
    side = new_sides(diff)["plain.py"]
    assert side.shows(2, 8)
    assert side.shows(28, 34)
    assert not side.shows(8, 28)
    assert not side.shows(15, 15)
    assert not side.shows(0, 3)
    assert not side.shows(5, 4)


def test_replacements_say_old_lines_and_new_text_or_that_they_cannot(diff: str) -> None:
    found = {one.path: one for one in replacements(diff)}
    assert (found[ODD].start, found[ODD].end, found[ODD].lines) == (2, 2, ("2",))
    assert (found["plain.py"].start, found["plain.py"].lines) == (30, ("30", "30½")), "an insertion has a neighbour"
    for name in ("gone.py", "new name.py", "end.txt", "picture.png"):
        assert not found[name].exact, name


def test_a_patch_is_split_by_file_without_losing_a_byte(diff: str) -> None:
    chosen, others = split_files(diff, {ODD, "old name.py"})
    assert paths_of(chosen) == {ODD, "old name.py", "new name.py"}
    assert not paths_of(others) & paths_of(chosen)
    assert sorted((chosen + others).splitlines()) == sorted(diff.splitlines())
    assert split_files("no patch", {"a"}) == ("", "no patch")


@pytest.mark.parametrize("text", ["", "rubbish", "@@ -1 +1 @@\n-x\n+y\n", "diff --git a/x b/x\n@@ -1,9 +1,9 @@\n x\n"])
def test_what_is_no_diff_has_no_lines(text: str) -> None:
    assert new_sides(text) == {}
    assert all(not one.exact for one in replacements(text))
