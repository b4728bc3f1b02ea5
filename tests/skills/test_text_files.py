"""Reading, writing and editing text: content, line ends, ranges, refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.errors import ToolError
from perstack.skills.text_files import replace_once
from perstack.skills.truncation import MAX_OUTPUT
from tests.skills.kit import Bench

pytestmark = pytest.mark.anyio


async def test_a_file_is_read_whole(tools: Bench) -> None:
    tools.write("a.txt", "one\ntwo é\n")

    assert await tools.ok("readTextFile", path="a.txt") == {
        "path": "a.txt",
        "content": "one\ntwo é\n",
        "from": 0,
        "to": 3,
        "lines": 3,
    }


@pytest.mark.parametrize(
    ("start", "end", "content"), [(0, 1, "a"), (1, 3, "b\nc"), (2, 99, "c\n"), (None, 2, "a\nb"), (2, None, "c\n")]
)
async def test_a_range_starts_at_line_zero_and_stops_before_its_end(
    tools: Bench, start: int | None, end: int | None, content: str
) -> None:
    tools.write("a.txt", "a\nb\nc\n")

    answer = await tools.ok("readTextFile", path="a.txt", **{"from": start, "to": end})

    assert answer["content"] == content


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (9, 12)])
async def test_a_range_outside_the_file_is_refused(tools: Bench, start: int, end: int) -> None:
    tools.write("a.txt", "a\nb\nc")

    message = await tools.refused("readTextFile", path="a.txt", **{"from": start, "to": end})

    assert message == f"Lines {start} to {end} are not in a.txt. It has 3 lines, from 0."


async def test_an_empty_file_is_one_empty_line(tools: Bench) -> None:
    tools.write("a.txt", "")

    assert (await tools.ok("readTextFile", path="a.txt"))["content"] == ""


async def test_what_is_not_text_is_refused(tools: Bench) -> None:
    tools.write("latin", b"caf\xe9")
    tools.write("zeros", b"a\0b")
    tools.write("dir/x", "")

    assert "latin is not UTF-8 text (byte 3)" in await tools.refused("readTextFile", path="latin")
    assert "zeros is binary" in await tools.refused("readTextFile", path="zeros")
    assert "is a directory" in await tools.refused("readTextFile", path="dir")
    assert await tools.refused("readTextFile", path="none") == "File none does not exist."


async def test_long_content_is_cut_in_the_middle_and_stays_json(tools: Bench) -> None:
    tools.write("long.txt", "start\n" + 'x"\\\n' * 50_000 + "end")

    result = await tools.result("readTextFile", path="long.txt")

    answer = json.loads(result.text)
    assert len(result.text) <= MAX_OUTPUT
    assert answer["content"].startswith("start\n")
    assert answer["content"].endswith("end")
    assert "... [truncated:" in answer["content"]


async def test_a_whole_file_is_written_however_long(tools: Bench) -> None:
    text = "é" * 100_000

    answer = await tools.ok("writeTextFile", path="new/dir/a.txt", text=text)

    assert (tools.root / "new/dir/a.txt").read_text() == text
    assert "... [truncated:" in answer["text"]


async def test_writing_keeps_the_mode_of_a_script(tools: Bench) -> None:
    script = tools.write("run.sh", "old")
    script.chmod(0o755)

    await tools.ok("writeTextFile", path="run.sh", text="new")

    assert script.read_text() == "new"
    assert script.stat().st_mode & 0o777 == 0o755


async def test_paths_may_be_absolute_as_the_expert_sees_them(tools: Bench) -> None:
    await tools.ok("writeTextFile", path=f"{tools.root}/a.txt", text="x")

    assert (tools.root / "a.txt").read_text() == "x"


@pytest.mark.parametrize("tool", ["writeTextFile", "appendTextFile"])
@pytest.mark.parametrize("path", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "perstack/x", ".git/config", "."])
async def test_nothing_is_written_outside_the_workspace(tools: Bench, tool: str, path: str) -> None:
    await tools.refused(tool, path=path, text="x")

    assert not (tools.root.parent / "out.txt").exists()
    assert list(tools.root.iterdir()) == []


async def test_a_link_out_of_the_workspace_is_neither_read_nor_written(tools: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tools.root / "link").symlink_to(secret)

    assert "secret" not in await tools.refused("readTextFile", path="link")
    await tools.refused("writeTextFile", path="link", text="x")
    await tools.refused("editTextFile", path="link", oldText="secret", newText="x")
    assert secret.read_text() == "secret"


async def test_a_pipe_does_not_block(tools: Bench) -> None:
    os.mkfifo(tools.root / "pipe")

    await tools.refused("readTextFile", path="pipe")


async def test_text_is_appended_exactly(tools: Bench) -> None:
    tools.write("a.txt", "one")

    await tools.ok("appendTextFile", path="a.txt", text="two")

    assert (tools.root / "a.txt").read_text() == "onetwo"
    assert await tools.refused("appendTextFile", path="b.txt", text="x") == "File b.txt does not exist."


async def test_half_a_surrogate_pair_is_refused(tools: Bench) -> None:
    assert "surrogate" in await tools.refused("writeTextFile", path="a.txt", text="\ud800")


async def test_an_edit_replaces_text_literally(tools: Bench) -> None:
    file = tools.write("a.txt", "price: 1\nother: 2\n")

    await tools.ok("editTextFile", path="a.txt", oldText="price: 1", newText="price: $& $1 \\1 $'")

    assert file.read_text() == "price: $& $1 \\1 $'\nother: 2\n"


async def test_an_ambiguous_edit_is_refused_with_the_count(tools: Bench) -> None:
    file = tools.write("a.txt", "x = 1\nx = 1\nx = 1\n")

    message = await tools.refused("editTextFile", path="a.txt", oldText="x = 1", newText="x = 2")

    assert message.startswith("oldText occurs 3 times in file a.txt.")
    assert file.read_text() == "x = 1\nx = 1\nx = 1\n"


async def test_a_text_that_is_not_there_is_told_with_the_place_it_may_have_meant(tools: Bench) -> None:
    tools.write("a.py", "a = 1\n    if x:\n        return y\n")

    message = await tools.refused("editTextFile", path="a.py", oldText="if x:\n  return y", newText="")

    assert message.startswith("Could not find exact match for oldText in file a.py")
    assert "line 1 (counted from 0)" in message


@pytest.mark.parametrize(("old", "new", "why"), [("", "x", "empty"), ("one", "one", "the same")])
async def test_an_edit_that_says_nothing_is_refused(tools: Bench, old: str, new: str, why: str) -> None:
    tools.write("a.txt", "one")

    assert why in await tools.refused("editTextFile", path="a.txt", oldText=old, newText=new)


async def test_a_windows_file_stays_a_windows_file(tools: Bench) -> None:
    file = tools.write("a.txt", "\ufeffone\r\ntwo\r\nthree\r\n")

    await tools.ok("editTextFile", path="a.txt", oldText="one\ntwo", newText="1\n2\r\n2b")

    assert file.read_bytes() == "\ufeff1\r\n2\r\n2b\r\nthree\r\n".encode()


async def test_mixed_line_ends_stay_as_they_are(tools: Bench) -> None:
    file = tools.write("a.txt", "one\r\ntwo\nthree\r\n")

    await tools.ok("editTextFile", path="a.txt", oldText="two\n", newText="2\n")

    assert file.read_bytes() == b"one\r\n2\nthree\r\n"


def test_overlapping_places_are_ambiguous_too() -> None:
    with pytest.raises(ToolError, match="2 times"):
        replace_once("aaa", "aa", "b", path="x")


@given(before=st.text("ab\n"), old=st.text("cd\n$", min_size=1), after=st.text("ab\n"), new=st.text("xy$\\&\n"))
def test_a_unique_text_is_replaced_and_nothing_else(before: str, old: str, after: str, new: str) -> None:
    content = f"{before}<{old}>{after}"
    if content.count(f"<{old}>") == 1 and old != new:
        assert replace_once(content, f"<{old}>", f"<{new}>", path="x") == f"{before}<{new}>{after}"


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("writeTextFile", {"text": "new"}),
        ("appendTextFile", {"text": "new"}),
        ("editTextFile", {"oldText": "old", "newText": "new"}),
    ],
)
async def test_a_file_marked_read_only_is_not_replaced(tools: Bench, tool: str, args: dict[str, str]) -> None:
    file = tools.write("a.txt", "old")
    file.chmod(0o444)

    assert (await tools.refused(tool, path="a.txt", **args)).startswith("File a.txt is not writable")
    assert file.read_text() == "old"
