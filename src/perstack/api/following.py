"""The events of a job as they come: from its log, whoever writes it, each once and in order. Waits for nothing.

Streamed pieces of text are not in the log, and so not here.
"""

from __future__ import annotations

from perstack.api.history import Archive
from perstack.core.errors import UserError
from perstack.core.events import RECORD_EVENTS, Event
from perstack.runtime import public_layout
from perstack.runtime.log import LogTail
from perstack.runtime.store import LOG, is_job_id


class Following:
    """One reader of one job. The job may still have to begin: until then there are no events."""

    def __init__(self, archive: Archive, job_id: str) -> None:
        """Raises: UserError where the id is unusable."""
        if not is_job_id(job_id):
            raise UserError(f"job id {job_id!r} is not usable", hint="Use up to 128 letters, digits, `-` and `_`.")
        folder = archive.root / "jobs" / job_id
        self.archive, self.job_id = archive, job_id
        self._tail = LogTail(folder / LOG)
        self._foreign: list[Event] | None = None
        if public_layout.is_public(folder) and not (folder / LOG).exists():
            self._foreign = list(archive.contents(job_id).events)

    @property
    def is_live(self) -> bool:
        """Whether a process writes the job's log now. Ask before `read`: what it wrote last is then read."""
        return self._foreign is None and self.archive.is_live(self.job_id)

    def read(self) -> list[Event]:
        """The next events, a bounded lot of them; none where there are no more now.

        Raises: InfrastructureError where the log is damaged or cannot be read, after what is intact.
        """
        if self._foreign is not None:
            lot, self._foreign = self._foreign[:200], self._foreign[200:]
            return lot
        while True:
            lot = self._tail.read()
            shown = [event for event in lot if event.type not in RECORD_EVENTS]
            if shown or not lot:
                return shown
