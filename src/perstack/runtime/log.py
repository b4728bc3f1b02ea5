"""The append-only log of events: one JSON line each, hash-chained, redacted before it is written.

A line is the event's public JSON with one more key at its end, `chain`: the SHA-256 of the chain before it and of
the line without that key. The first line is a header with the format's version. Streaming deltas are not stored.
The chain shows a change by accident or by a later writer; it is no signature: whoever can rewrite the whole file
can chain it anew. Evidence therefore quotes the head.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perstack.core.errors import InfrastructureError, InvariantBroken, UserError
from perstack.core.events import (
    JOB_EVENTS,
    RECORD_EVENTS,
    RUN_EVENTS,
    RUNTIME_EVENTS,
    STREAMING_EVENTS,
    Event,
)
from perstack.core.json import Json, JsonObject, compact
from perstack.core.storage import CHAIN_SEED, LogContents
from perstack.runtime.wire import int_of, text_of

VERSION = 1
_HEADER: JsonObject = {"type": "log", "version": VERSION}
_MARK = b',"chain":"'
_TAIL = len(_MARK) + 64 + len(b'"}')
_KNOWN = JOB_EVENTS | RECORD_EVENTS | RUN_EVENTS | RUNTIME_EVENTS
# Written through to the disk at the end of a run and at each fact of the pipeline but mere progress, and once a step:
# before a call that may not be made twice, which has to be found again, or else at the step's end.
_SYNCED = (JOB_EVENTS - {"progress", "startSignal", "finishSignal", "repairReply", "reportUsage"}) | {
    "startToolCall", "completeRun", "stopRunByError", "stopRunByDelegate", "stopRunByInteractiveTool",
    "stopRunByExceededMaxSteps",
}  # fmt: skip
_STEP_END = "continueToNextStep"
# In this order: asking an ABC is ten times slower than asking a class.
_OBJECT = (dict, Mapping)
_NUMBER = (int, float)


class LogDamaged(InfrastructureError):
    """A log that is not as it was written. `line` is 1-based; `intact` are the events before it."""

    def __init__(self, message: str, *, line: int, intact: Sequence[Event]) -> None:
        super().__init__(message, hint=f"The {len(intact)} events before it are intact and can still be used.")
        self.line = line
        self.intact = tuple(intact)


class EventLog:
    """An event sink that appends to a file. An existing log is checked and continued; a cut last line is dropped."""

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        """Open or make the log.

        Raises: UserError where another process writes it; LogDamaged where the file was changed;
        InfrastructureError where it cannot be written.
        """
        self._path = path
        self._redact = redact
        self.head = CHAIN_SEED
        self._size = 0
        self._synced: set[str] = set()
        self._file = _open_alone(path)
        try:
            self._go_on()
        except BaseException:
            os.close(self._file)
            raise

    def __call__(self, event: Event) -> None:
        """Append one event; on disk at the latest when its step ends.

        Raises: InfrastructureError where it cannot be written.
        """
        if event.type in STREAMING_EVENTS:
            return
        if event.type not in _KNOWN:
            raise InvariantBroken(f"event {event.type} is of no kind that a log can be read with")
        self._write({**event.to_json(), **redacted(event.payload, self._redact)})
        if self._is_due(event):
            try:
                os.fdatasync(self._file)
            except OSError as error:
                raise _unwritable(self._path, error) from error

    def _is_due(self, event: Event) -> bool:
        """Whether the event has to be on the disk before anything else happens."""
        if event.type == _STEP_END and event.run_id in self._synced:
            self._synced.remove(event.run_id)
            return False
        if event.type == "startToolCall":
            self._synced.add(event.run_id)
        return event.type in _SYNCED or event.type == _STEP_END

    def _go_on(self) -> None:
        found = load_log(self._path)
        if found.problem and not found.truncated:
            raise LogDamaged(found.problem, line=found.line, intact=found.events)
        if found.truncated:
            os.ftruncate(self._file, found.size)
        self.head, self._size = found.head, found.size
        if not found.size:
            self._write(_HEADER)
            _keep_name(self._path)

    def close(self) -> None:
        """Write through and close. Raises: InfrastructureError where the disk did not take it."""
        if self._file >= 0:
            file, self._file = self._file, -1
            try:
                os.fsync(file)
            except OSError as error:
                raise _unwritable(self._path, error) from error
            finally:
                os.close(file)

    def _write(self, line: JsonObject) -> None:
        body = compact(line).encode()
        head = chained(self.head, body)
        data = memoryview(b'%s%s%s"}\n' % (body[:-1], _MARK, head.encode()))
        size = len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # else what is written next would follow on half a line
                os.ftruncate(self._file, self._size)
            raise _unwritable(self._path, error) from error
        self.head = head
        self._size += size


def load_log(path: Path) -> LogContents:
    """Everything intact in a log, and what is wrong with the rest. Never raises for its content.

    Raises: InfrastructureError where it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be read: {error.strerror}") from error
    events: list[Event] = []
    head, size, number = CHAIN_SEED, 0, 0
    lines = data.split(b"\n")
    cut = lines.pop()
    for number, raw in enumerate(lines, 1):
        try:
            event, head = _read_line(raw, head, is_header=number == 1)
        except ValueError as error:
            return LogContents(tuple(events), head, size, f"{path}:{number}: {error}", number)
        if event is not None:
            events.append(event)
        size += len(raw) + 1
    if cut:
        problem = f"{path}:{number + 1}: the last line is cut off; it was being written when the process ended"
        return LogContents(tuple(events), head, size, problem, number + 1, truncated=True)
    return LogContents(tuple(events), head, size)


