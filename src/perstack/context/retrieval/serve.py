"""The worker of retrieval: reads files nobody trusts, in a process with an empty environment and limits.

One request a line on standard input, one answer a line on standard output, both JSON. `client.py` starts it.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from perstack.context.retrieval import render, repository_map, slices
from perstack.context.retrieval.contract import Listing, Rejected, SourceFile
from perstack.context.retrieval.index import RepositoryIndex
from perstack.context.retrieval.listing import hidden
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.references import Names
from perstack.context.retrieval.symbols import SymbolIndex
from perstack.context.retrieval.text import TextQuery, search_text

_MEMORY = 6 << 30
_MAP_FILES = 3000

Arguments = Mapping[str, Any]


class Server:
    """Answers over one root."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._ranked, self._symbols = RankedIndex(), SymbolIndex()
        self._index = RepositoryIndex(root, folder, (self._ranked, self._symbols))
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
        notes = self._index.learn(self._ranked, listing)
        text = self._answers[name](listing, arguments)
        return "\n".join((text, *notes[:3]))

    def _text(self, listing: Listing, arguments: Arguments) -> str:
        query = TextQuery(**{**arguments, **{key: tuple(arguments.get(key, ())) for key in ("paths", "types")}})
        return render.shown(search_text(query, listing, self._index.tree, self._ranked), numbered=True)

    def _search(self, listing: Listing, arguments: Arguments) -> str:
        seen = _visible(listing)
        return render.shown(self._ranked.search(arguments["query"], seen, self._index.tree, limit=arguments["limit"]))

    def _symbol(self, listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names(listing).definitions(arguments["name"], path=arguments.get("path", "")))

    def _references(self, listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names(listing).references(arguments["name"], path=arguments.get("path", "")))

    def _outline(self, listing: Listing, arguments: Arguments) -> str:
        return render.shown(self._names(listing).outline(arguments["path"]))

    def _map(self, listing: Listing, arguments: Arguments) -> str:
        """Of a large repository, the map of the files that speak of the focus."""
        files = [file for file in _visible(listing).files if file.language]
        focus = arguments.get("focus", "")
        if len(files) > _MAP_FILES:
            best = self._ranked.search(focus or "main", _visible(listing), self._index.tree, limit=50)
            near = {hit.path.rpartition("/")[0] for hit in best.hits}
            files = [file for file in files if file.path.rpartition("/")[0] in near] or files
        chosen = files[:_MAP_FILES]
        self._learn(chosen)
        wanted = repository_map.interest(focus)
        text = repository_map.render(self._symbols.outlines(chosen), wanted, budget=arguments["budget"])
        left = len(files) - len(chosen)
        return (text or "No definitions found.") + (f"\n({left} more files: give a focus.)" if left else "")

    def _failures(self, listing: Listing, arguments: Arguments) -> str:
        found = slices.places((), (), arguments["output"], listing.by_path.keys())
        files = [listing.by_path[path] for path in dict.fromkeys(place.path for place in found)]
        self._learn(files)

        def read(path: str) -> bytes | None:
            return self._index.tree.read(listing.by_path[path])

        text = slices.render(found, read, self._symbols.outlines(files), budget=4000)
        return text or "The output names no file of this repository."

    def _names(self, listing: Listing) -> Names:
        return Names(_visible(listing), self._ranked, self._symbols, self._learn)

    def _learn(self, files: Collection[SourceFile]) -> None:
        self._index.learn_some(self._symbols, files)


def _visible(listing: Listing) -> Listing:
    files = tuple(file for file in listing.files if not hidden(file.path))
    return Listing(files, listing.digest, listing.notes, {file.path: file for file in files})


def main() -> None:
    """Serve until standard input ends. The limits hold before the first byte of a repository is read."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    server = Server(Path(sys.argv[1]), Path(sys.argv[2]))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            answer = {"text": server.answer(request["name"], request["arguments"])}
        except Rejected as error:
            answer = {"rejected": str(error)}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
