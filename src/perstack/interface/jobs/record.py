"""What a job leaves in its comment for later jobs: who asked for what, at which commit, and what came of it. Pure.

It is public, and trusted only because the forge says that the comment is our own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from perstack.core.json import Json, compact

VERSION = 1
MAX_ARGUMENTS = 400
MAX_PLAN = 8_000  # of the packed form
MAX_DATA = 15_000  # bytes of all that a comment hides
_MAX_UNPACKED = 64_000


@dataclass(frozen=True, slots=True)
class Record:
    """One job on one comment. Times are ISO 8601 in UTC; `actor` is the account id of who asked."""

    command: str
    actor: int = 0
    login: str = ""
    bot: bool = False
    arguments: str = ""
    expert: str = ""
    head: str = ""
    run: int = 0
    attempt: int = 0
    state: str = "working"  # working | done | cancelled | failed
    started: str = ""
    finished: str = ""
    plan: str = ""
    plan_sha256: str = ""

    @property
    def order(self) -> tuple[int, int, str]:
        """Of two jobs on one comment the greater is the newer."""
        return (self.run, self.attempt, self.started)

    def to_json(self) -> dict[str, Json]:
        """The hidden data; empty texts are left out."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"v": VERSION, **{name: value for name, value in values.items() if value or name in {"run", "attempt"}}}


def read_record(data: Mapping[str, Json]) -> Record | None:
    """The record in hidden data, None where it is not of a form that this version writes."""
    if data.get("v") != VERSION or not isinstance(data.get("command"), str):
        return None
    values: dict[str, Any] = {}
    for one in fields(Record):
        found = data.get(one.name)
        wanted = {"int": int, "bool": bool}.get(str(one.type), str)
        if isinstance(found, wanted) and not (wanted is int and isinstance(found, bool)):
            values[one.name] = found
    return Record(**values)


def fitted(data: Mapping[str, Json]) -> dict[str, Json]:
    """The data within what a comment can hide: what earlier jobs left goes first, the oldest of it before the rest."""
    kept = dict(data)
    for name in ("history", "past"):
        rows = list(found) if isinstance(found := kept.get(name), list | tuple) else []
        while rows and len(compact(kept).encode()) > MAX_DATA:
            rows.pop()
            kept[name] = rows
    return kept


def timestamp(moment: datetime) -> str:
    """A time in the form that records have, to the millisecond; these sort as texts."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def digest_of(plan: str) -> str:
    """What a plan is known by."""
    return hashlib.sha256(plan.encode("utf-8", "surrogatepass")).hexdigest()


def pack_plan(plan: str) -> tuple[str, str]:
    """A plan and its packed form. One that does not fit is cut, so that what is posted is what will be carried out."""
    text = plan.strip()
    while True:
        packed = base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()
        if len(packed) <= MAX_PLAN:
            return text, packed
        cut = text[: len(text) * 9 // 10]
        text = cut[: cut.rfind("\n")] if "\n" in cut else cut


def unpack_plan(record: Record) -> str:
    """The plan of a record, empty where it is not there or is not the one that its digest names."""
    try:
        packed = base64.b64decode(record.plan, validate=True)
        text = zlib.decompressobj().decompress(packed, _MAX_UNPACKED).decode()
    except (binascii.Error, zlib.error, ValueError):
        return ""
    return text if text and digest_of(text) == record.plan_sha256 else ""
