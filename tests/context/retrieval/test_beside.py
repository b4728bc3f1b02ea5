"""Many new contents are read by two processes; what is learnt is what one process would have learnt."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from perstack.context.retrieval.beside import Bodies
from perstack.context.retrieval.contract import SourceFile
from perstack.context.retrieval.index import RepositoryIndex
from perstack.context.retrieval.listing import Tree
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.spoken import Spoken

_FILES = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("many")
    for number in range(_FILES):
        folder = top / f"part{number // 40}"
        folder.mkdir(exist_ok=True)
        text = f"def parseOrder{number}():\n    return order_id + userToken{number % 7} * {number}\n" * (1 + number % 5)
        (folder / f"unit {number}.py").write_text(text)
    (top / "binary").write_bytes(b"\0word")
    (top / "empty").write_bytes(b"")
    (top / "long").write_text("x" * 500)
    (top / os.fsdecode(b"odd\xff.py")).write_text("oddName = 1\n")
    return top


class _Own:
    """The worker's own share, remembered."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.paths = tree, list[str]()

    def read(self, files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, bytes]]:
        for file, data in self.tree.contents(files):
            self.paths.append(file.path)
            yield file, data


def _alone(tree: Tree, files: Iterable[SourceFile]) -> tuple[list[tuple[SourceFile, str]], set[bytes]]:
    spoken = Spoken()
    return [(file, spoken.body(data)) for file, data in tree.contents(files)], spoken.words()


def test_two_processes_make_the_words_that_one_makes_in_the_same_order(root: Path) -> None:
    tree = Tree(root)
    files, own = tree.listing().files, _Own(tree)
    bodies = Bodies(root, files, own.read)
    assert (list(bodies), bodies.words()) == _alone(tree, files)
    assert len(files) / 3 < len(own.paths) < 2 * len(files) / 3


def test_a_file_that_went_meanwhile_is_left_out_whoever_reads_it(root: Path) -> None:
    tree = Tree(root)
    files = tree.listing().files
    gone = tuple(SourceFile(f"{file.path}.gone", file.digest, file.size) for file in files)
    mixed = [one for pair in zip(files, gone, strict=True) for one in pair]
    assert list(Bodies(root, mixed, tree.contents)) == _alone(tree, files)[0]


def _children() -> set[int]:
    found = set[int]()
    for place in Path("/proc/self/task").glob("*/children"):
        found.update(map(int, place.read_text().split()))
    return found


def test_the_worker_does_the_rest_alone_when_the_other_process_dies(root: Path) -> None:
    tree = Tree(root)
    files, own, before = tree.listing().files, _Own(tree), _children()
    bodies = Bodies(root, files, own.read)
    made = iter(bodies)
    first = next(made)
    (child,) = _children() - before
    os.kill(child, signal.SIGKILL)
    assert ([first, *made], bodies.words()) == _alone(tree, files)
    assert len(own.paths) == len(files)


def test_an_index_holds_the_same_whatever_the_number_of_processes(root: Path, tmp_path: Path) -> None:
    held = []
    for name, many in (("one", 100_000), ("two", 100)):
        folder, words = tmp_path / name, RankedIndex()
        folder.mkdir()
        index = RepositoryIndex(root, folder, (words,), name, many)
        listing = index.listing()
        index.learn(words, listing)
        place = folder / f"{words.name}-{words.version}"
        found = [
            words.search(query, listing, index.tree, limit=20) for query in ("parse order", "oddName", "userToken3")
        ]
        held.append(((place / "digests").read_text(), sorted((place / "vocabulary").read_bytes().split()), found))
    assert held[0] == held[1]
