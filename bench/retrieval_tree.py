"""A made-up repository of any size: names, sizes and folders as in real ones, the same for the same seed."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

_VERBS = [
    "get", "set", "load", "parse", "build", "send", "read", "write", "merge", "split", "check", "find", "open",
    "close", "make", "drop", "sort", "map", "fold", "scan",
]  # fmt: skip
_NOUNS = [
    "user", "order", "invoice", "token", "cache", "index", "buffer", "stream", "packet", "frame", "shard",
    "region", "tenant", "ledger", "policy", "budget", "quota", "widget", "layout", "theme", "locale", "cursor",
    "parser", "lexer", "symbol", "scope", "module", "worker", "queue", "batch", "signal", "probe", "metric",
    "trace", "session", "cookie", "header", "payload", "schema", "record", "column", "query", "cluster",
    "replica", "snapshot", "journal", "commit", "branch", "patch",
]  # fmt: skip
_ENDS = [
    "id", "name", "list", "map", "count", "size", "state", "kind", "error", "result", "config", "option",
    "handler", "factory", "context", "entry",
]  # fmt: skip
_SUFFIXES = (".py", ".py", ".py", ".ts", ".ts", ".js", ".go", ".java", ".rs", ".c", ".h", ".md", ".json")
_NAMES = 40_000
_LINES = 30_000


class Maker:
    """Writes source files whose words follow a Zipf-like law."""

    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)  # noqa: S311  # reproducible, not secret
        self.names = [self._name(number) for number in range(_NAMES)]
        weights = itertools.accumulate(1 / (rank + 3) for rank in range(_NAMES))
        self._weights = list(weights)
        self._lines = [self._line() for _ in range(_LINES)]

    def files(self, count: int) -> Iterator[tuple[str, str]]:
        """Paths and texts; sizes are log-normal with a median of about 2.5 kB and a mean of about 5."""
        for number in range(count):
            kind = _NOUNS[number // 20 % len(_NOUNS)]
            folder = f"packages/{_NOUNS[number // 400 % len(_NOUNS)]}{number // 400:03}/{kind}{number // 20 % 20}"
            name = f"{self.random.choice(_NOUNS)}_{self.random.choice(_ENDS)}_{number}"
            yield f"{folder}/{name}{self.random.choice(_SUFFIXES)}", self._text(number)

    def write(self, root: Path, count: int) -> int:
        """Write `count` files below `root`; the bytes written."""
        made, written = set[Path](), 0
        for path, text in self.files(count):
            target = root / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            written += target.write_bytes(text.encode())
        return written

    def _text(self, number: int) -> str:
        lines = max(3, min(4000, int(self.random.lognormvariate(4.2, 1.15))))
        start = f"# unit {number}\ndef {self.random.choice(_VERBS)}Unit{number}Of{number % 97}():\n"
        return start + "".join(self.random.choices(self._lines, k=lines))

    def _pick(self) -> str:
        return self.names[bisect.bisect_left(self._weights, self.random.random() * self._weights[-1]) % _NAMES]

    def _name(self, number: int) -> str:
        verb, noun, end = (self.random.choice(words) for words in (_VERBS, _NOUNS, _ENDS))
        other = self.random.choice(_NOUNS)
        form = number % 4
        if form == 0:
            return f"{verb}{noun.title()}{other.title()}{end.title()}"
        if form == 1:
            return f"{verb}_{noun}_{other}_{end}"
        if form == 2:
            return f"{noun.title()}{other.title()}{end.title()}{number % 50}"
        return f"{noun}_{end}"

    def _line(self) -> str:
        indent = " " * 4 * self.random.randrange(1, 4)
        form = self.random.randrange(5)
        a, b, c = self._pick(), self._pick(), self._pick()
        if form == 0:
            return f"{indent}{a} = {b}({c}, {self.random.randrange(100)})\n"
        if form == 1:
            return f"{indent}if {a}.{b} is not None and {c}:\n"
        if form == 2:
            return f"{indent}return {a}\n"
        if form == 3:
            return f"{indent}// the {a} of a {b} comes before its {c}\n"
        return f'{indent}{a}.{b}("{c}", retry=True)\n'
