"""Retrieval judged by this repository's own history: a commit's message → the files it changed. Prints JSON.

For a fixed sample of commits the parent's tree is indexed and asked with the message, paths taken out. Recall@10 is
the share of the changed files among the first ten. Grep is what anyone has: files by how many of the words they hold.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT
from perstack.context.retrieval.contract import Listing, SourceFile
from perstack.context.retrieval.precedents import MAX_COMMITS, Change, Precedents
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.repository_map import interest, rank
from perstack.context.retrieval.symbols import SymbolIndex

_SEED = 20261122
_FIRST = 10
_MOST_FILES = 5
_MOST_BYTES = 1_000_000
_DRAWS = 2_000
_PATH = re.compile(r"\S*/\S*|\b\w+\.(?:py|md|toml|json|yml|js|ts)\b")
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_COMMON = frozenset({"the", "and", "for", "with", "that", "this", "from", "not", "but", "are", "was", "its", "his"})


@dataclass(frozen=True, slots=True)
class Question:
    """One commit: its parent, its message without paths, and the Python files it changed that the parent has."""

    parent: str
    text: str
    changed: frozenset[str]


class Blobs:
    """Contents of one tree, by path."""

    def __init__(self, held: Mapping[str, bytes]) -> None:
        self.held = held

    def read(self, file: SourceFile, limit: int = _MOST_BYTES) -> bytes | None:
        """As `contract.Contents` wants it."""
        data = self.held.get(file.path)
        return None if data is None else data[:limit]

    def contents(self, files: Iterable[SourceFile], limit: int = _MOST_BYTES) -> Iterator[tuple[SourceFile, bytes]]:
        """As `contract.Contents` wants it."""
        return ((file, self.held[file.path][:limit]) for file in files if file.path in self.held)


def git(*arguments: str, stdin: bytes = b"") -> bytes:
    """What git says about this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, input=stdin, capture_output=True, check=True).stdout  # noqa: S607


