"""What was asked of this server and has not begun yet, on disk: whoever was told 202 finds the job again.

Nothing of it starts by itself. Threat: the storage lies in the workspace, and the workspace is somebody's repository:
a request that came with it must not run because a server was started there. Who has the token resumes or cancels it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from perstack.interface.serve.files import content
from perstack.interface.serve.problems import Problem

FOLDER = "jobs/.queue"  # experts see an empty folder in place of `jobs`, and no job has this name
_MOST = 16_000_000  # bytes of one request: escapes make a body longer than it came
_SHOWN = 10_000
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,127})\.json")


class Asked(BaseModel):
    """A request as it is kept: what it does, to which job, its body. `server` is who took it, while that is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    does: Literal["start", "say", "answer", "resume"]
    kind: Literal["run", "verify", "fix"]
    expert: str
    body: dict[str, Any] = {}
    asked_at: int = 0
    server: str = ""


@dataclass(slots=True)
class WaitingRoom:
    """The requests below one storage, as a context: leaving it gives up what this server took. Reads files."""

    root: Path
    server: str = field(default_factory=lambda: secrets.token_hex(8))
    _lock: int = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock >= 0:
            self._lock_file(self.server).unlink(missing_ok=True)
            os.close(self._lock)
        with suppress(OSError):
            (self.root / FOLDER).rmdir()  # where nothing is left

    def keep(self, asked: Asked) -> None:
        """Write a request down. Raises: OSError where that cannot be."""
        self._be_there()
        kept = asked.model_copy(update={"server": self.server, "asked_at": int(time() * 1000)})
        target = self._file(asked.job_id)
        fresh = target.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(kept.model_dump(), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)

    def drop(self, job_id: str) -> None:
        """Forget a request: it has begun, or was cancelled."""
        with suppress(OSError):
            self._file(job_id).unlink(missing_ok=True)

    def left(self, job_id: str) -> Asked | None:
        """What a server that is gone took and never began; None where there is none, or its server is there."""
        name = f"{job_id}.json"
        if not _NAME.fullmatch(name):
            return None
        try:
            # By way of Python's own reader, as bodies are read: halves of characters stay what they were.
            found = Asked.model_validate(json.loads(content(self.root / FOLDER, name, _MOST)))
        except (Problem, ValueError, RecursionError):
            return None
        return None if found.job_id != job_id or self._is_held(found.server) else found

    def all_left(self, known: Container[str] = ()) -> list[Asked]:
        """All of those that are not `known`, by their ids."""
        with suppress(OSError):
            names = sorted(path.name for path in (self.root / FOLDER).iterdir())[:_SHOWN]
            matches = (matched for name in names if (matched := _NAME.fullmatch(name)))
            return [found for it in matches if it[1] not in known and (found := self.left(it[1])) is not None]
        return []

    def _be_there(self) -> None:
        if (self.root / FOLDER).is_symlink():
            raise OSError(errno.ELOOP, f"{self.root / FOLDER} is a link")  # who checked it out chose where to
        if self._lock < 0:
            (self.root / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.open(self._lock_file(self.server), flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def _is_held(self, server: str) -> bool:
        if not re.fullmatch(r"[0-9a-f]{16}", server):
            return False
        try:
            lock = os.open(self._lock_file(server), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def _file(self, job_id: str) -> Path:
        return self.root / FOLDER / f"{job_id}.json"

    def _lock_file(self, server: str) -> Path:
        return self.root / FOLDER / f"{server}.lock"
