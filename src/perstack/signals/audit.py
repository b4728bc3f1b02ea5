"""Checking evidence that somebody hands over: every byte of it, and that its verdict follows. Runs no signal.

A seal finds what was changed by accident or by a careless hand. Whoever can write the whole folder can seal it anew:
against that only a second run of the signals helps (`perstack audit --rerun`).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perstack.core.json import JsonObject, canonical
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Reason, Verdict
from perstack.infrastructure import foreign
from perstack.signals.evidence import EvidenceInvalid, rederive, seal_of, spec_from_json

PATCH = "candidate.patch"
_LARGEST = 256 * 1024 * 1024
# Evidence names its own files; a name may not lead out of its folder.
_FILE = re.compile(rf"{re.escape(PATCH)}|results/[a-z]+-\d+-\d+\.json|pictures/[0-9a-f]{64}\.png")


@dataclass(frozen=True, slots=True)
class Audit:
    """Evidence that holds together: what was judged, against which base, by which signals, and the verdict."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    base: str
    patch: str
    specs: tuple[SignalSpec, ...]
    targets: tuple[str, ...]
    needs_red: bool
    files: int
    checks: JsonObject | None = None
    withheld: bool = False  # `patch` is not what was judged: that held a secret


def audit(path: Path) -> Audit:
    """Check an `evidence.json` and the files beside it.

    Raises: EvidenceInvalid that says which file does not hold and why.
    """
    data = _bytes(path)
    try:
        statement = json.loads(data)
    except ValueError as error:
        raise EvidenceInvalid(f"{path}: not JSON: {error}") from error
    if not isinstance(statement, dict) or not isinstance(statement.get("predicate"), dict):
        raise EvidenceInvalid(f"{path}: this is not a perstack verification statement")
    if data != f"{canonical(statement)}\n".encode():
        raise EvidenceInvalid(f"{path}: not in the form it was written in; it was changed")
    if statement["predicate"].get("seal") != seal_of(statement):
        raise EvidenceInvalid(f"{path}: the seal does not match; it was changed")
    files: list[str] = []

    def read(name: str) -> bytes:
        if not _FILE.fullmatch(name):
            raise EvidenceInvalid(f"{path}: names the file {name!r}, which evidence never has")
        files.append(name)
        return _bytes(path.parent / name)

    patch = _patch(path, statement, read(PATCH))
    verdict, reasons = rederive(statement, read)
    predicate: dict[str, Any] = statement["predicate"]
    return Audit(
        verdict,
        reasons,
        base=str(predicate.get("base")),
        patch=patch,
        specs=tuple(spec_from_json(entry["spec"]) for entry in predicate["signals"]),
        targets=tuple(map(str, predicate["targets"])),
        needs_red=predicate["needsRed"] is True,
        files=len(files) + 1,
        checks=predicate.get("checks"),
        withheld="withheld" in predicate,
    )


def _patch(path: Path, statement: dict[str, Any], data: bytes) -> str:
    subject = statement.get("subject")
    wanted = {"name": PATCH, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
    if subject != [wanted]:
        raise EvidenceInvalid(f"{path.parent / PATCH}: the digest does not match: not the patch that was judged")
    return data.decode("utf-8", "surrogateescape")


def _bytes(path: Path) -> bytes:
    try:
        return foreign.read(path, _LARGEST)
    except OSError as error:
        raise EvidenceInvalid(f"{path}: cannot be read: {error.strerror}") from error
