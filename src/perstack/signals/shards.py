"""Measurements shared out over several machines: who measures what, the files they leave, and putting them together.

A unit is one signal on one tree, or one part of its test files. What a shard left counts only for exactly the same
question (specification, tree, sandbox, harness, number of runs, all by digest); anything else is as good as absent,
and whoever merges measures it again. Judges nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from perstack.core.errors import UserError
from perstack.core.json import Json, JsonObject, canonical
from perstack.core.signals import Measurement, SignalRun, SignalSpec, SignalStatus, TestCase
from perstack.core.verdict import ReasonCode
from perstack.infrastructure import foreign
from perstack.signals.cache import Setting
from perstack.signals.evidence import EvidenceInvalid, run_to_json, run_with_pictures
from perstack.signals.measure import Measured
from perstack.signals.spec_digest import spec_digest
from perstack.signals.suites.contract import Divisible, Part, SuitePlan
from perstack.signals.tree import BASE, CANDIDATE, OWN

MANIFEST = "shard.json"
MOST_SHARDS = 256  # jobs of one Actions matrix
_FORMAT = 1
_MOST_BYTES = 512_000_000
_NO_TESTS = ReasonCode.NO_TESTS.value


@dataclass(frozen=True, slots=True)
class Unit:
    """One signal on one tree (`base`, `candidate`, `own`), or a part of its test files."""

    signal: str
    tree: str
    part: Part = field(default_factory=Part)

    def __str__(self) -> str:
        piece = f" [{self.part.number}/{self.part.of}]" if self.part.of > 1 else ""
        return f"{self.signal}{piece} on {self.tree}"


def units_of(
    specs: Sequence[SignalSpec], plans: Mapping[str, SuitePlan], of: int, *, own: bool
) -> tuple[tuple[Unit, ...], ...]:
    """What each of `of` shards measures: what can be divided is, the rest goes round. Always the same answer."""
    shares: list[list[Unit]] = [[] for _ in range(of)]
    whole: list[Unit] = []
    for spec in specs:
        plan: object = plans.get(spec.name)
        for tree in (BASE, CANDIDATE, *([OWN] if own and plan is not None else [])):
            if of > 1 and isinstance(plan, Divisible):
                for number in range(1, of + 1):
                    shares[number - 1].append(Unit(spec.name, tree, Part(number, of)))
            else:
                whole.append(Unit(spec.name, tree))
    for index, unit in enumerate(whole):
        shares[index % of].append(unit)
    return tuple(map(tuple, shares))


def joined(spec: SignalSpec, parts: Sequence[Measured]) -> Measured:
    """The measurement of all parts as one. A part without tests says nothing; all of them without: no tests."""
    if len(parts) == 1:
        return parts[0]
    telling = [part for part in parts if not _is_empty(part)] or list(parts[:1])
    rounds = zip_longest(*(part.measurement.runs for part in telling))
    # a part that was run less often proved the same each time: its last run stands for the missing ones
    filled = ([run or part.measurement.runs[-1] for run, part in zip(row, telling, strict=True)] for row in rounds)
    shuffled = None
    if any(part.shuffled for part in telling):
        shuffled = _joined_run([part.shuffled or part.measurement.runs[-1] for part in telling])
    return Measured(
        Measurement(spec, tuple(_joined_run(row) for row in filled)),
        shuffled=shuffled,
        order_dependent=frozenset().union(*(part.order_dependent for part in telling)),
        replaced=frozenset().union(*(part.replaced for part in telling)),
    )


def _is_empty(part: Measured) -> bool:
    runs = part.measurement.runs
    return bool(runs) and all(run.problem_code == _NO_TESTS and not run.tests for run in runs)


_BADNESS = (SignalStatus.PASS, SignalStatus.FAIL, SignalStatus.FLAKY, SignalStatus.ERROR)


def _joined_run(runs: Sequence[SignalRun]) -> SignalRun:
    """Several parts of one run as one run: the worst status, all tests, the first problem."""
    worst = max(runs, key=lambda run: _BADNESS.index(run.status))
    tests: dict[str, TestCase] = {}
    for case in (case for run in runs for case in run.tests.values()):
        known = tests.get(case.id)
        tests[case.id] = case if known is None or case.status.badness > known.status.badness else known
    return replace(
        worst,
        seconds=sum(run.seconds for run in runs),
        tests=tests,
        diagnostics=tuple(dict.fromkeys(d for run in runs for d in run.diagnostics)),
        output="\n".join(run.output for run in runs if run.output),
        pictures=tuple(dict.fromkeys(p for run in runs for p in run.pictures)),
    )


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that a unit's result depends on. `runs` of None are as many as the signal wants."""

    spec: SignalSpec
    tree: str  # digest
    setting: Setting
    runs: int | None = None

    @property
    def key(self) -> str:
        return self.setting.key("shard", spec_digest(self.spec), self.tree, str(self.runs))


