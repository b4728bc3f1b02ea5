"""A map of a repository within a budget: the files and signatures that matter most for a task, and no more.

Files point at files whose definitions they use; rank flows along these edges and starts where the task's words and
the failing signals are. Pure: the same outlines, task and budget give the same bytes.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perstack.context.retrieval.outline import Definition, Outline

BYTES_A_TOKEN = 4
"""What a token is taken to be, where no model's tokeniser is asked."""

MOST_DEFINERS = 8
"""A name that more files define says nothing about which of them is meant."""

_ROUNDS = 20
_DAMPING = 0.85
_A_FILE = 12
_WORD = re.compile(r"[A-Za-z_]\w+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_SKIPPED = frozenset({"prototype", "field", "variant"})


@dataclass(frozen=True, slots=True)
class Interest:
    """What a task names. `words` are lower case; `paths` are files that signals name, nearest first."""

    words: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()


def interest(task: str, paths: Sequence[str] = ()) -> Interest:
    """The words of a task text: identifiers as they are and in their pieces, lower case."""
    found: set[str] = set()
    for word in _WORD.findall(task):
        pieces = [piece for piece in _CAMEL.split(word) if len(piece) > 2]
        found.update(piece.lower() for piece in (word, *pieces))
    return Interest(frozenset(found), tuple(paths))


def tokens(text: str) -> int:
    """About how many tokens a text is, rounded up."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_A_TOKEN)


def rank(outlines: Mapping[str, Outline], wanted: Interest) -> dict[str, float]:
    """How much each file matters, together 1."""
    paths = sorted(outlines)
    if not paths:
        return {}
    start = _start(paths, outlines, wanted)
    edges = _edges(paths, outlines, wanted)
    weights = dict(start)
    for _ in range(_ROUNDS):
        lost = sum(weights[path] for path in paths if not edges[path])
        after = {path: (1 - _DAMPING + _DAMPING * lost) * start[path] for path in paths}
        for path in paths:
            whole = sum(edges[path].values())
            for target, weight in edges[path].items():
                after[target] += _DAMPING * weights[path] * weight / whole
        weights = after
    return weights


def render(outlines: Mapping[str, Outline], wanted: Interest, *, budget: int) -> str:
    """The map as text of at most `budget` tokens: a path a paragraph, below it its signatures with their lines."""
    weights = rank(outlines, wanted)
    uses = _uses(outlines)
    lines: list[str] = []
    left = budget * BYTES_A_TOKEN
    for path in sorted(weights, key=lambda each: (-round(weights[each], 12), each)):
        chosen = _chosen(outlines[path], uses, wanted)
        for part in _shrinking(path, chosen):
            size = len("\n".join(part).encode("utf-8", "surrogatepass")) + 1
            if size <= left:
                lines += part
                left -= size
                break
        else:
            break
    return "\n".join(lines)


def _shrinking(path: str, chosen: Sequence[Definition]) -> list[list[str]]:
    """The paragraph of a file in full, then in ever fewer lines, at last its path alone."""
    counts = sorted({len(chosen), len(chosen) // 2, min(2, len(chosen)), 0}, reverse=True)
    made = []
    for count in counts:
        kept = sorted(chosen[:count], key=lambda each: (each.line, each.qualified))
        made.append([path, *(f"  {each.line}: {_indent(each)}{each.signature}" for each in kept)])
    return made


def _indent(each: Definition) -> str:
    return "  " * min(3, each.qualified.count("."))


def _chosen(outline: Outline, uses: Mapping[str, int], wanted: Interest) -> list[Definition]:
    def value(each: Definition) -> tuple[float, int]:
        named = 8.0 if each.name.lower() in wanted.words else 0.0
        hidden = -2.0 if each.name.startswith("_") else 0.0
        return -(named + hidden + math.log1p(uses.get(each.name, 0))), each.line

    return sorted((each for each in outline.definitions if each.kind not in _SKIPPED), key=value)[:_A_FILE]


def _uses(outlines: Mapping[str, Outline]) -> dict[str, int]:
    """In how many files a name is used."""
    found: dict[str, int] = defaultdict(int)
    for outline in outlines.values():
        for name in outline.names:
            found[name] += 1
    return found


def _start(paths: Sequence[str], outlines: Mapping[str, Outline], wanted: Interest) -> dict[str, float]:
    definers: dict[str, int] = defaultdict(int)
    for path in paths:
        for name in {each.name.lower() for each in outlines[path].definitions}:
            definers[name] += 1
    raw = {}
    for path in paths:
        value = 0.1 + 4.0 * len(wanted.words & _path_words(path))
        names = {each.name.lower() for each in outlines[path].definitions} & wanted.words
        value += sum(8.0 / definers[name] for name in sorted(names))
        if path in wanted.paths:
            value += 20.0 / (1 + wanted.paths.index(path))
        raw[path] = value
    whole = sum(raw.values())
    return {path: value / whole for path, value in raw.items()}


def _path_words(path: str) -> set[str]:
    stem = path.rsplit("/", 1)[-1].split(".", 1)[0]
    return {stem.lower(), *(piece.lower() for piece in _CAMEL.split(stem) if len(piece) > 2)}


def _edges(paths: Sequence[str], outlines: Mapping[str, Outline], wanted: Interest) -> dict[str, dict[str, float]]:
    definers: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for name in sorted({each.name for each in outlines[path].definitions if each.kind not in _SKIPPED}):
            definers[name].append(path)
    edges: dict[str, dict[str, float]] = {path: defaultdict(float) for path in paths}
    for path in paths:
        for name, lines in outlines[path].names.items():
            targets = definers.get(name, ())
            if not 0 < len(targets) <= MOST_DEFINERS or path in targets:
                continue
            weight = math.sqrt(len(lines)) / len(targets) * (5.0 if name.lower() in wanted.words else 1.0)
            for target in targets:
                edges[path][target] += weight
    return edges
