"""Jobs in a database of your own instead of files: everything that is needed to go on is in it.

Prints:
    first: Noted.
    later: You asked me to note it.
    1 job, 2 steps, completed
"""

import asyncio
import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path

import perstack
from perstack.testing import done, scripted


class SqliteStore:
    """Jobs and events as rows. Every event is durable when it is written."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._rows = sqlite3.connect(path, isolation_level=None)
        self._rows.execute("create table if not exists jobs (id text primary key, record text)")
        self._rows.execute("create table if not exists events (job text, line text, chain text)")

    def create(self, record: perstack.JobRecord) -> None:
        try:
            self._rows.execute("insert into jobs values (?, ?)", (record.id, _text(record.to_json())))
        except sqlite3.IntegrityError:
            raise perstack.UserError(f"job {record.id} already exists") from None

    def save(self, record: perstack.JobRecord) -> None:
        self._rows.execute("update jobs set record = ? where id = ?", (_text(record.to_json()), record.id))

    def load(self, job_id: str) -> perstack.JobRecord:
        row = self._rows.execute("select record from jobs where id = ?", (job_id,)).fetchone()
        if row is None:
            raise perstack.UserError(f"job {job_id} not found")
        return perstack.record_from(json.loads(row[0]))

    def jobs(self) -> tuple[perstack.JobRecord, ...]:
        rows = self._rows.execute("select record from jobs order by rowid desc").fetchall()
        return tuple(perstack.record_from(json.loads(row[0])) for row in rows)

    def open_log(self, job_id: str) -> "Log":
        return Log(self._rows, job_id, self.read(job_id).head)

    def read(self, job_id: str) -> perstack.LogContents:
        self.load(job_id)
        rows = self._rows.execute("select line, chain from events where job = ? order by rowid", (job_id,)).fetchall()
        events = tuple(perstack.Event.from_json(json.loads(line)) for line, _ in rows)
        return perstack.LogContents(events, rows[-1][1]) if rows else perstack.LogContents(())

    def folder(self, job_id: str) -> Path:
        folder = self._folder / job_id
        folder.mkdir(exist_ok=True)
        return folder


class Log:
    """Appends one job's events. `head` chains them, so that a changed row can be noticed."""

    def __init__(self, rows: sqlite3.Connection, job_id: str, head: str) -> None:
        self._rows, self._job_id, self.head = rows, job_id, head

    def __call__(self, event: perstack.Event) -> None:
        line = _text(event.to_json())
        self.head = hashlib.sha256(f"{self.head}{line}".encode()).hexdigest()
        self._rows.execute("insert into events values (?, ?, ?)", (self._job_id, line, self.head))

    def close(self) -> None:
        """Nothing is waiting: every row is committed."""


def _text(value: object) -> str:
    return json.dumps(value, default=dict)


async def main() -> None:
    config = perstack.Config(experts={"notes": perstack.Expert("notes", "Take notes.")})
    model = scripted(done("Noted."), done("You asked me to note it."))
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder, "jobs.db"))
        first = await perstack.run("notes", "Note this", config=config, store=store, provider=model)
        print(f"first: {first.text}")
        later = await perstack.proceed(first.job_id, "What did I ask?", config=config, store=store, provider=model)
        print(f"later: {later.text}")
        (job,) = store.jobs()
        print(f"1 job, {job.total_steps} steps, {job.status}")


if __name__ == "__main__":
    asyncio.run(main())
