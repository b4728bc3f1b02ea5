"""Comparing an event on record with the one that came out when the job was run again. Pure."""

from __future__ import annotations

import itertools
import json

from perstack.core.events import Event
from perstack.core.json import Json, compact

# New each time, or known of the model and not of the job.
_NOT_COMPARED = frozenset(
    {
        "runId",
        "jobId",
        "checkpointId",
        "startedAt",
        "finishedAt",
        "contextWindow",
        "contextWindowUsage",
        "occupancy",
        "messageId",
    }
)


def first_difference(recorded: Event, made: Event) -> tuple[str, Json, Json] | None:
    """Where two events differ, what is on record there and what came out; None where they say the same."""
    return _differing(_comparable(recorded), _comparable(made), "")


def _comparable(event: Event) -> Json:
    """An event without what is new each time, and without what the runtime says of tools it does not know here."""
    head: dict[str, Json] = {"type": event.type, "expertKey": event.expert_key, "stepNumber": event.step_number}
    return _plain({**head, "payload": json.loads(compact(event.payload))})


def _plain(value: Json) -> Json:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in _NOT_COMPARED}
        if "toolName" not in kept:
            kept.pop("id", None)
        if "toolName" in kept and not kept.get("skillName"):
            kept = {key: item for key, item in kept.items() if key not in ("result", "contents")}
        return {key: _plain(item) for key, item in kept.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _differing(recorded: Json, made: Json, where: str) -> tuple[str, Json, Json] | None:
    if isinstance(recorded, dict) and isinstance(made, dict):
        for key in {**recorded, **made}:
            if found := _differing(recorded.get(key), made.get(key), f"{where}.{key}" if where else key):
                return found
        return None
    if isinstance(recorded, list) and isinstance(made, list):
        for number, (one, other) in enumerate(itertools.zip_longest(recorded, made)):
            if found := _differing(one, other, f"{where}[{number}]"):
                return found
        return None
    return None if recorded == made else (where.removeprefix("payload."), recorded, made)
