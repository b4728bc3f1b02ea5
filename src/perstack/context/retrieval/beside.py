"""A second process of the worker: reads every other group of many contents and makes their words, while the worker does
the rest and feeds the index. It is a child of the worker: the same enclosure, limits and empty environment.

What comes out is the same, in the same order, as when one process does it all. No queue: the pipe between them bounds
how far the child is ahead. When it dies, the worker does the rest alone, and so finds out what it died of.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from perstack.context.retrieval.contract import SourceFile
from perstack.context.retrieval.listing import Tree
from perstack.context.retrieval.spoken import LONG, Spoken
from perstack.infrastructure.process import piped

SECONDS_A_FILE = 20.0
"""So long may one content take; then the process that works on it is ended by the system."""

_GROUP = 32  # contents a turn
_PIPE = 1 << 20  # bytes; more needs a privilege
_HEAD = struct.Struct("!QQ")  # bytes of bodies, bytes of words
_NONE = "\x02"  # instead of a body: the file could not be read

Reader = Callable[[Iterable[SourceFile]], Iterator[tuple[SourceFile, bytes]]]


class Bodies:
    """What is indexed of each file, in the order of `files`, made by two processes; then the `words` in all of it."""

    def __init__(self, root: Path, files: Sequence[SourceFile], read: Reader) -> None:
        """`read` gives the contents of the worker's own share."""
        self._root, self._read = root, read
        self._groups = [files[start : start + _GROUP] for start in range(0, len(files), _GROUP)]
        self._spoken, self._heard = Spoken(), set[bytes]()

    def __iter__(self) -> Iterator[tuple[SourceFile, str]]:
        argv = (sys.executable, "-I", "-m", __name__, str(self._root))
        with piped(argv) as (orders, answers):
            alive = self._order(orders, answers)
            for number, group in enumerate(self._groups):
                made = self._taken(answers, group) if alive and number % 2 else None
                if made is not None:
                    yield from made
                    continue
                alive = alive and not number % 2
                for file, data in self._read(group):
                    yield file, self._spoken.body(data)

    def words(self) -> set[bytes]:
        """All words of the contents that were given out, in lower case."""
        return self._spoken.words() | self._heard

    def _order(self, orders: IO[bytes], answers: IO[bytes]) -> bool:
        """Tell the child its share; whether it is there."""
        groups = [[file.path for file in group] for group in self._groups[1::2]]
        with contextlib.suppress(OSError):  # a small pipe only makes it slower
            fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, _PIPE)
        try:
            orders.write(json.dumps(groups).encode())
            orders.close()
        except OSError:
            return False
        return True

    def _taken(self, answers: IO[bytes], group: Sequence[SourceFile]) -> list[tuple[SourceFile, str]] | None:
        """The next group that the child made; None where it is dead."""
        head = answers.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        sizes = _HEAD.unpack(head)
        bodies, words = answers.read(sizes[0]), answers.read(sizes[1])
        if len(bodies) + len(words) < sum(sizes):
            return None
        self._heard.update(words.split())
        made = zip(group, bodies.decode("ascii").split("\n"), strict=True)
        return [(file, body) for file, body in made if body != _NONE]


class _Telling(Spoken):
    """Keeps apart which words it met since it was asked last."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh: list[bytes] = []

    def __missing__(self, word: bytes) -> bytes:
        self.fresh.append(word)
        return super().__missing__(word)

    def told(self) -> bytes:
        known = b"\n".join({word.lower() for word in self.fresh if len(word) <= LONG})
        self.fresh.clear()
        return known


def _serve(tree: Tree, groups: list[list[str]], out: IO[bytes]) -> None:
    spoken = _Telling()
    for paths in groups:
        made = dict.fromkeys(paths, _NONE)
        for file, data in tree.contents(SourceFile(path, "", 0) for path in paths):
            signal.setitimer(signal.ITIMER_REAL, SECONDS_A_FILE)
            made[file.path] = spoken.body(data)
        signal.setitimer(signal.ITIMER_REAL, 0)
        bodies, words = "\n".join(made.values()).encode("ascii"), spoken.told()
        out.write(_HEAD.pack(len(bodies), len(words)) + bodies + words)
        out.flush()


def main() -> None:
    """Make the groups that standard input names, in their order. Ends quietly when nobody reads any more."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _serve(Tree(Path(sys.argv[1])), json.load(sys.stdin.buffer), sys.stdout.buffer)


if __name__ == "__main__":
    main()
