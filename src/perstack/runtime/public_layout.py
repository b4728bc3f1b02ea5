"""Reading jobs kept in the public layout: one file an event, checkpoints with all messages, perhaps no `job.json`.

What is read has the form of a log's contents, so that everything that reads logs reads these as well. Streaming
events are left out, and what checkpoints repeat is counted, as in a log. Such a job is read only, never written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from perstack.core.errors import InfrastructureError, InvariantBroken
from perstack.core.events import RUN_EVENTS, Event
from perstack.core.json import Json, JsonObject
from perstack.core.storage import JobRecord, LogContents
from perstack.runtime.fold import JobFold
from perstack.runtime.state import Phase, RunState
from perstack.runtime.wire import int_of, object_of, objects_of, text_of, usage_from

_ENVELOPE = frozenset({"type", "id", "expertKey", "timestamp", "jobId", "runId", "stepNumber"})
# Where several events of a step have one time: the order in which they can follow on each other.
_ORDER = {
    kind: number
    for number, kind in enumerate(
        ("startRun", "resumeToolCalls", "finishAllToolCalls", "startGeneration", "callTools", "attemptCompletion",
         "resolveToolResults", "callDelegate", "callInteractiveTool", "retry", "finishToolCall")
    )
}  # fmt: skip
_CLAIM = "attemptCompletion"


def is_public(directory: Path) -> bool:
    """Whether a job's directory is kept in the public layout."""
    return (directory / "runs").is_dir() or (directory / "checkpoints").is_dir()


def read(directory: Path) -> LogContents:
    """The events of a job. A file that is no event ends what is read, and the problem names it.

    Raises: InfrastructureError where the directory cannot be read.
    """
    reading, problem = _Reading(), ""
    found: list[tuple[Path, dict[str, Json]]] = []
    for path in _files(directory / "runs", "*/event-*.json"):
        try:
            data = _object(path)
        except ValueError as error:
            problem = problem or f"{path}: not a readable event: {error}; left out"
            continue
        if data.get("type") in RUN_EVENTS or data.get("type") == _CLAIM:
            found.append((path, data))
    found.sort(key=lambda item: _place(item[1]))
    followers: list[Mapping[str, Json]] = []
    newest: dict[str, Mapping[str, Json]] = {}
    for _, data in reversed(found):
        followers.append(newest.get(text_of(data.get("runId")), {}))
        newest[text_of(data.get("runId"))] = data
    for (path, data), following in zip(found, reversed(followers), strict=True):
        try:
            reading(data, following)
        except InvariantBroken as error:
            why = f"{path}: {error.message}; the events before it are shown"
            problem = f"{problem}; {why}" if problem else why  # what was left out is why it cannot follow
            break
    return LogContents(tuple(reading.events), problem=problem, line=len(reading.events) if problem else 0)


def record(directory: Path) -> JobRecord:
    """The job from its checkpoints, for one without `job.json`.

    Raises: InfrastructureError where the directory cannot be read.
    """
    checkpoints = []
    for path in _files(directory / "checkpoints", "*.json"):
        try:
            checkpoints.append(_object(path))
        except ValueError:
            continue  # what is readable counts
    checkpoints.sort(key=lambda data: int_of(data.get("stepNumber")))
    try:
        began = directory.stat().st_mtime_ns // 1_000_000
    except OSError as error:
        raise InfrastructureError(f"{directory}: cannot be read: {error.strerror}") from error
    first, last = (checkpoints[0], checkpoints[-1]) if checkpoints else ({}, {})
    done = last.get("status") == "completed"
    return JobRecord(
        id=directory.name,
        coordinator_expert_key=text_of(object_of(first.get("expert")).get("key")),
        started_at=began,
        status="completed" if done else "running",
        total_steps=int_of(last.get("stepNumber")),
        usage=usage_from(last.get("usage")),
        finished_at=began if done else 0,
    )


