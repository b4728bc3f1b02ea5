"""What API tests share: an expert, options without isolation or environment, a store in SQLite."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Unpack

import perstack
from perstack.api.asking import GoOnOptions
from perstack.core.events import Event
from perstack.core.experts import BASE_SKILL
from perstack.core.messages import ModelReply
from perstack.core.storage import EventWriter, JobRecord, LogContents
from perstack.providers.scripted import ScriptedProvider
from perstack.testing import MemoryStore, scripted

TESTER = perstack.Expert("tester", "Do what is asked.")
ASKER = perstack.Expert(
    "asker",
    "Ask first.",
    skills={"ask": perstack.SkillSpec("ask", "interactiveSkill", tools={"askUser": ("Ask.", '{"type":"object"}')})},
)
ONLY_END = {BASE_SKILL: perstack.SkillSpec(BASE_SKILL, pick=("attemptCompletion",))}


def options(tmp_path: Path, *replies: ModelReply, **changes: Unpack[GoOnOptions]) -> GoOnOptions:
    """Options of a run in this process: scripted replies, no isolation, no environment, nothing on disk."""
    plain = GoOnOptions(
        provider=scripted(*replies),
        sandbox="host",
        workspace=tmp_path,
        store=MemoryStore(),
        env={"PATH": "/usr/bin:/bin"},
    )
    return changed(plain, **changes)


def changed(before: GoOnOptions, **changes: Unpack[GoOnOptions]) -> GoOnOptions:
    """The same options with some of them replaced."""
    return {**before, **changes}


def requests_of(given: GoOnOptions) -> list[perstack.ModelRequest]:
    """What the scripted provider of these options was asked."""
    provider = given["provider"]
    assert isinstance(provider, ScriptedProvider)
    return provider.requests


class SqliteStore:
    """A `Store` that a user might write: jobs and events as rows of one database."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._rows = sqlite3.connect(path, isolation_level=None)
        self._rows.execute("create table jobs (id text primary key, record text)")
        self._rows.execute("create table events (job text, line text, chain text)")

    def create(self, record: JobRecord) -> None:
        try:
            self._rows.execute("insert into jobs values (?, ?)", (record.id, _text(record)))
        except sqlite3.IntegrityError:
            raise perstack.UserError(f"job {record.id} already exists") from None

    def save(self, record: JobRecord) -> None:
        self._rows.execute("update jobs set record = ? where id = ?", (_text(record), record.id))

    def load(self, job_id: str) -> JobRecord:
        row = self._rows.execute("select record from jobs where id = ?", (job_id,)).fetchone()
        if row is None:
            raise perstack.UserError(f"job {job_id} not found")
        return perstack.record_from(json.loads(row[0]))

    def jobs(self) -> tuple[JobRecord, ...]:
        rows = self._rows.execute("select record from jobs order by rowid desc").fetchall()
        return tuple(perstack.record_from(json.loads(row[0])) for row in rows)

    def open_log(self, job_id: str) -> EventWriter:
        return _Rows(self._rows, job_id, self.read(job_id).head)

    def read(self, job_id: str) -> LogContents:
        self.load(job_id)
        rows = self._rows.execute("select line, chain from events where job = ? order by rowid", (job_id,)).fetchall()
        events = tuple(Event.from_json(json.loads(line)) for line, _ in rows)
        return LogContents(events, rows[-1][1]) if rows else LogContents(())

    def folder(self, job_id: str) -> Path:
        folder = self._folder / job_id
        folder.mkdir(exist_ok=True)
        return folder


class _Rows:
    def __init__(self, rows: sqlite3.Connection, job_id: str, head: str) -> None:
        self._rows, self._job_id, self.head = rows, job_id, head

    def __call__(self, event: Event) -> None:
        line = json.dumps(event.to_json(), default=dict)
        self.head = hashlib.sha256(f"{self.head}{line}".encode()).hexdigest()
        self._rows.execute("insert into events values (?, ?, ?)", (self._job_id, line, self.head))

    def close(self) -> None:
        """Every row is committed at once."""


def _text(record: JobRecord) -> str:
    return json.dumps(record.to_json(), default=dict)