def questions(count: int) -> list[Question]:
    """A sample of commits with one parent that change one to five Python files, from the newer half of them.

    What ranked search weighs was chosen by the older half.
    """
    raw = git("log", "--no-merges", "--no-renames", "--format=%x01%P%x00%B%x00", "--name-status", "HEAD").decode()
    found = []
    for record in raw.split("\x01")[1:]:
        parent, message, names = record.split("\0", 2)
        rows = [row.split("\t", 1) for row in names.strip().splitlines() if "\t" in row]
        changed = frozenset(path for kind, path in rows if kind == "M" and path.endswith(".py"))
        text = _PATH.sub(" ", message).strip()
        if parent and 1 <= len(changed) <= _MOST_FILES and text:
            found.append(Question(parent, text, changed))
    newer = found[: (len(found) + 1) // 2]
    return random.Random(_SEED).sample(newer, min(count, len(newer)))  # noqa: S311  # a sample, no secret


def tree(commit: str) -> tuple[Listing, Blobs]:
    """The files of a commit."""
    rows = [row.split("\t", 1) for row in git("ls-tree", "-r", "-z", commit).decode().split("\0") if row]
    ids = {path: about.split()[2] for about, path in rows if about.split()[1] == "blob"}
    answer = git("cat-file", "--batch", stdin="".join(f"{sha}\n" for sha in ids.values()).encode())
    held, files, at = {}, [], 0
    for path, sha in ids.items():
        head, _, _ = answer[at : at + 200].partition(b"\n")
        size, begin = int(head.split()[2]), at + len(head) + 1
        at = begin + size + 1
        if size <= _MOST_BYTES:
            held[path] = answer[begin : begin + size]
            files.append(SourceFile(path, sha, size))
    files.sort(key=lambda file: file.path)
    return Listing(tuple(files), commit, by_path={file.path: file for file in files}), Blobs(held)


def changes(commit: str) -> list[Change]:
    """What a commit and those before it changed, paths taken out of their messages as out of the question."""
    raw = git(
        "log", "--no-merges", "--no-renames", "--name-only", "-z", f"--max-count={MAX_COMMITS}",
        "--format=%x01%B%x02", commit,
    ).decode("utf-8", "replace")  # fmt: skip
    found = []
    for record in raw.split("\x01")[1:]:
        message, _, names = record.partition("\x02")
        paths = tuple(name.removeprefix("\n") for name in names.split("\0"))
        found.append(Change(_PATH.sub(" ", message), tuple(path for path in paths if path)))
    return found


def grep(text: str, blobs: Blobs) -> list[str]:
    """Files by how many words of the text they hold, then by how many lines hold one."""
    words = [word.lower().encode() for word in dict.fromkeys(_WORD.findall(text)) if word.lower() not in _COMMON]
    scored = []
    for path, data in blobs.held.items():
        counts = [data.lower().count(word) for word in words]
        if any(counts):
            scored.append((-sum(map(bool, counts)), -sum(counts), path))
    return [path for _, _, path in sorted(scored)]


def joined(*lists: Sequence[str]) -> list[str]:
    """Several orders as one: a file's score is the sum of 1/(60 + its place)."""
    scores: dict[str, float] = {}
    for each in lists:
        for place, path in enumerate(each):
            scores[path] = scores.get(path, 0.0) + 1 / (60 + place)
    return sorted(scores, key=lambda path: (-scores[path], path))


def answers(question: Question, symbols: SymbolIndex, folder: Path) -> dict[str, list[str]]:
    """What each way brings, best first. A fresh ranked index: other commits' contents must not weigh in."""
    listing, blobs = tree(question.parent)
    ranked = RankedIndex()
    ranked.open(folder)
    ranked.add((file, blobs.held[file.path]) for file in ranked.missing(listing.files))
    symbols.add((file, blobs.held[file.path]) for file in symbols.missing(listing.files))
    first = [hit.path for hit in ranked.search(question.text, listing, blobs, limit=50).hits]
    past = Precedents(changes(question.parent)).of(question.text)
    with_past = [hit.path for hit in ranked.search(question.text, listing, blobs, limit=50, precedents=past).hits]
    ranked.close()
    outlines = symbols.outlines(listing.files)
    plain = rank(outlines, interest(question.text))
    second = rank(outlines, interest(question.text, first[:_FIRST]))
    return {
        "grep": grep(question.text, blobs),
        "ranked": first,
        "past": with_past,
        "symbols": joined(first, sorted(plain, key=lambda path: (-plain[path], path))[:50]),
        "two": joined(first, sorted(second, key=lambda path: (-second[path], path))[:50]),
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean, by drawing again."""
    draw = random.Random(_SEED)  # noqa: S311  # a sample, no secret
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(_DRAWS))
    return means[int(0.025 * _DRAWS)], means[int(0.975 * _DRAWS)]


def main(count: int) -> None:
    """Print recall@10 of each way, its interval, and that of the difference to grep."""
    found: dict[str, list[float]] = {}
    asked = questions(count)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        symbols = SymbolIndex()
        symbols.open(Path(folder))
        for number, question in enumerate(asked):
            place = Path(folder) / str(number)
            place.mkdir()
            for way, paths in answers(question, symbols, place).items():
                # Only Python files are asked for: of every way, only those count.
                code = [path for path in paths if path.endswith(".py")][:_FIRST]
                share = len(question.changed & set(code)) / len(question.changed)
                found.setdefault(way, []).append(share)
        symbols.close()
    figures = {
        way: {
            "recall": statistics.fmean(values),
            "interval": interval(values),
            "gain": interval([ours - plain for ours, plain in zip(values, found["grep"], strict=True)]),
        }
        for way, values in found.items()
    }
    sys.stdout.write(json.dumps({"commits": len(asked), "ways": figures}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
