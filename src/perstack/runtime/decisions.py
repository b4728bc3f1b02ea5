"""Which event an outcome becomes: a model's reply, its failure, the results of tools. Pure.

What has to happen before is in `machine.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from perstack.core.json import Json, JsonObject
from perstack.core.messages import (
    ExpertMessage,
    Message,
    ModelReply,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.core.usage import Usage
from perstack.runtime.drafts import Draft, Stamp, checkpoint_json, step_json
from perstack.runtime.rules import Kind, Rules
from perstack.runtime.state import RunState, RunStatus
from perstack.runtime.wire import call_json, message_json, result_json

_NOTHING = "No tool call or text generated"
_TOO_LONG = "Generation length exceeded"


def decide_reply(state: RunState, rules: Rules, reply: ModelReply, stamp: Stamp) -> Draft:
    """The event a model's reply becomes (5.6): calls, implicit completion, retry, or stop."""
    message = _expert_message(reply, rules, stamp.id)
    if reply.stop_reason is StopReason.LENGTH and message.contents:
        return _retry_length(state, rules, reply, message, stamp)
    if message.tool_calls:
        calls: list[Json] = [call_json(call) for call in message.tool_calls]
        return Draft(
            "callTools", {"newMessage": message_json(message), "toolCalls": calls, "usage": reply.usage.to_json()}
        )
    if reply.stop_reason is StopReason.REFUSAL:
        why = message.text.strip() or "no reason given"
        return stop_by_error(state, rules, ("ModelRefused", f"The model refused: {why}"), stamp, usage=reply.usage)
    if message.text:
        return _complete(state, rules, stamp, text=message.text, messages=(message,), usage=reply.usage)
    reason = _reason(f"Error: {_NOTHING}", "You must generate a tool call or provide a response. Try again.")
    return _retry(state, rules, stamp, reason=reason, limit_text=_NOTHING, usage=reply.usage, note=True)


def decide_failure(state: RunState, rules: Rules, error: tuple[str, str, bool], stamp: Stamp) -> Draft:
    """The event a failed model call becomes. `error` is (name, message, retryable).

    The history is left as it was: a transport error is no news to the model, and its cached prefix stays valid.
    """
    name, message, retryable = error
    if not retryable:
        return stop_by_error(state, rules, (name, message), stamp)
    return _retry(state, rules, stamp, reason=_reason(name, message), limit_text=message, usage=Usage(), name=name)


def decide_results(
    state: RunState, rules: Rules, results: Sequence[ToolResult], stamp: Stamp, *, completed: bool = False
) -> Draft:
    """The event after the MCP calls of a reply ran; `completed` where the claim of completion was accepted."""
    fresh: list[Json] = [result_json(result) for result in results]
    if completed:
        last = state.history.last()
        own = last.text if isinstance(last, ExpertMessage) else ""
        text = next((claim for call in state.pending if rules.is_completion(call) and (claim := _claim(call))), own)
        answered = _in_call_order(state, results)
        message = ToolMessage(stamp.id, answered)
        return _complete(state, rules, stamp, text=text, messages=(message,), usage=None)
    answered_ids = {result.id for result in results}
    left = tuple(call for call in state.pending if call.id not in answered_ids)
    delegates = rules.calls_of(Kind.DELEGATE, left)
    reference: Json = {"id": last.id, "type": "expertMessage"} if (last := state.history.last()) else {}
    if delegates:
        calls: list[Json] = [call_json(call) for call in delegates]
        payload = {"newMessage": reference, "toolCalls": calls, "partialToolResults": fresh}
        return Draft("callDelegate", {**payload, "usage": state.step_usage.to_json()})
    if left:
        payload = {"newMessage": reference, "toolCall": call_json(left[0]), "partialToolResults": fresh}
        return Draft("callInteractiveTool", {**payload, "usage": state.step_usage.to_json()})
    return Draft("resolveToolResults", {"toolResults": [result_json(r) for r in _in_call_order(state, results)]})


