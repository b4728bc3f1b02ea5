"""Jobs on record for tests of `perstack log`: made by the real runner from a script, with made-up ids and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perstack.core.errors import ProviderError
from perstack.core.events import Event
from perstack.core.experts import Expert, SkillSpec
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest
from perstack.core.storage import JobRecord
from perstack.runtime.store import JobStore
from perstack.testing import FunctionSkill, expert, experts, failing, reply
from tests.runtime.running import Bench

STARTED = 1_760_000_000_000
ASK = SkillSpec("ask", "interactiveSkill", tools={"askUser": ("Ask a person.", '{"type": "object"}')})

APP = expert("app", "You are APP.", delegates=("@app/plan", "@app/check"), skills={"ask": ASK})
PLAN = expert("@app/plan", "You are PLAN.", name="@app/plan", delegates=("@app/plan/deep",))
DEEP = expert("@app/plan/deep", "You are DEEP.")
CHECK = expert("@app/check", "You are CHECK.", name="@app/check")

# What each expert says at each turn of one conversation.
Script = Mapping[str, Sequence[ModelReply | ProviderError]]

# Parallel delegates (one of them twice), one nested further, one that fails, a tool that fails, a retry, a question.
STORY: Script = {
    "APP": [
        reply(calls=[("read", {"path": "a.txt"}), ("break", {"why": "\x1b[31mred\x1b[0m"})]),
        reply("I ask three.", [("plan", {"query": "Plan it."}), ("check", {"query": "Check a.\nAnd b."}),
                               ("check", {"query": "FAIL"})]),
        ProviderError("overloaded", retryable=True),
        reply(calls=[("askUser", {"question": "Shall I?"})]),
    ],
    "PLAN": [reply(calls=[("deep", {"query": "Deeper."})]), reply("The plan " + "is long " * 30)],
    "DEEP": [reply("So deep.")],
    "CHECK": [reply("Looks right.")],
}  # fmt: skip


def scripted(script: Script) -> Bench:
    """A runner whose experts say their turns: the next one by how often they have spoken, retries counted."""
    failed: set[tuple[str, int]] = set()

    def answer(request: ModelRequest) -> ModelReply:
        name = next(name for name in script if f"You are {name}." in request.system)
        said = sum(isinstance(message, ExpertMessage) for message in request.messages)
        if "FAIL" in str(request.messages[0]):
            raise ProviderError("no such model")
        said += sum(one[0] == name for one in failed)
        turn = script[name][said]
        if isinstance(turn, ProviderError):
            failed.add((name, said))
            raise turn
        return turn

    tools = FunctionSkill({"read": lambda args: f"contents of {args['path']}", "break": failing("it \x1b[1mbroke")})
    return Bench(answer, skill=tools)


async def told(script: Script = STORY, who: Expert = APP) -> list[Event]:
    """The events of one run of a script, as a log holds them."""
    bench = scripted(script)
    await bench.run(who, "Do the \u202ething.", experts=experts(APP, PLAN, DEEP, CHECK))
    return [event for event in bench.events if not event.type.startswith(("stream", "startStream", "completeStream"))]


def record(events: Sequence[Event], **fields: Any) -> JobRecord:
    """The record of a job that has ended with these events."""
    known: dict[str, Any] = {
        "id": events[0].job_id,
        "coordinator_expert_key": "app",
        "started_at": STARTED,
        "finished_at": STARTED + 4_200,
        "status": "stoppedByInteractiveTool",
        "total_steps": 9,
        "extra": {"kind": "run"},
    }
    return JobRecord(**{**known, **fields})


def stored(root: Path, events: Sequence[Event], job: JobRecord | None = None) -> str:
    """Write a job to a storage; its id."""
    job = job or record(events)
    store = JobStore(root, str)
    store.create(job)
    log = store.open_log(job.id)
    for event in events:
        log(event)
    log.close()
    return job.id
