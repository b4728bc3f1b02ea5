"""Which event an outcome becomes: a model's reply, its failure, the results of tools. Pure.

What has to happen before is in `machine.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from perstack.core.errors import PerstackError, ProviderError
from perstack.core.json import Json, JsonObject, compact
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
from perstack.runtime.drafts import Draft, Stamp, checkpoint_at, step_json
from perstack.runtime.rules import Kind, Rules
from perstack.runtime.state import RunState, RunStatus
from perstack.runtime.wire import call_json, message_json, result_json

_NOTHING = "No tool call or text generated"
_TOO_LONG = "Generation length exceeded"
_LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as events name it. `status` is the HTTP status where there was one."""

    name: str
    message: str
    retryable: bool = False
    status: int | None = None

    @classmethod
    def of(cls, error: PerstackError) -> Failure:
        """An error that was raised."""
        if isinstance(error, ProviderError):
            return cls(type(error).__name__, error.message, error.retryable, error.status)
        return cls(type(error).__name__, error.message)


def decide_reply(state: RunState, rules: Rules, reply: ModelReply, stamp: Stamp) -> Draft:
    """The event a model's reply becomes (5.6): calls, implicit completion, retry, or stop."""
    message = _expert_message(reply, rules, stamp.id)
    if message.contents and reply.stop_reason is StopReason.LENGTH:
        return _retry_length(state, rules, reply, message, stamp)
    if reply.stop_reason is StopReason.REFUSAL:
        return _retry_refusal(state, rules, reply, message, stamp)
    if message.tool_calls:
        calls: list[Json] = [call_json(call) for call in message.tool_calls]
        return Draft(
            "callTools", {"newMessage": message_json(message), "toolCalls": calls, "usage": reply.usage.to_json()}
        )
    if message.text:
        return _complete(state, rules, stamp, text=message.text, messages=(message,), usage=reply.usage)
    reason = _reason(f"Error: {_NOTHING}", "You must generate a tool call or provide a response. Try again.")
    return _retry(state, rules, stamp, _Again(reason, _NOTHING, (_note(stamp, reason),)), reply.usage)


def decide_failure(state: RunState, rules: Rules, failure: Failure, stamp: Stamp) -> Draft:
    """The event a failed model call becomes.

    The history is left as it was: a transport error is no news to the model, and its cached prefix stays valid.
    """
    if not failure.retryable:
        return stop_by_error(state, rules, failure, stamp)
    again = _Again(_reason(failure.name, failure.message), failure.message, failure=failure)
    return _retry(state, rules, stamp, again, Usage())


def decide_results(
    state: RunState, rules: Rules, results: Sequence[ToolResult], stamp: Stamp, *, completed: bool = False
) -> Draft:
    """The event after the MCP calls of a reply ran; `completed` where the claim of completion was accepted.

    `results` are those that no event holds yet. A claim without a result or a text is asked for one (the form of
    2025), once, where a step is left for it.
    """
    reply = _last_reply(state)
    known = _in_call_order(reply, (*state.partial, *results))
    if completed:
        text = _claimed(reply, rules)
        if text or state.step >= rules.max_steps or _asked_before(state, rules):
            return _complete(state, rules, stamp, text=text, messages=(ToolMessage(stamp.id, known),), usage=None)
        claims = {call.id for call in reply.tool_calls if rules.is_completion(call)}
        known = tuple(_say_more(result) if result.id in claims and not result.is_error else result for result in known)
    answered = {result.id for result in known}
    left = tuple(call for call in state.pending if call.id not in answered)
    fresh: list[Json] = [result_json(result) for result in results]
    told: JsonObject = {
        "newMessage": message_json(reply),
        "usage": state.step_usage.to_json(),
        "partialToolResults": fresh,
    }
    if delegates := rules.calls_of(Kind.DELEGATE, left):
        return Draft("callDelegate", {**told, "toolCalls": [call_json(call) for call in delegates]})
    if left:
        return Draft("callInteractiveTool", {**told, "toolCall": call_json(left[0])})
    return Draft("resolveToolResults", {"toolResults": [result_json(result) for result in known]})


def stop_by_error(
    state: RunState, rules: Rules, failure: Failure, stamp: Stamp, *, usage: Usage | None = None
) -> Draft:
    """The event that ends a run by an error. Nothing after it is retried."""
    checkpoint = checkpoint_at(state, rules, RunStatus.STOPPED_BY_ERROR, stamp, generated=usage)
    told: dict[str, Json] = {"name": failure.name, "message": failure.message, "isRetryable": False}
    if failure.status is not None:
        told["statusCode"] = failure.status
    return Draft(
        "stopRunByError", {"checkpoint": {**checkpoint, "error": told}, "step": step_json(state, stamp), "error": told}
    )


def _last_reply(state: RunState) -> ExpertMessage:
    last = state.history.last()
    return last if isinstance(last, ExpertMessage) else ExpertMessage("", ())


def _claimed(reply: ExpertMessage, rules: Rules) -> str:
    """What a reply that claims completion gives as its result: the call's own, else the text beside it."""
    return next((text for call in reply.tool_calls if rules.is_completion(call) and (text := _claim(call))), reply.text)


def _asked_before(state: RunState, rules: Rules) -> bool:
    """Whether the reply before the last one claimed completion without a result, too."""
    replies = [message for message in state.history.messages()[-8:-1] if isinstance(message, ExpertMessage)]
    return bool(replies) and any(map(rules.is_completion, replies[-1].tool_calls)) and not _claimed(replies[-1], rules)


def _say_more(result: ToolResult) -> ToolResult:
    text = compact({"message": "Accepted. Now answer with your result as plain text, without a tool call."})
    return replace(result, contents=(TextPart(text),))