class ShardWriter:
    """The folder of one shard: a file for each unit, and a manifest at the end that names them all."""

    def __init__(self, folder: Path, number: int, of: int, about: Mapping[str, Json]) -> None:
        self._folder = folder
        self._head: JsonObject = {"format": _FORMAT, "shard": number, "of": of, "about": dict(about)}
        self._units: list[Json] = []

    def add(self, unit: Unit, question: Question, measured: Measured) -> None:
        """Keep a unit's result."""
        content: JsonObject = {
            "runs": [self._kept(run) for run in measured.measurement.runs],
            "shuffled": None if measured.shuffled is None else self._kept(measured.shuffled),
            "orderDependent": [*sorted(measured.order_dependent)],
            "replaced": [*sorted(measured.replaced)],
        }
        data = canonical(content).encode("utf-8", "surrogatepass")
        name = f"unit-{len(self._units) + 1}.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(data)
        row: JsonObject = {"unit": str(unit), "key": question.key, "part": [unit.part.number, unit.part.of]}
        self._units.append({**row, "file": name, "sha256": hashlib.sha256(data).hexdigest()})

    def _kept(self, run: SignalRun) -> JsonObject:
        for picture in run.pictures:
            (self._folder / picture.path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / picture.path).write_bytes(picture.data)
        return run_to_json(run)

    def close(self) -> None:
        """Write the manifest: without it the folder counts for nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{MANIFEST}.part"
        draft.write_text(canonical({**self._head, "units": self._units}) + "\n", encoding="utf-8")
        draft.replace(self._folder / MANIFEST)


@dataclass(frozen=True, slots=True)
class _Found:
    folder: Path
    file: str
    sha256: str


class Shards:
    """What the shards left. `found` and `missing` shards are numbers; `of` is how many there should be."""

    def __init__(self, of: int, found: Collection[int], units: Mapping[str, Mapping[tuple[int, int], _Found]]) -> None:
        self.of = of
        self.found = frozenset(found)
        self._units = units

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(number for number in range(1, self.of + 1) if number not in self.found)

    @classmethod
    def load(cls, folders: Iterable[Path], about: Mapping[str, Json]) -> Shards:
        """Read the manifests below some folders.

        Raises: UserError where there is none, or one is damaged or about another change.
        """
        roots = list(folders)
        manifests = sorted({path for root in roots for path in root.rglob(MANIFEST)})
        if not manifests:
            where = ", ".join(map(str, roots)) or "nothing"
            raise UserError(f"no {MANIFEST} below {where}", hint="Give the folders that `perstack shard run` wrote.")
        units: dict[str, dict[tuple[int, int], _Found]] = {}
        counts, found = set[int](), set[int]()
        for path in manifests:
            head = _manifest(path, about)
            counts.add(int(head["of"]))
            found.add(int(head["shard"]))
            for row in head["units"]:
                place = _Found(path.parent, Path(row["file"]).name, row["sha256"])
                units.setdefault(row["key"], {})[row["part"][0], row["part"][1]] = place
        if len(counts) != 1:
            raise UserError(f"the shards say different numbers of shards: {sorted(counts)}", hint="Merge one run only.")
        return cls(counts.pop(), found, units)

    def measured(self, question: Question) -> Measured | None:
        """The answer to a question, None where some part of it is missing or damaged."""
        parts = self._units.get(question.key, {})
        wanted = [(number, of) for of in sorted({of for _, of in parts}) for number in range(1, of + 1)]
        if not wanted or set(wanted) != set(parts):
            return None
        try:
            return joined(question.spec, [_read(parts[key], question.spec) for key in wanted])
        except (OSError, EvidenceInvalid, ValueError, KeyError, TypeError):
            return None


def _manifest(path: Path, about: Mapping[str, Json]) -> dict[str, Any]:
    hint = "Run the shard again."
    try:
        head = json.loads(foreign.read(path, _MOST_BYTES))
        known = _is_manifest(head)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as a shard's manifest: {error}", hint=hint) from error
    if not known:
        raise UserError(f"{path}: this is not a shard's manifest of this version", hint=hint)
    if head.get("about") != dict(about):
        raise UserError(
            f"{path}: these results are about another change or another version",
            hint="Merge what `perstack shard run` wrote for the same base, change and version.",
        )
    found: dict[str, Any] = head
    return found


def _is_manifest(head: Any) -> bool:
    of, number, rows = head["of"], head["shard"], head["units"]
    counted = isinstance(of, int) and isinstance(number, int) and 1 <= number <= of <= MOST_SHARDS
    named = all(isinstance(row["key"], str) and isinstance(row["file"], str) and len(row["part"]) == 2 for row in rows)
    return counted and named and head["format"] == _FORMAT


def _read(place: _Found, spec: SignalSpec) -> Measured:
    data = foreign.read(place.folder / place.file, _MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != place.sha256:
        raise EvidenceInvalid(f"{place.file}: the digest does not match")
    content = json.loads(data)

    def picture(path: str) -> bytes:
        return foreign.read(place.folder / "pictures" / Path(path).name, _MOST_BYTES)

    runs = tuple(run_with_pictures(run, picture) for run in content["runs"])
    shuffled = None if content["shuffled"] is None else run_with_pictures(content["shuffled"], picture)
    return Measured(
        Measurement(spec, runs),
        shuffled=shuffled,
        order_dependent=frozenset(map(str, content["orderDependent"])),
        replaced=frozenset(map(str, content["replaced"])),
    )
