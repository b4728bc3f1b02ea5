"""A patch is read exactly: names, modes, hunks; what is not understood is refused."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.signals.policy_patch import PatchUnreadable, apply_hunks, parse_patch


def between(folder: Path, before: bytes | None, after: bytes | None, name: str = "x.txt") -> str:
    """What git says about one file in two versions."""
    for side, content in (("a", before), ("b", after)):
        place = folder / side / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            place.write_bytes(content)
    words = ["git", "diff", "--no-index", "--no-prefix", "--full-index", "--binary", "a", "b"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape")


LINES = st.lists(
    st.sampled_from(["a", "b", "", "x = 1", "    return", "\ta\u2028b", "- c", "+ d", "@@ e"]), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(LINES, LINES, st.booleans(), st.booleans())
def test_applying_what_git_says_gives_what_git_saw(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], old_ends: bool, new_ends: bool
) -> None:
    before = "\n".join(old) + ("\n" if old and old_ends else "")
    after = "\n".join(new) + ("\n" if new and new_ends else "")
    folder = tmp_path_factory.mktemp("patch")
    changes = parse_patch(between(folder, before.encode(), after.encode()))
    assert (apply_hunks(before, changes[0].hunks) if changes else before) == after


@pytest.mark.parametrize(
    "name", ["with space.txt", "ünï.txt", 'quo"te.txt', "tab\tx.txt", "a/b c/d.txt", "back\\slash.txt"]
)
def test_names_are_read_as_git_quotes_them(tmp_path: Path, name: str) -> None:
    change = parse_patch(between(tmp_path, b"1\n", b"2\n", name))[0]
    assert change.new_path == name
    assert change.old_path == name


def test_lines_are_numbered_in_the_new_file() -> None:
    text = "--- a/x\n+++ b/x\n@@ -1,3 +1,4 @@\n a\n-b\n+c\n+d\n e\n"
    change = parse_patch(text)[0]
    assert change.added_lines() == [(2, "c"), (3, "d")]
    assert change.removed_lines() == ["b"]
    assert apply_hunks("a\nb\ne\n", change.hunks) == "a\nc\nd\ne\n"


def test_kinds_and_modes_are_told_apart() -> None:
    text = (
        "diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n"
        "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        "diff --git a/link b/link\nnew file mode 120000\nindex 000..123\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc\n"
        "\\ No newline at end of file\n"
        "diff --git a/gone b/gone\ndeleted file mode 100644\nindex 123..000\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "diff --git a/b.bin b/b.bin\nnew file mode 100644\nindex 000..123\nGIT binary patch\nliteral 3\nKcmZQzWMT#Y01f~L\n\n"
        "literal 0\nHcmV?d00001\n\n"
    )
    renamed, executable, link, gone, binary = parse_patch(text)
    assert (renamed.kind, renamed.old_path, renamed.new_path) == ("renamed", "old", "new")
    assert (executable.old_mode, executable.new_mode) == ("100644", "100755")
    assert (link.kind, link.new_mode) == ("added", "120000")
    assert (gone.kind, gone.path) == ("deleted", "gone")
    assert binary.binary


@pytest.mark.parametrize(
    "text",
    [
        "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nrubbish\n",
        "--- a/x\n+++ b/x\n@@ what @@\n",
        "diff --git a/x b/x\n--- a/y\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        'diff --git "a/x b/x\n',
        "@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\ndiff --cc y\n",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(PatchUnreadable):
        parse_patch(text)


def test_hunks_that_do_not_fit_are_noticed() -> None:
    change = parse_patch("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")[0]
    assert apply_hunks("z\n", change.hunks) is None
    assert apply_hunks("new first line\na\n", change.hunks) == "new first line\nb\n"