class _Reading:
    """Turns events of the public layout into those of a log, one by one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._fold = JobFold()
        self._claimed: dict[str, JsonObject] = {}

    def __call__(self, data: Mapping[str, Json], following: Mapping[str, Json]) -> None:
        """Take one event; `following` is the next of its run, empty where there is none.

        Raises: InvariantBroken where it cannot follow on those before it.
        """
        payload = {key: value for key, value in data.items() if key not in _ENVELOPE}
        run_id, kind = text_of(data.get("runId")), text_of(data.get("type"))
        if kind == _CLAIM:  # 2025: the run goes on to write its result
            self._claimed[run_id] = object_of(payload.get("toolResult"))
            return
        before = self._fold.run(run_id)
        if kind == "startRun":
            payload = self._started(payload)
        elif kind in ("callDelegate", "callInteractiveTool") and "partialToolResults" not in payload:
            checkpoint = object_of(following.get("checkpoint"))
            payload["partialToolResults"] = checkpoint.get("partialToolResults", [])
        elif kind == "completeRun":
            payload["newMessages"] = _unseen(object_of(payload.get("checkpoint")), before)
        elif kind == "stopRunByError" and before.phase is Phase.CALLING_TOOLS:
            self._answered(data, before)
        elif kind == "retry" and before.phase is not Phase.GENERATING:
            claimed: list[Json] = [self._claimed.pop(run_id, {})]
            self._take(data, "resolveToolResults", {"toolResults": claimed}, ".claim")
            kind = "finishToolCall"
        self._take(data, kind, {key: _counted(value) for key, value in payload.items()})

    def _answered(self, data: Mapping[str, Json], before: RunState) -> None:
        """Keep the results that a run had when it was stopped between two calls: only its checkpoint has them."""
        checkpoint = object_of(data.get("checkpoint"))
        results, left = objects_of(checkpoint.get("partialToolResults")), objects_of(checkpoint.get("pendingToolCalls"))
        if results and not before.partial:
            begun = text_of(left[0].get("id")) if left else ""
            self._take(data, "startToolCall", {"toolCallId": begun, "partialToolResults": results}, ".begun")

    def _take(self, data: Mapping[str, Json], kind: str, payload: Mapping[str, Json], more: str = "") -> None:
        if kind == "startGeneration":
            count = sum(item.get("type") != "instructionMessage" for item in objects_of(payload.get("messages")))
            payload = {"messageCount": count}
        event = Event(
            kind,
            text_of(data.get("id")) + more,
            int_of(data.get("timestamp")),
            text_of(data.get("jobId")),
            text_of(data.get("runId")),
            text_of(data.get("expertKey")),
            int_of(data.get("stepNumber")),
            payload,
        )
        self._fold(event)
        self.events.append(event)

    def _started(self, payload: Mapping[str, Json]) -> dict[str, Json]:
        """A `startRun` that says what it goes on from, or brings the history it starts with."""
        checkpoint = object_of(payload.get("initialCheckpoint"))
        if checkpoint.get("status") == "init":
            return dict(payload)
        resumed = object_of(object_of(checkpoint.get("metadata")).get("resumedFrom")) or self._resumed(checkpoint)
        if resumed:
            return {**payload, "initialCheckpoint": {**checkpoint, "resumedFrom": resumed}}
        history = objects_of(checkpoint.get("messages"))
        messages: list[Json] = [*history, *objects_of(payload.get("inputMessages"))]
        return {**payload, "initialCheckpoint": {**checkpoint, "status": "init"}, "inputMessages": messages}

    def _resumed(self, checkpoint: JsonObject) -> JsonObject:
        """The newest checkpoint of the same expert with the same messages."""
        job = self._fold.state()
        wanted = _message_ids(checkpoint)
        for checkpoint_id, state in reversed(tuple(job.checkpoints.items())):
            same = state.expert_key == text_of(object_of(checkpoint.get("expert")).get("key"))
            if same and [message.id for message in state.history] == wanted:
                latest = self._fold.run(state.run_id)
                branches = latest.checkpoint_id != state.checkpoint_id or latest.phase is not Phase.STOPPED
                origin: dict[str, Json] = {"runId": state.run_id, "checkpointId": checkpoint_id}
                return {**origin, "branch": True} if branches else origin
        return {}


def _place(data: Mapping[str, Json]) -> tuple[int, int, int]:
    kind = text_of(data.get("type"))
    return int_of(data.get("timestamp")), int_of(data.get("stepNumber")), _ORDER.get(kind, len(_ORDER))


def _counted(value: Json) -> Json:
    """A checkpoint without its messages, of which it keeps the number; anything else as it is."""
    if not isinstance(value, dict) or "messages" not in value or "status" not in value:
        return value
    kept = {key: item for key, item in value.items() if key != "messages"}
    return {**kept, "messageCount": len(_message_ids(value))}


def _message_ids(checkpoint: JsonObject) -> list[str]:
    messages = objects_of(checkpoint.get("messages"))
    return [text_of(message.get("id")) for message in messages if message.get("type") != "instructionMessage"]


def _unseen(checkpoint: JsonObject, before: RunState) -> list[Json]:
    """The messages of a checkpoint that the run did not have before it."""
    messages = [item for item in objects_of(checkpoint.get("messages")) if item.get("type") != "instructionMessage"]
    return list(messages[len(before.history) :])


def _files(directory: Path, pattern: str) -> Sequence[Path]:
    try:
        return sorted(directory.glob(pattern))
    except OSError as error:
        raise InfrastructureError(f"{directory}: cannot be read: {error.strerror}") from error


def _object(path: Path) -> dict[str, Json]:
    """Raises: ValueError where the file holds no JSON object or cannot be read."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(error.strerror) from error
    if not isinstance(data, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # the file's fault, not a caller's
    return data
