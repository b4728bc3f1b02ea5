"""Checkpoints as the public format has them: with all messages, calls and results. Pure.

Ours only count and refer, since the log holds everything once; the state of the run has the rest.
"""

from __future__ import annotations

from perstack.core.json import Json, JsonObject
from perstack.runtime.state import RunState
from perstack.runtime.wire import call_json, instruction_json, message_json, objects_of, result_json, text_of

# Keys of ours that the public format does not know.
_OWN = frozenset({"messageCount", "resumedFrom"})


def in_full(checkpoint: JsonObject, state: RunState) -> JsonObject:
    """A checkpoint of ours with everything it counts or refers to; `state` is its run's then."""
    full: dict[str, Json] = {key: value for key, value in checkpoint.items() if key not in _OWN}
    full["messages"] = all_messages(state)
    calls = {call.id: call_json(call) for call in state.pending}
    results = {result.id: result_json(result) for result in state.partial}
    for key, known in (("pendingToolCalls", calls), ("partialToolResults", results)):
        if key in checkpoint:
            full[key] = [known.get(text_of(item.get("id")), item) for item in objects_of(checkpoint[key])]
    if resumed := checkpoint.get("resumedFrom"):
        full["metadata"] = {"resumedFrom": resumed}
    return full


def all_messages(state: RunState) -> list[Json]:
    """The run's messages, its instruction first."""
    system: list[Json] = [instruction_json(f"{state.origin_run_id}.system", state.system)] if state.system else []
    return [*system, *map(message_json, state.history)]