def _claim(call: ToolCall) -> str:
    result = call.args.get("result")
    return result if isinstance(result, str) else ""


def _in_call_order(reply: ExpertMessage, results: Sequence[ToolResult]) -> tuple[ToolResult, ...]:
    order = {call.id: number for number, call in enumerate(reply.tool_calls)}
    return tuple(sorted(results, key=lambda result: order.get(result.id, -1)))


def _expert_message(reply: ModelReply, rules: Rules, message_id: str) -> ExpertMessage:
    """Thinking, text, calls (MCP, delegate, interactive): the order Anthropic requires. Blank text is no text."""
    thinking = [part for part in reply.contents if isinstance(part, ThinkingPart)]
    texts = [part for part in reply.contents if isinstance(part, TextPart) and part.text.strip()]
    routed = [_routed(call, rules) for call in _distinct(reply, message_id)]
    if not (texts or routed):
        return ExpertMessage(message_id, ())
    return ExpertMessage(message_id, (*thinking, *texts, *sorted(routed, key=rules.kind_of)))


def _distinct(reply: ModelReply, message_id: str) -> list[ToolCall]:
    """The calls, each with an id of its own: some servers give none, or one twice.

    Letters, digits, `_` and `-` only: providers refuse other ids when they get them back.
    """
    calls, seen = list[ToolCall](), set[str]()
    for number, call in enumerate((part for part in reply.contents if isinstance(part, ToolCall)), 1):
        usable = 0 < len(call.id) <= _LONGEST_ID and call.id not in seen
        calls.append(call if usable else replace(call, id=f"{message_id}_{number}"))
        seen.add(calls[-1].id)
    return calls


def _routed(call: ToolCall, rules: Rules) -> ToolCall:
    route = rules.routes.get(call.tool_name)
    return replace(call, skill_name=route.skill_name) if route else call


@dataclass(frozen=True, slots=True)
class _Again:
    """Why the model is asked again: `reason` as JSON, `limit` in words, the messages it adds, the first call's end."""

    reason: str
    limit: str
    messages: tuple[Message, ...] = ()
    answered: tuple[ToolCall, ToolResult] | None = None
    failure: Failure = Failure("MaxRetriesExceeded", "")


def _retry_length(state: RunState, rules: Rules, reply: ModelReply, message: ExpertMessage, stamp: Stamp) -> Draft:
    """A cut reply: keep its first call (answered by an error) or its text, and ask again."""
    words = tuple(part for part in message.contents if not isinstance(part, ToolCall))
    if not message.tool_calls:
        reason = _reason("Error: Text generation failed", f"{_TOO_LONG}. Try again, shorter.")
        again = _Again(reason, _TOO_LONG, (message, _note(stamp, reason)))
        return _retry(state, rules, stamp, again, reply.usage)
    reason = _reason("Error: Tool call generation failed", f"{_TOO_LONG}. Try again.")
    call = message.tool_calls[0]
    answer = ToolResult(call.id, call.tool_name, (TextPart(reason),), call.skill_name, is_error=True)
    messages = (ExpertMessage(message.id, (*words, call)), ToolMessage(f"{stamp.id}.2", (answer,)))
    return _retry(state, rules, stamp, _Again(reason, _TOO_LONG, messages, (call, answer)), reply.usage)


def _retry_refusal(state: RunState, rules: Rules, reply: ModelReply, message: ExpertMessage, stamp: Stamp) -> Draft:
    """A refusal or a content filter: what it said stays, calls cut off by it are not made, and it is asked again."""
    why = message.text.strip() or "no reason given"
    reason = _reason("Error: Unexpected finish reason: refusal", f"Your reply ended as a refusal ({why}). Try again.")
    said = tuple(part for part in message.contents if isinstance(part, TextPart))
    kept: tuple[Message, ...] = (ExpertMessage(message.id, said),) if said else ()
    again = _Again(reason, f"The model refused: {why}", (*kept, _note(stamp, reason)))
    return _retry(state, rules, stamp, again, reply.usage)


def _retry(state: RunState, rules: Rules, stamp: Stamp, again: _Again, usage: Usage) -> Draft:
    if state.retries >= rules.max_retries:
        text = f"Max retries ({rules.max_retries}) exceeded: {again.limit}"
        return stop_by_error(state, rules, replace(again.failure, message=text), stamp, usage=usage)
    new: list[Json] = [message_json(message) for message in again.messages]
    payload: dict[str, Json] = {"reason": again.reason, "newMessages": new, "usage": usage.to_json()}
    if again.answered:
        call, answer = again.answered
        payload |= {"toolCalls": [call_json(call)], "toolResults": [result_json(answer)]}
    return Draft("retry", payload)


def _note(stamp: Stamp, text: str) -> UserMessage:
    return UserMessage(f"{stamp.id}.note", (TextPart(text),))


def _reason(error: str, message: str) -> str:
    return json.dumps({"error": error, "message": message}, ensure_ascii=False)


def _complete(
    state: RunState, rules: Rules, stamp: Stamp, *, text: str, messages: tuple[Message, ...], usage: Usage | None
) -> Draft:
    """`usage` is that of the reply that completes, None where `callTools` has already counted it."""
    checkpoint = checkpoint_at(state, rules, RunStatus.COMPLETED, stamp, generated=usage)
    return Draft(
        "completeRun",
        {
            "checkpoint": checkpoint,
            "step": step_json(state, stamp),
            "text": text,
            "usage": (usage or state.step_usage).to_json(),
            "newMessages": [message_json(message) for message in messages],
        },
    )
