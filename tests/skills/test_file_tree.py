"""Directories and whole files: listing, inspecting, creating, deleting, moving."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from perstack.skills.file_tree import format_size
from tests.skills.kit import Bench

TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

pytestmark = pytest.mark.anyio


async def test_a_directory_is_listed_by_name_without_reserved_places(tools: Bench) -> None:
    tools.write("b.txt", "12345")
    tools.write("a/inner.txt", "x")
    tools.write("perstack/log", "x")
    tools.write(".git/config", "x")
    (tools.root / "link").symlink_to("b.txt")

    answer = await tools.ok("listDirectory", path=".")

    assert [(item["name"], item["type"]) for item in answer["items"]] == [
        ("a", "directory"),
        ("b.txt", "file"),
        ("link", "link"),
    ]
    assert answer["items"][1]["size"] == 5
    assert all(TIME.fullmatch(item["modified"]) for item in answer["items"])
    assert [item["path"] for item in (await tools.ok("listDirectory", path="a"))["items"]] == ["a/inner.txt"]


async def test_a_directory_with_very_many_names_says_how_many_are_not_shown(tools: Bench) -> None:
    for number in range(1500):
        tools.write(f"file-{number:05}", "")

    result = await tools.result("listDirectory", path=".")
    answer = await tools.ok("listDirectory", path=".")

    assert len(result.text) <= 30_000
    assert len(answer["items"]) + answer["notShown"] == 1500
    assert answer["items"][0]["name"] == "file-00000"


@pytest.mark.parametrize("path", ["nowhere", "file", "..", "/etc", "perstack"])
async def test_what_is_no_directory_of_the_workspace_is_not_listed(tools: Bench, path: str) -> None:
    tools.write("file", "")

    await tools.refused("listDirectory", path=path)


async def test_a_file_is_described(tools: Bench) -> None:
    page = tools.write("dir/page.html", "x" * 2048)
    page.chmod(0o755)
    os.utime(page, (1_700_000_000.25, 1_600_000_000.5))

    answer = await tools.ok("getFileInfo", path="dir/page.html")

    assert TIME.fullmatch(answer.pop("created"))
    assert answer == {
        "exists": True,
        "path": "dir/page.html",
        "absolutePath": f"{tools.root}/dir/page.html",
        "name": "page.html",
        "directory": f"{tools.root}/dir",
        "extension": ".html",
        "type": "file",
        "mimeType": "text/html",
        "size": 2048,
        "sizeFormatted": "2.0 KB",
        "modified": "2020-09-13T12:26:40.500Z",
        "accessed": "2023-11-14T22:13:20.250Z",
        "permissions": {"readable": True, "writable": True, "executable": True},
    }
    page.chmod(0o400)
    assert (await tools.ok("getFileInfo", path="dir/page.html"))["permissions"] == {
        "readable": True,
        "writable": False,
        "executable": False,
    }
    assert (await tools.ok("getFileInfo", path="."))["type"] == "directory"
    assert await tools.refused("getFileInfo", path="x") == "File or directory x does not exist"


async def test_a_directory_is_created_once(tools: Bench) -> None:
    await tools.ok("createDirectory", path="a/b/c")

    assert (tools.root / "a/b/c").is_dir()
    assert await tools.refused("createDirectory", path="a/b") == "Directory a/b already exists"


async def test_a_file_is_deleted_and_a_directory_is_not_taken_for_one(tools: Bench) -> None:
    tools.write("a/x", "")

    assert "Use delete directory tool instead." in await tools.refused("deleteFile", path="a")
    await tools.ok("deleteFile", path="a/x")
    assert not (tools.root / "a/x").exists()
    assert "does not exist" in await tools.refused("deleteFile", path="a/x")


async def test_a_full_directory_is_deleted_only_when_asked_for(tools: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    tools.write("a/b/c/x", "")
    tools.write("a/y", "")
    (tools.root / "a/link").symlink_to(outside)

    assert "is not empty" in await tools.refused("deleteDirectory", path="a")
    await tools.ok("deleteDirectory", path="a", recursive=True)

    assert not (tools.root / "a").exists()
    assert (outside / "keep").exists()


@pytest.mark.parametrize("path", [".", "..", "file", "perstack"])
async def test_some_places_are_never_deleted(tools: Bench, path: str) -> None:
    tools.write("file", "")
    tools.write("perstack/x", "")

    await tools.refused("deleteDirectory", path=path, recursive=True)
    assert {entry.name for entry in tools.root.iterdir()} == {"file", "perstack"}


async def test_a_file_is_moved_with_its_mode(tools: Bench) -> None:
    tools.write("-run.sh", "x").chmod(0o755)

    await tools.ok("moveFile", source="-run.sh", destination="new/place/run.sh")

    moved = tools.root / "new/place/run.sh"
    assert moved.stat().st_mode & 0o777 == 0o755
    assert not (tools.root / "-run.sh").exists()


async def test_a_directory_is_moved_whole(tools: Bench) -> None:
    tools.write("old/deep/x", "content")

    await tools.ok("moveFile", source="old", destination="new")

    assert (tools.root / "new/deep/x").read_text() == "content"


async def test_a_move_never_overwrites_and_never_leaves(tools: Bench) -> None:
    tools.write("a", "a")
    tools.write("b", "b")

    assert await tools.refused("moveFile", source="a", destination="b") == "Destination b already exists."
    assert "does not exist" in await tools.refused("moveFile", source="none", destination="c")
    for destination in ("../a", "/tmp/a", ".git/a", "perstack/a"):
        await tools.refused("moveFile", source="a", destination=destination)
    assert (tools.root / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 * 1024**3, "5.0 GB"), (3 * 1024**4, "3.0 TB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert format_size(size) == text
