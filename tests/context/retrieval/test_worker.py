"""The retrieval worker where things are not as usual: contents that end it, old indexes, odd trees, many edits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perstack.context.retrieval.cache import collect, current_file, folder_of, poisoned
from perstack.context.retrieval.client import RetrievalWorker
from perstack.context.retrieval.contract import Listing
from perstack.context.retrieval.index import RepositoryIndex
from perstack.context.retrieval.listing import Tree
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.text import TextQuery, search_text
from perstack.core.errors import ToolError

_DAY = 86_400


def _kept(folder: Path, age_s: float) -> None:
    moment = folder.stat().st_mtime - age_s
    os.utime(folder, (moment, moment))


def test_indexes_that_nobody_used_for_a_month_are_removed(tmp_path: Path) -> None:
    old, used = folder_of(tmp_path, "old"), folder_of(tmp_path, "used")
    _kept(old, 31 * _DAY)
    _kept(used, 29 * _DAY)
    assert collect(tmp_path) == 1
    assert not old.exists()
    assert used.exists()


def test_the_oldest_indexes_are_removed_while_all_together_are_too_large(tmp_path: Path) -> None:
    old, used = folder_of(tmp_path, "old"), folder_of(tmp_path, "used")
    for folder in (old, used):
        with (folder / "words").open("wb") as file:
            file.truncate(3_000_000_000)  # a hole: no space is used
    _kept(old, 3 * _DAY)
    _kept(used, 2 * _DAY)
    assert collect(tmp_path) == 1
    assert not old.exists()
    assert used.exists()


class _Opened:
    """An index in this process, as the worker has it."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.words, self.folder = RankedIndex(), folder
        self.index = RepositoryIndex(root, folder, (self.words,), "test")

    def listing(self) -> Listing:
        found = self.index.listing()
        self.index.learn(self.words, found)
        return found

    def best(self, query: str) -> list[str]:
        return [hit.path for hit in self.words.search(query, self.listing(), self.index.tree, limit=5).hits]

    def stored(self, listing: Listing) -> set[str]:
        """Paths whose contents another process finds in the index."""
        other = RankedIndex()
        other.open(next(path for path in self.folder.iterdir() if path.name.startswith("words-")))
        return {file.path for file in listing.files} - {file.path for file in other.missing(listing.files)}


def test_an_edit_is_ranked_at_once_and_stored_when_nobody_asks(tmp_path: Path) -> None:
    root, folder = tmp_path / "work", tmp_path / "index"
    root.mkdir()
    folder.mkdir()
    for number in range(60):
        (root / f"m{number}.py").write_text(f"def thing{number}():\n    return 'ordinary'\n")
    opened = _Opened(root, folder)
    assert opened.best("thing7")[0] == "m7.py"
    for word in ("marmalade", "quince", "apricot"):
        (root / "m3.py").write_text(f"def {word}():\n    return 1\n")
        assert opened.best(word) == ["m3.py"]
    assert opened.best("marmalade quince") == []
    (root / "a_new.py").write_text("def plum():\n    return 1\n")
    (root / "m9.py").unlink()
    assert opened.best("plum") == ["a_new.py"]
    assert "m9.py" not in opened.best("thing9")
    assert "a_new.py" not in opened.stored(opened.listing())
    opened.index.rest()
    assert {"a_new.py", "m3.py"} <= opened.stored(opened.listing())
    assert opened.best("plum") == ["a_new.py"]
    assert opened.best("apricot") == ["m3.py"]
    assert [file.path for file in opened.listing().files] == sorted(file.path for file in opened.listing().files)


def test_a_content_that_was_edited_before_it_was_stored_is_not_stored_under_its_old_name(tmp_path: Path) -> None:
    root, folder = tmp_path / "work", tmp_path / "index"
    root.mkdir()
    folder.mkdir()
    for number in range(40):
        (root / f"m{number}.py").write_text(f"thing{number} = 1\n")
    opened = _Opened(root, folder)
    opened.best("thing1")
    (root / "m1.py").write_text("first = 1\n")
    assert opened.best("first") == ["m1.py"]
    (root / "m1.py").write_text("second = 1\n")
    opened.index.rest()
    (root / "m1.py").write_text("first = 1\n")
    opened.best("first")
    opened.index.rest()
    assert opened.best("first") == ["m1.py"]
    assert opened.best("second") == []


