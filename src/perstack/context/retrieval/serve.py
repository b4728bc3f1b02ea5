"""The worker of retrieval: reads files nobody trusts, in a process with an empty environment and limits.

One request a line on standard input, one answer a line on standard output, both JSON. `client.py` starts it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from perstack.context.retrieval import render, repository_map, slices
from perstack.context.retrieval.contract import Listing, Rejected, SourceFile
from perstack.context.retrieval.index import RepositoryIndex
from perstack.context.retrieval.listing import hidden
from perstack.context.retrieval.paths import revised
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.references import Names
from perstack.context.retrieval.symbols import SymbolIndex
from perstack.context.retrieval.text import TextQuery, search_text

_MEMORY = 6 << 30
_MAP_FILES = 3000
_MAP_S = 3.0  # a map waits so long for files that were not read before; the rest is read while nobody asks
_ANSWER_S = 5.0
_REST_S = 0.5  # reading ahead in pieces so short that a question hardly waits
_FEW = 25
_SOON_S = 0.2  # after an answer: the next question may follow at once

_VISIBLE = "v"  # ends the digest of a listing without what is hidden

Arguments = Mapping[str, Any]


class Server:
    """Answers over one root."""

    def __init__(self, root: Path, folder: Path, name: str) -> None:
        self._ranked, self._symbols = RankedIndex(), SymbolIndex()
        self._index = RepositoryIndex(root, folder, (self._ranked, self._symbols), name)
        self._seen, self._unread = Listing((), ""), 0
        self._ahead: Iterator[SourceFile] = iter(())
        self._answers: Mapping[str, Callable[[Listing, Arguments], str]] = {
            "searchText": self._text,
            "searchRanked": self._search,
            "findSymbol": self._symbol,
            "references": self._references,
            "outline": self._outline,
            "repositoryMap": self._map,
            "failures": self._failures,
            "warm": lambda _listing, _arguments: "",
        }

    def answer(self, name: str, arguments: Arguments) -> str:
        """One answer. Raises: Rejected."""
        listing = self._index.listing()
        if f"{listing.digest}{_VISIBLE}" != self._seen.digest:
            self._seen = _visible(listing, self._seen)
            self._ahead = iter(self._seen.files)
        notes = self._index.learn(self._ranked, listing)
        self._unread = 0
        text = self._answers[name](listing, arguments)
        if self._unread:
            notes = (f"{self._unread} files are not read yet: ask again, or use searchText.", *notes)
        return "\n".join((text, *notes[:3]))

    def rest(self) -> float:
        """Something useful while nobody asks; seconds until there is more of it."""
        wait = self._index.rest()
        if not self._learn_for(self._ahead, _REST_S):
            return 0.0
        return max(wait, 0.5)

    def _learn_for(self, files: Iterator[SourceFile], seconds: float) -> bool:
        """Read symbols for a while; whether that was all of them."""
        deadline = time.monotonic() + seconds
        while few := list(islice(files, _FEW)):
            self._learn(few)
            if time.monotonic() > deadline:
                return False
        return True

    def _text(self, listing: Listing, arguments: Arguments) -> str:
        query = TextQuery(**{**arguments, **{key: tuple(arguments.get(key, ())) for key in ("paths", "types")}})
        return render.shown(search_text(query, listing, self._index.tree, self._ranked), numbered=True)

    def _search(self, _listing: Listing, arguments: Arguments) -> str:
        found = self._ranked.search(
            arguments["query"], self._seen, self._index.tree,
            limit=arguments["limit"], precedents=arguments.get("precedents", {}),
        )  # fmt: skip
        return render.shown(found)

    def _symbol(self, _listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names().definitions(arguments["name"], path=arguments.get("path", "")))

    def _references(self, _listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names().references(arguments["name"], path=arguments.get("path", "")))

    def _outline(self, _listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names().outline(arguments["path"]))

    def _map(self, _listing: Listing, arguments: Arguments) -> str:
        """Of a large repository, the map of the files that speak of the focus and of those near them."""
        files = [file for file in self._seen.files if file.language]
        focus = arguments.get("focus", "")
        if len(files) > _FEW:
            best = self._ranked.search(focus or "main", self._seen, self._index.tree, limit=50)
            places = {hit.path: number for number, hit in enumerate(best.hits)}
            near = {path.rpartition("/")[0] for path in places}
            files.sort(
                key=lambda file: (
                    places.get(file.path, 50), file.path.rpartition("/")[0] not in near, file.path.count("/")
                )
            )  # fmt: skip
        chosen = files[:_MAP_FILES]
        self._learn_for(iter(chosen), _MAP_S)
        outlines = self._symbols.outlines(chosen)
        text = repository_map.render(outlines, repository_map.interest(focus), budget=arguments["budget"])
        unread = sum(file.path not in outlines for file in chosen)
        notes = [f"({unread} files are not read yet: ask again later for a full map.)"] if unread else []
        if left := len(files) - len(chosen):
            notes.append(f"({left} more files are not in it: give a focus.)")
        return "\n".join((text or "No definitions found.", *notes))

    def _failures(self, listing: Listing, arguments: Arguments) -> str:
        found = slices.places((), (), arguments["output"], listing.by_path.keys())
        files = [listing.by_path[path] for path in dict.fromkeys(place.path for place in found)]
        self._learn(files)

        def read(path: str) -> bytes | None:
            return self._index.tree.read(listing.by_path[path])

        text = slices.render(found, read, self._symbols.outlines(files), budget=4000)
        return text or "The output names no file of this repository."

    def _names(self) -> Names:
        return Names(self._seen, self._ranked, self._symbols, self._learn_some)

    def _learn_some(self, files: Collection[SourceFile]) -> None:
        """As many as a question can wait for."""
        if not self._learn_for(iter(files), _ANSWER_S):
            self._unread = len(self._symbols.missing(files))

    def _learn(self, files: Collection[SourceFile]) -> None:
        self._index.learn_some(self._symbols, files)


def _visible(listing: Listing, before: Listing) -> Listing:
    """What of a listing is not hidden, made from what was so `before`."""
    digest, old = f"{listing.digest}{_VISIBLE}", f"{listing.before}{_VISIBLE}"
    changed = frozenset(path for path in listing.changed if not hidden(path))
    if before.digest != old:
        files = tuple(file for file in listing.files if not hidden(file.path))
        by_path = {file.path: file for file in files}
    else:
        files, by_path = revised(before.files, changed, listing.by_path), dict(before.by_path)
        for path in changed:
            if path in listing.by_path:
                by_path[path] = listing.by_path[path]
            else:
                by_path.pop(path, None)
    return Listing(files, digest, listing.notes, by_path, old if listing.before else "", changed)


def main() -> None:
    """Serve until standard input ends. The limits hold before the first byte of a repository is read."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    server, waiting, wait = Server(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]), b"", 600.0
    while True:
        line, found, rest = waiting.partition(b"\n")
        if found:
            waiting = rest
            _reply(server, line)
            wait = _SOON_S
        elif select.select([0], [], [], wait)[0]:
            data = os.read(0, 1 << 20)
            if not data:
                return
            waiting += data
        else:
            wait = server.rest()


def _reply(server: Server, line: bytes) -> None:
    request = json.loads(line)
    try:
        answer = {"text": server.answer(request["name"], request["arguments"])}
    except Rejected as error:
        answer = {"rejected": str(error)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