def stop_by_error(
    state: RunState, rules: Rules, error: tuple[str, str], stamp: Stamp, *, usage: Usage | None = None
) -> Draft:
    """The event that ends a run by `error` (name, message). Nothing after it is retried."""
    name, message = error
    total = state.usage + (usage or Usage())
    checkpoint = checkpoint_json(state, rules.expert, RunStatus.STOPPED_BY_ERROR, stamp.id, usage=total)
    told: JsonObject = {"name": name, "message": message, "isRetryable": False}
    return Draft(
        "stopRunByError", {"checkpoint": {**checkpoint, "error": told}, "step": step_json(state), "error": told}
    )


def _claim(call: ToolCall) -> str:
    result = call.args.get("result")
    return result if isinstance(result, str) else ""


def _in_call_order(state: RunState, results: Sequence[ToolResult]) -> tuple[ToolResult, ...]:
    order = {call.id: number for number, call in enumerate(state.pending)}
    known = (*state.partial, *results)
    return tuple(sorted(known, key=lambda result: order.get(result.id, -1)))


def _expert_message(reply: ModelReply, rules: Rules, message_id: str) -> ExpertMessage:
    """Thinking, text, calls (MCP, delegate, interactive): the order Anthropic requires. Blank text is no text."""
    thinking = [part for part in reply.contents if isinstance(part, ThinkingPart)]
    texts = [part for part in reply.contents if isinstance(part, TextPart) and part.text.strip()]
    calls = [part for part in reply.contents if isinstance(part, ToolCall)]
    routed = [
        ToolCall(call.id, call.tool_name, call.args, route.skill_name if route else call.skill_name, call.problem)
        for call in calls
        for route in (rules.routes.get(call.tool_name),)
    ]
    if not (texts or routed):
        return ExpertMessage(message_id, ())
    return ExpertMessage(message_id, (*thinking, *texts, *sorted(routed, key=rules.kind_of)))


def _retry_length(state: RunState, rules: Rules, reply: ModelReply, message: ExpertMessage, stamp: Stamp) -> Draft:
    """A cut reply: keep its first call (answered by an error) or its text, and ask again."""
    first = message.tool_calls[:1]
    kept = ExpertMessage(message.id, (*(p for p in message.contents if not isinstance(p, ToolCall)), *first))
    messages: tuple[Message, ...]
    if first:
        reason = _reason("Error: Tool call generation failed", f"{_TOO_LONG}. Try again.")
        call = first[0]
        answer = ToolResult(call.id, call.tool_name, (TextPart(reason),), call.skill_name, is_error=True)
        messages = (kept, ToolMessage(f"{stamp.id}.2", (answer,)))
    else:
        reason = _reason("Error: Text generation failed", f"{_TOO_LONG}. Try again, shorter.")
        messages = (kept, UserMessage(f"{stamp.id}.2", (TextPart(reason),)))
    return _retry(state, rules, stamp, reason=reason, limit_text=_TOO_LONG, usage=reply.usage, messages=messages)


def _retry(  # noqa: PLR0913  # one event with many parts, all named
    state: RunState,
    rules: Rules,
    stamp: Stamp,
    *,
    reason: str,
    limit_text: str,
    usage: Usage,
    name: str = "MaxRetriesExceeded",
    messages: tuple[Message, ...] = (),
    note: bool = False,
) -> Draft:
    if state.retries >= rules.max_retries:
        text = f"Max retries ({rules.max_retries}) exceeded: {limit_text}"
        return stop_by_error(state, rules, (name, text), stamp, usage=usage)
    if note:
        messages = (*messages, UserMessage(stamp.id, (TextPart(reason),)))
    new: list[Json] = [message_json(message) for message in messages]
    return Draft("retry", {"reason": reason, "newMessages": new, "usage": usage.to_json()})


def _reason(error: str, message: str) -> str:
    return json.dumps({"error": error, "message": message}, ensure_ascii=False)


def _complete(
    state: RunState, rules: Rules, stamp: Stamp, *, text: str, messages: tuple[Message, ...], usage: Usage | None
) -> Draft:
    """`usage` is that of the reply that completes, None where `callTools` has already counted it."""
    total = state.usage + (usage or Usage())
    checkpoint = checkpoint_json(state, rules.expert, RunStatus.COMPLETED, stamp.id, usage=total)
    return Draft(
        "completeRun",
        {
            "checkpoint": checkpoint,
            "step": step_json(state),
            "text": text,
            "usage": (usage or state.step_usage).to_json(),
            "newMessages": [message_json(message) for message in messages],
        },
    )
