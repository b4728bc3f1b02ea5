"""Events: one fact each. The log of events is the only source of state.

Run events follow the public format (`startRun`, `callTools`, …) and carry `expertKey` and `stepNumber`;
job events (`startJob`, `startRound`, `finishSignal`, `decideVerdict`, …) belong to the pipeline and carry neither.
Payload keys are camelCase, as on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perstack.core.json import Json, JsonObject

RUN_EVENTS = frozenset(
    {
        "startRun", "startGeneration", "retry", "callTools", "callInteractiveTool", "callDelegate",
        "resolveToolResults", "finishToolCall", "resumeToolCalls", "finishAllToolCalls", "continueToNextStep",
        "stopRunByInteractiveTool", "stopRunByDelegate", "stopRunByExceededMaxSteps", "stopRunByError", "completeRun",
        "compactContext",
    }
)  # fmt: skip
# Ours, not the public format's: a history was made to fit its model's window. {reason, occupancy, elided, until,
# newMessages, usage, afterTokens, limit?, by}; from here on a new prefix begins.
OWN_RUN_EVENTS = frozenset({"compactContext"})
STREAMING_EVENTS = frozenset(
    {
        "startStreamingReasoning", "streamReasoning", "completeStreamingReasoning",
        "startStreamingRunResult", "streamRunResult", "completeStreamingRunResult",
    }
)  # fmt: skip
RUNTIME_EVENTS = frozenset(
    {
        "initializeRuntime", "skillStarting", "skillConnected", "skillStderr", "skillDisconnected",
        "dockerBuildProgress", "dockerContainerStatus", "proxyAccess",
    }
)  # fmt: skip
# Ours, stored but never shown: `startToolCall` {toolCallId, partialToolResults} is written before a call that may not
# be made twice, with the results of the calls before it. After a crash it tells what began from what did not.
RECORD_EVENTS = frozenset({"startToolCall"})
JOB_EVENTS = frozenset(
    {
        "startJob",  # task, kind
        "startStage",  # stage: prepare | baseline | plan | checks | build | verify | publish, round
        "finishStage",  # stage, round, seconds, ok
        "progress",  # message
        "useSandbox",  # backEnd, engine, guarantees: what was measured of the sandbox that was chosen
        "startSignal",  # name, tree: base | candidate, run
        "finishSignal",  # name, tree, run, status, seconds
        "measureBaseline",  # signals
        "computeCandidate",  # round, digest, files, insertions, deletions, patch
        "decideVerdict",  # round, report
        "remark",  # expertKey-free soft remark of the verify expert: text
        "repairReply",  # message, kind, count: what was wrong and no end; names expert and step
        "reportUsage",  # usage, costUsd, models, experts, repairs, troubles (by kind): of the job, at a run's end
        "refuse",  # code, message: something was not allowed
        "publish",  # what, where
        "finishJob",  # outcome, verdict, rounds, usage
    }
)
KNOWN_EVENTS = RUN_EVENTS | STREAMING_EVENTS | RUNTIME_EVENTS | RECORD_EVENTS | JOB_EVENTS


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `timestamp` is in milliseconds since 1970; the driver supplies it and `id`."""

    type: str
    id: str
    timestamp: int
    job_id: str
    run_id: str = ""
    expert_key: str = ""
    step_number: int = 0
    payload: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The public envelope: `expertKey` and `stepNumber` only where an expert is at work."""
        head: dict[str, Json] = {"type": self.type, "id": self.id}
        if self.expert_key:
            head["expertKey"] = self.expert_key
        head["timestamp"] = self.timestamp
        head["jobId"] = self.job_id
        if self.run_id:
            head["runId"] = self.run_id
        if self.expert_key:
            head["stepNumber"] = self.step_number
        return {**head, **self.payload}

    @classmethod
    def from_json(cls, data: JsonObject) -> Event:
        """The event of a public envelope, as `to_json` wrote it; for stores that keep JSON.

        Raises: ValueError where it is none.
        """
        texts = {name: data.get(name, "") for name in ("type", "id", "jobId", "runId", "expertKey")}
        timestamp, step = data.get("timestamp"), data.get("stepNumber", 0)
        if not (isinstance(timestamp, int) and isinstance(step, int) and texts["type"]):
            raise ValueError("no event: `type` or `timestamp` is missing")
        kind, event_id, job_id, run_id, expert_key = (text if isinstance(text, str) else "" for text in texts.values())
        payload = {name: value for name, value in data.items() if name not in {*texts, "timestamp", "stepNumber"}}
        return cls(kind, event_id, timestamp, job_id, run_id, expert_key, step, payload)


class EventSink(Protocol):
    """Receives every event in order: the log, the terminal, a tracking comment."""

    def __call__(self, event: Event, /) -> None: ...