class LogTail:
    """A log read bit by bit while it grows, each line once. Its chain is checked as the log's own is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = CHAIN_SEED
        self._size = 0
        self._line = 0

    def read(self, most: int = 262_144) -> list[Event]:
        """The whole lines that follow on what was read before: about `most` bytes of them, at least one line.

        Nothing where nothing was added, also where the log is not there yet.
        Raises: LogDamaged where a line was changed; InfrastructureError where it cannot be read.
        """
        events: list[Event] = []
        for raw in self._lines(most):
            line = self._line + 1
            try:
                event, self._head = _read_line(raw, self._head, is_header=line == 1)
            except ValueError as error:
                if events:
                    break  # first what is intact; the next read says what is wrong
                raise LogDamaged(f"{self._path}:{line}: {error}", line=line, intact=()) from None
            self._line, self._size = line, self._size + len(raw) + 1
            if event is not None:
                events.append(event)
        return events

    def _lines(self, most: int) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._size)
                data = file.read(most)
                if len(data) == most and not data.endswith(b"\n"):
                    data += file.readline()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InfrastructureError(f"{self._path}: cannot be read: {error.strerror}") from error
        return data.split(b"\n")[:-1]


def read_log(path: Path, tell: Callable[[str], None] | None = None) -> list[Event]:
    """The events of a log. A cut last line is left out and said through `tell`.

    Raises: LogDamaged where a line was changed, with the events before it; InfrastructureError where it is unreadable.
    """
    found = load_log(path)
    if found.problem and not found.truncated:
        raise LogDamaged(found.problem, line=found.line, intact=found.events)
    if found.problem and tell is not None:
        tell(found.problem)
    return list(found.events)


def redacted(payload: Mapping[str, Json], redact: Callable[[str], str]) -> Mapping[str, Json]:
    """The payload with `redact` applied to every text in it, keys included.

    Values, not the written line: in JSON a secret with a quote or a line break would no longer look like itself.
    Nearly always there is nothing to take out, and one look at all texts together says so: `redact` finds in a text
    what it finds in a part of it.
    """
    texts: list[str] = []
    _collect(payload, texts)
    whole = "\n".join(texts)
    return payload if redact(whole) == whole else _redacted_object(payload, redact)


def _collect(value: Json, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, _OBJECT):
        texts.extend(value)
        for item in value.values():
            if isinstance(item, str):
                texts.append(item)
            elif type(item) is not int:
                _collect(item, texts)
    elif value is not None and not isinstance(value, _NUMBER):
        for item in value:
            _collect(item, texts)


def _redacted_object(value: Mapping[str, Json], redact: Callable[[str], str]) -> Mapping[str, Json]:
    return {redact(key): _redacted(item, redact) for key, item in value.items()}


def _redacted(value: Json, redact: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return _redacted_object(value, redact)
    return [_redacted(item, redact) for item in value]


def chained(before: str, body: bytes) -> str:
    """The chain after a line, from the chain before it and the line without its chain."""
    return hashlib.sha256(before.encode() + body).hexdigest()


def _read_line(raw: bytes, head: str, *, is_header: bool) -> tuple[Event | None, str]:
    """One line's event (None for the header) and the chain after it.

    Raises: ValueError that says what is wrong.
    """
    if raw[-_TAIL : -_TAIL + len(_MARK)] != _MARK:
        raise ValueError("the line has no chain: this is no event log, or the line was changed")
    body = raw[:-_TAIL] + b"}"
    after = chained(head, body)
    if raw[-66:] != b'%s"}' % after.encode():
        raise ValueError("the line was changed or a line before it was removed: its chain does not fit")
    data = _decode(body)
    if not is_header:
        return _event(data), after
    if data.get("type") != "log" or data.get("version") != VERSION:
        raise ValueError(
            f"unknown log version {data.get('version')!r}; this perstack reads version {VERSION}: "
            "use the perstack that wrote it"
        )
    return None, after


def _decode(body: bytes) -> dict[str, Json]:
    try:
        data = json.loads(body.decode())
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8") from None
    if type(data) is not dict:
        raise ValueError("the line is no JSON object")
    return data


def _event(data: dict[str, Json]) -> Event:
    """An event from its public JSON, which becomes its payload: no part of a line is copied.

    Raises: ValueError where the envelope is not one or the type is not known.
    """
    kind, ms = text_of(data.pop("type", None)), int_of(data.pop("timestamp", None))
    if not (kind and ms):
        raise ValueError("the event has no type or no timestamp")
    if kind not in _KNOWN:
        raise ValueError(f"unknown event {kind!r}: a newer perstack wrote this job, use that one to go on with it")
    return Event(
        kind,
        text_of(data.pop("id", None)),
        ms,
        text_of(data.pop("jobId", None)),
        text_of(data.pop("runId", None)),
        text_of(data.pop("expertKey", None)),
        int_of(data.pop("stepNumber", None)),
        data,
    )


def _open_alone(path: Path) -> int:
    """The file for appending, locked: two writers would break the chain.

    Raises: UserError where another process has it; InfrastructureError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise UserError(
            f"{path}: another process is working on this job", hint="Wait for it to end, or end it, and try again."
        ) from None
    return file


def _keep_name(path: Path) -> None:
    """Have a new file's name on the disk as well: its data alone would be lost with it."""
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{path}: the event log cannot be written: {error.strerror}",
        hint="Free some space or choose another directory; what was written so far can be resumed.",
    )
