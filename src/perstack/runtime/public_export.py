"""A job written as files in the public layout, for tools that read that: one file an event, whole checkpoints.

That layout repeats all messages at every step, so it grows with the square of the steps; the log stays the job's
only source. Secrets are out already: they never reach a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import OWN_RUN_EVENTS, RUN_EVENTS, Event
from perstack.core.json import Json, JsonObject
from perstack.core.storage import JOB_STATUS, JobRecord, LogContents
from perstack.runtime.checkpoints import all_messages, in_full
from perstack.runtime.fold import JobFold
from perstack.runtime.state import RunState, RunStatus
from perstack.runtime.wire import int_of, message_json, object_of, objects_of, result_json, text_of

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def export(contents: LogContents, directory: Path, record: JobRecord | None = None) -> None:
    """Write `job.json`, `checkpoints/` and `runs/` into a new or empty directory. Without `record` it is derived.

    Raises: UserError where the directory holds something, or an id cannot be a file's name; InfrastructureError where
    it cannot be written; InvariantBroken where the events are no log.
    """
    writer = _Writer(directory)
    for event in contents.events:
        writer(event)
    writer.write("job.json", (record or writer.record()).to_json())


class _Writer:
    """Writes events as they are folded."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fold = JobFold()
        self._clock = 0
        self._first: Event | None = None
        self._settings: dict[str, Event] = {}
        try:
            if directory.exists() and any(directory.iterdir()):
                raise UserError(f"{directory} is not empty", hint="Name a new directory.")
        except OSError as error:
            raise _unwritable(directory, error) from error

    def __call__(self, event: Event) -> None:
        """Write one event. Its time is moved by milliseconds where two would have one name, or the wrong order."""
        before = self._before(event)
        self._fold(event)
        if event.type == "initializeRuntime":
            self._settings[event.run_id] = event
        if event.type not in RUN_EVENTS or event.type in OWN_RUN_EVENTS:
            return
        self._first = self._first or event
        self._clock = max(event.timestamp, self._clock + 1)
        after = self._fold.run(event.run_id)
        public = replace(event, timestamp=self._clock, payload=_payload(event, before, after))
        run = f"runs/{_name(event.run_id)}"
        self.write(f"{run}/event-{self._clock}-{event.step_number}-{event.type}.json", public.to_json())
        if event.type == "startRun":
            self.write(f"{run}/run-setting.json", self._setting(event))
        checkpoint = object_of(public.payload.get("checkpoint"))
        if checkpoint:
            self.write(f"checkpoints/{_name(text_of(checkpoint.get('id')))}.json", checkpoint)

    def _before(self, event: Event) -> RunState:
        """The state of the event's run before it; of a segment that begins, the one it goes on from."""
        checkpoint = object_of(event.payload.get("initialCheckpoint"))
        resumed = object_of(checkpoint.get("resumedFrom"))
        if resumed.get("branch") is True:
            return self._fold.state().checkpoints.get(text_of(resumed.get("checkpointId")), RunState())
        return self._fold.run(text_of(resumed.get("runId")) or event.run_id)

    def record(self) -> JobRecord:
        """The job as its events have left it."""
        job, first = self._fold.state(), self._first
        run = job.latest_run()
        status = JOB_STATUS.get(run.status, "running") if run else "running"
        return JobRecord(
            id=job.job_id,
            coordinator_expert_key=first.expert_key if first else "",
            started_at=first.timestamp if first else 0,
            status=status,
            total_steps=job.steps,
            usage=job.usage,
            finished_at=0 if status == "running" else self._clock,
        )

    def _setting(self, event: Event) -> JsonObject:
        """`run-setting.json`, but for the environment and the provider's settings: those may hold secrets."""
        known = self._settings.get(event.run_id)
        setting = known.payload if known else {}
        return {
            "model": text_of(setting.get("model")),
            "jobId": event.job_id,
            "runId": event.run_id,
            "expertKey": event.expert_key,
            "input": {"text": setting["query"]} if setting.get("query") else {},
            "maxSteps": int_of(setting.get("maxSteps")),
            "maxRetries": int_of(setting.get("maxRetries")),
            "timeout": int_of(setting.get("timeout")),
            "startedAt": self._clock,
            "updatedAt": self._clock,
            "env": {},
        }

    def write(self, name: str, data: JsonObject) -> None:
        """One file, two spaces an indent, as the format has it."""
        path = self._directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(data, ensure_ascii=False, indent=2, default=_plain) + "\n", "utf-8")
        except OSError as error:
            raise _unwritable(path, error) from error


def _payload(event: Event, before: RunState, after: RunState) -> Mapping[str, Json]:
    """The event's payload with everything in it that ours only counts or refers to."""
    payload = dict(event.payload)
    if event.type == "startGeneration":
        payload = {"messages": all_messages(before)}
    if event.type in ("finishToolCall", "finishAllToolCalls"):
        payload["newMessages"] = [message_json(message) for message in after.history.messages()[len(before.history) :]]
    if event.type in ("callDelegate", "callInteractiveTool"):
        payload["partialToolResults"] = [result_json(result) for result in after.partial]
    if event.type == "resumeToolCalls":
        payload |= {key: in_full(payload, before)[key] for key in ("pendingToolCalls", "partialToolResults")}
    if event.type == "startRun":
        payload["initialCheckpoint"] = _initial(object_of(payload.get("initialCheckpoint")), before)
    if "checkpoint" in payload:
        # Results and calls as they were before the event, messages as they are after it.
        then = replace(before, history=after.history, system=after.system)
        payload["checkpoint"] = in_full(object_of(payload["checkpoint"]), then)
        payload["step"] = {"newMessages": [], **object_of(payload.get("step"))}
        if "nextCheckpoint" in payload:
            payload["nextCheckpoint"] = {**object_of(payload["checkpoint"]), **object_of(payload["nextCheckpoint"])}
    if event.type == "completeRun":
        payload.pop("newMessages", None)
    return payload


def _initial(checkpoint: JsonObject, before: RunState) -> JsonObject:
    if checkpoint.get("status") == RunStatus.INIT:
        return {**{key: value for key, value in checkpoint.items() if key != "messageCount"}, "messages": []}
    known = {text_of(item.get("id")) for item in objects_of(checkpoint.get("pendingToolCalls"))}
    return in_full(checkpoint, replace(before, pending=tuple(call for call in before.pending if call.id in known)))


def _name(identifier: str) -> str:
    """An id as a file's name. A log can come from anywhere, and must not choose where is written.

    Raises: UserError where it cannot be one.
    """
    if not _NAME.fullmatch(identifier):
        raise UserError(f"id {identifier!r} of the log cannot be the name of a file", hint="Nothing wrote such a log.")
    return identifier


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value)  # type: ignore[call-overload]


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(f"{path}: cannot be written: {error.strerror}", hint="Choose another directory.")