def test_a_tree_without_files_git_or_small_folders_is_searched(tmp_path: Path) -> None:
    root, folder = tmp_path / "work", tmp_path / "index"
    root.mkdir()
    folder.mkdir()
    opened = _Opened(root, folder)
    assert opened.best("anything") == []
    deep = root.joinpath(*["d"] * 100)
    deep.mkdir(parents=True)
    (deep / "deep.py").write_text("def bottom_of_it():\n    return 1\n")
    with (root / "large.txt").open("wb") as file:
        file.write(b"bottom_of_it at the start\n")
        file.truncate(50_000_000)
    assert opened.best("bottom_of_it")[0].endswith("d/deep.py")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_content_that_ended_the_worker_is_not_read_again_and_is_named(tmp_path: Path) -> None:
    root, cache = tmp_path / "work", tmp_path / "cache"
    root.mkdir()
    (root / "good.py").write_text("def wanted():\n    return 1\n")
    worker = RetrievalWorker(root, cache)
    try:
        await worker.ask("searchRanked", {"query": "wanted", "limit": 5})
        (root / "bad.py").write_text("def wanted():\n    return 2\n")
        digest = next(
            file.digest for file in RepositoryIndex(root, tmp_path, ()).listing().files if file.path == "bad.py"
        )
        folder = folder_of(cache, str(root.resolve()))
        assert worker._process is not None
        worker._process.kill()
        await worker._process.wait()
        # As a worker leaves it that dies of this content; one that lives clears it away when it learns in its rest.
        current_file(folder, worker._name).write_text(digest)
        answer = await worker.ask("searchRanked", {"query": "wanted", "limit": 5})
    finally:
        await worker.close()
    assert poisoned(folder) == {digest}
    assert answer.startswith("good.py:1")
    assert "bad.py: not indexed" in answer


def test_words_that_were_lost_from_the_index_hide_no_line(tmp_path: Path) -> None:
    root, folder = tmp_path / "work", tmp_path / "index"
    root.mkdir()
    folder.mkdir()
    for number in range(40):
        (root / f"m{number}.py").write_text(f"thing_{number} = 1\n")

    def found() -> list[str]:
        opened = _Opened(root, folder)
        hits = search_text(TextQuery("ing_7"), opened.listing(), opened.index.tree, opened.words).hits
        return [hit.path for hit in hits]

    assert found() == ["m7.py"]
    place = next(folder.glob("words-*/vocabulary"))
    place.write_bytes(place.read_bytes()[:20])
    assert found() == ["m7.py"]
    place.unlink()
    assert found() == ["m7.py"]
    place.with_suffix(".sum").unlink()
    assert found() == ["m7.py"]


def test_ignore_files_are_read_as_git_reads_them(tmp_path: Path) -> None:
    files = {
        ".gitignore": "\ufefffirst.txt\r\n*.log\r\n!keep.log\r\n[\r\n*.tmp\n",
        "a/.gitignore": "/only\n",
        "a/.ignore": "!kept.tmp\n",
        "a/.rgignore": "not.me\n",
        **dict.fromkeys(
            ["first.txt", "x.log", "keep.log", "a/only", "a/b/only", "a/kept.tmp", "b.tmp", "a/not.me"], ""
        ),
        "form\x0cfeed": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    seen = {file.path for file in Tree(tmp_path).listing().files if not file.path.endswith("ignore")}
    assert seen == {"keep.log", "a/b/only", "a/kept.tmp", "form\x0cfeed"}


@pytest.mark.anyio
async def test_an_index_that_can_be_kept_nowhere_is_told_to_the_expert(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    worker = RetrievalWorker(tmp_path, tmp_path / "cache")
    with pytest.raises(ToolError, match="cannot be kept below"):
        await worker.ask("searchText", {"pattern": "x"})
