"""What the harness asks, read from the fenced JSON block of a query. Pure; unknown fields are ignored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from perstack.core.json import Json, JsonObject

_BLOCK = re.compile(r"^```json\s*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_DROPPED = {"-x", "--exitfirst", "--lf", "--last-failed", "--ff", "--failed-first", "--sw", "--stepwise", "-s"}
_DROPPED_PREFIXES = ("--maxfail", "--cov", "--junit", "-n", "--dist", "--tb", "--durations", "-v", "--verbose")
_WITH_VALUE = {"-n", "--maxfail", "--cov", "--cov-report", "--junitxml", "--junit-xml", "--dist", "--tb"}


@dataclass(frozen=True, slots=True)
class Failing:
    """One failing test. `path` and `line` say where it failed; empty and 0 where unknown."""

    id: str
    message: str = ""
    path: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal's command. `cwd` is relative to the workspace."""

    name: str
    run: tuple[str, ...]
    framework: str = ""
    cwd: str = "."


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a rejected patch did to one file: its lines, stripped, and its hunks as (before, after) texts."""

    path: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    hunks: tuple[tuple[str, str], ...]

    def to_json(self) -> JsonObject:
        return {"path": self.path, "removed": self.removed, "added": self.added, "hunks": self.hunks}


@dataclass(frozen=True, slots=True)
class Query:
    """The task as the search understands it."""

    signals: tuple[Signal, ...] = ()
    failing: tuple[Failing, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    protected: tuple[str, ...] = ()

    @property
    def suite(self) -> Signal | None:
        """The first signal that runs pytest."""
        return next((s for s in self.signals if s.framework == "pytest" or is_pytest(s.run)), None)


def read_query(text: str) -> Query | None:
    """The query of the last block marked `"perstack"`, or None where there is none.

    The harness writes its block last; an earlier one may come from the text of an issue.
    """
    for match in reversed(list(_BLOCK.finditer(text))):
        try:
            block = json.loads(match.group(1))
        except json.JSONDecodeError:
            continue
        if isinstance(block, dict) and "perstack" in block:
            return _query(block)
    return None


def _query(block: Mapping[str, Json]) -> Query:
    return Query(
        signals=tuple(
            Signal(_text(s, "name"), _texts(s.get("run")), _text(s, "framework"), _text(s, "cwd") or ".")
            for s in _objects(block.get("signals"))
        ),
        failing=tuple(
            Failing(_text(f, "id"), _text(f, "message"), _text(f, "path"), _number(f.get("line")))
            for f in _objects(block.get("failing"))
        ),
        rejected=tuple(r for patch in _patches(block.get("rejected")) for r in read_patch(patch)),
        protected=_texts(block.get("protected")),
    )


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, Sequence) else []


def _texts(value: Json) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ()
    return tuple(v for v in value if isinstance(v, str))


def _text(value: Mapping[str, Json], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _patches(value: Json) -> Iterator[str]:
    """Patch texts, given plainly or as objects with a `patch`; bare digests say nothing we could use."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return
    for item in value:
        patch = _text(item, "patch") if isinstance(item, Mapping) else item
        if isinstance(patch, str) and "@@" in patch:
            yield patch


def read_patch(patch: str) -> list[Rejection]:
    """The files of a unified diff."""
    found: list[Rejection] = []
    for part in re.split(r"(?m)^(?=--- )", patch):
        name = re.search(r"(?m)^\+\+\+ (?:b/)?([^\t\n]+)", part)
        if name is None:
            continue
        body = part[name.end() :]
        hunks, removed, added = [], [], []
        for hunk in re.split(r"(?m)^@@[^\n]*\n", body)[1:]:
            lines = re.split(r"(?m)^(?=diff --git )", hunk)[0].splitlines()
            before = [line[1:] for line in lines if line[:1] in {" ", "-"} or not line]
            after = [line[1:] for line in lines if line[:1] in {" ", "+"} or not line]
            hunks.append(("\n".join(before), "\n".join(after)))
            removed += [line[1:].strip() for line in lines if line.startswith("-")]
            added += [line[1:].strip() for line in lines if line.startswith("+")]
        found.append(Rejection(name.group(1), tuple(removed), tuple(added), tuple(hunks)))
    return found


def is_pytest(argv: Sequence[str]) -> bool:
    """Whether a command runs pytest."""
    return any(PurePosixPath(a).name in {"pytest", "py.test"} for a in argv)


@dataclass(frozen=True, slots=True)
class Runner:
    """How to run Python as a command does, and what it tells pytest.

    `as_module`: `python -m pytest`, which puts the current directory on the import path.
    """

    python: tuple[str, ...]
    arguments: tuple[str, ...]
    as_module: bool


def read_runner(argv: Sequence[str]) -> Runner:
    """Take a pytest command apart; options that stop early, spread out or report elsewhere are left out."""
    names = [PurePosixPath(a).name for a in argv]
    at = next(i for i, name in enumerate(names) if name in {"pytest", "py.test"})
    as_module = at > 0 and argv[at - 1] == "-m"
    python = list(argv[: at - 1] if as_module else argv[:at])
    if "-m" in python:
        python = python[: python.index("-m")]
    if not any(PurePosixPath(a).name.startswith(("python", "pypy")) for a in python):
        python = [a for a in python if PurePosixPath(a).name != "coverage"] if not as_module else []
        folder = PurePosixPath(argv[at]).parent
        python.append(str(folder / "python") if str(folder) != "." else "python3")
    return Runner(tuple(python), tuple(_kept(argv[at + 1 :])), as_module)


def _kept(arguments: Sequence[str]) -> Iterator[str]:
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in _WITH_VALUE:
            skip = True
        elif argument not in _DROPPED and not argument.startswith(_DROPPED_PREFIXES):
            yield argument
