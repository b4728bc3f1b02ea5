"""Results that are kept between jobs: what a signal said about exactly one tree, where it proved deterministic.

An entry counts only for the same trees, specification, sandbox and harness, all of them by digest. It is sealed and
written at once; whatever does not hold together is as good as absent. No sandbox ever sees the folder. Whoever may
write there is the user whose harness this is: the seal finds damage and mistakes, not that user.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from uuid import uuid4

from perstack.core.json import Json, JsonObject, canonical
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Measurement, Picture, SignalRun, SignalSpec, SignalStatus
from perstack.core.version import __version__
from perstack.signals.evidence import EvidenceInvalid, run_from_json, run_to_json
from perstack.signals.measure import Measured, differing
from perstack.signals.spec_digest import spec_digest

_FORMAT = "2"
_ENTRY_LIMIT = 64_000_000
_TOTAL_LIMIT = 500_000_000
_AGE_S = 7 * 24 * 3600.0
_SUFFIX = ".result"
_LOST_DRAFT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What beside the tree decides about a result. `base` is the digest of the base's tree: plans are made from it."""

    sandbox: str
    snapshot: Snapshot
    base: str

    def key(self, word: str, *more: str) -> str:
        """SHA-256 over everything that an entry is for."""
        parts = (_FORMAT, _harness(), self.sandbox, self.snapshot.digest, repr(self.snapshot.limits), word)
        env = tuple("=".join(pair) for pair in self.snapshot.env)
        return hashlib.sha256(canonical([*parts, self.base, list(env), *more]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ResultCache:
    """Entries in one private folder. `toolchain` names what a sandbox shows of the machine beside its snapshot."""

    folder: Path
    toolchain: str = ""
    now: float = field(default_factory=time.time)

    def measured(self, spec: SignalSpec, tree: str, setting: Setting) -> Measured | None:
        """What a signal said about a tree; None where nobody knows."""
        entry = self._read(self._key(spec, tree, setting))
        if entry is None:
            return None
        try:
            runs = tuple(_run_of(row) for row in _list(entry, "runs") if isinstance(row, dict))
        except (EvidenceInvalid, ValueError):
            return None
        replaced = frozenset(map(str, _list(entry, "replaced")))
        measured = Measured(Measurement(spec, runs), replaced=replaced, cached=True)
        return measured if is_deterministic(measured) else None

    def keep(self, measured: Measured, tree: str, setting: Setting) -> None:
        """Keep what proved deterministic; anything else is left out."""
        spec = measured.measurement.spec
        if is_deterministic(measured) and not measured.cached:
            runs: list[Json] = [_row_of(run) for run in measured.measurement.runs]
            self._write(self._key(spec, tree, setting), {"runs": runs, "replaced": [*sorted(measured.replaced)]})

    def checked(self, key: str) -> JsonObject | None:
        """What the checks after a comparison said, where all of it was well."""
        return self._read(self._with_toolchain(key))

    def keep_checked(self, key: str, said: Mapping[str, Json]) -> None:
        """Keep what `checked` gives back."""
        self._write(self._with_toolchain(key), said)

    def collect(self) -> None:
        """Delete what is too old, and the oldest where all is too large."""
        found: list[tuple[float, int, Path]] = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    about = path.lstat()
                    lost = path.suffix != _SUFFIX and self.now - about.st_mtime > _LOST_DRAFT_S
                    if lost or self.now - about.st_mtime > _AGE_S:
                        path.unlink()
                    else:
                        found.append((about.st_mtime, about.st_size, path))
            total = sum(size for _, size, _ in found)
            for _, size, path in sorted(found):
                if total <= _TOTAL_LIMIT:
                    break
                path.unlink(missing_ok=True)
                total -= size

    def _key(self, spec: SignalSpec, tree: str, setting: Setting) -> str:
        return self._with_toolchain(setting.key("signal", spec_digest(spec), tree))

    def _with_toolchain(self, key: str) -> str:
        return hashlib.sha256(f"{key}\0{self.toolchain}".encode()).hexdigest()

    def _read(self, key: str) -> JsonObject | None:
        """The content of an entry of ours, fresh and whole."""
        try:
            if not self._is_ours():
                return None
            fd = os.open(self.folder / f"{key}{_SUFFIX}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                about = os.fstat(fd)
                if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_size > _ENTRY_LIMIT:
                    return None
                # a file from the future is no fresher than one from the past
                if abs(self.now - about.st_mtime) > _AGE_S:
                    return None
                seal, _, data = file.read(_ENTRY_LIMIT).partition(b"\n")
            if seal.decode("ascii") != hashlib.sha256(key.encode() + b"\0" + data).hexdigest():
                return None
            content = json.loads(data)
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write(self, key: str, content: Mapping[str, Json]) -> None:
        """Whole or not at all. A cache that cannot be written is no reason to fail."""
        data = canonical(dict(content)).encode("utf-8", "surrogatepass")
        seal = hashlib.sha256(key.encode() + b"\0" + data).hexdigest()
        draft = self.folder / f"{key}.{uuid4().hex}.draft"
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if len(data) >= _ENTRY_LIMIT or not self._is_ours():
                return
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(f"{seal}\n".encode() + data)
                draft.replace(self.folder / f"{key}{_SUFFIX}")
            finally:
                draft.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        """Whether nobody else can write there. Raises: OSError where there is no folder."""
        about = self.folder.lstat()
        return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022


def _list(entry: JsonObject, name: str) -> list[Json]:
    found = entry.get(name)
    return found if isinstance(found, list) else []


def _row_of(run: SignalRun) -> JsonObject:
    """A run with its pictures themselves: evidence of a later job needs them."""
    pictures: list[Json] = [
        {"name": picture.name, "data": base64.b64encode(picture.data).decode()} for picture in run.pictures
    ]
    return {**run_to_json(run), "pictures": pictures}


def _run_of(row: JsonObject) -> SignalRun:
    """The inverse. Raises: EvidenceInvalid; ValueError for a picture that is none."""
    found = [entry for entry in _list(row, "pictures") if isinstance(entry, dict)]
    pictures = [Picture(str(one.get("name")), base64.b64decode(str(one.get("data")), validate=True)) for one in found]
    return replace(run_from_json(row), pictures=tuple(pictures))


def is_deterministic(measured: Measured) -> bool:
    """Whether at least two runs agree in everything that is ever compared, in every order that was tried."""
    runs = measured.measurement.runs
    if len(runs) < 2 or measured.shuffled is not None or measured.order_dependent:
        return False
    if any(run.problem_code or run.problem or run.status is SignalStatus.ERROR for run in runs):
        return False
    first = runs[0]
    return all(
        run.status is first.status
        and run.exit_code == first.exit_code
        and not differing(first, run)
        and sorted(d.fingerprint for d in run.diagnostics) == sorted(d.fingerprint for d in first.diagnostics)
        and run.coverage == first.coverage
        and run.pictures == first.pictures
        for run in runs[1:]
    )


def toolchain_of(path: Sequence[Path]) -> str:
    """A name for the programs of this machine that change where something is installed; cheap, so no proof."""
    folders = [*path]
    for entry in path:
        folders += [*sorted(entry.parent.glob("lib/python3*/site-packages")), entry.parent / "lib/node_modules"]
    seen = []
    for place in folders:
        with contextlib.suppress(OSError):
            seen.append(f"{place}:{place.stat().st_mtime_ns}")
    return hashlib.sha256("\0".join(seen).encode()).hexdigest()


@cache
def _harness() -> str:
    """The version and the very sources of the signals: another harness may judge otherwise."""
    digest = hashlib.sha256(__version__.encode())
    root = Path(__file__).parent
    for source in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".pyo"}):
        digest.update(str(source.relative_to(root)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def checks_key(setting: Setting, specs: Sequence[SignalSpec], tree: str, **asked: object) -> str:
    """The key of what the checks after a comparison said. `asked` is everything else they depend on."""
    return setting.key("checks", *(spec_digest(spec) for spec in specs), tree, repr(sorted(asked.items())))
