"""Histories of jobs as hypothesis makes them: replies of all kinds, tools of all kinds, delegates, people, failures."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
from hypothesis import strategies as st

from perstack.core.contracts import Skill
from perstack.core.errors import PerstackError, ProviderError, SandboxUnavailable
from perstack.core.events import STREAMING_EVENTS, Event
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.json import Json
from perstack.core.messages import Delta, Message, ModelReply, ModelRequest, StopReason
from perstack.core.usage import Usage
from perstack.runtime.driver import Runner, RunRequest
from perstack.runtime.fold import JobFold
from perstack.runtime.state import RunStatus
from perstack.testing import Collect, FunctionSkill, counting_ids, expert, experts, failing, reply, ticking_clock

ASK = SkillSpec("person", "interactiveSkill", tools={"askUser": ("Ask.", '{"type":"object"}')})
TEAM = experts(
    expert("a", "I am A.", delegates=("b", "c"), skills={BASE_SKILL: SkillSpec(BASE_SKILL), "person": ASK}),
    expert("b", "I am B.", delegates=("c",)),
    expert("c", "I am C."),
)
CALLS = st.lists(
    st.sampled_from(
        [("look", {"path": "x"}), ("write", {"n": 1}), ("break", {}), ("fly", {}), ("b", {"query": "q"}),
         ("c", {"query": "r"}), ("c", {}), ("attemptCompletion", {"result": "r"}), ("attemptCompletion", {}),
         ("todo", {"newTodos": ["t"]}), ("clearTodo", {}), ("askUser", {"q": 1})]
    ), max_size=4,
)  # fmt: skip
REPLIES = st.builds(
    lambda text, calls, stop, thinking: reply(text, calls, stop=stop, thinking=thinking, usage=Usage(3, 2, 1, 1)),
    st.sampled_from(["", "words"]),
    CALLS,
    st.sampled_from([None, None, None, None, StopReason.LENGTH, StopReason.REFUSAL, StopReason.UNKNOWN]),
    st.sampled_from(["", "hm"]),
)
SAID = st.lists(st.sampled_from(["", "And now?"]), max_size=2)
# None: the model is overloaded. After the end of the script it fails for good.
SCRIPTS = st.lists(st.one_of(st.none(), REPLIES, REPLIES), max_size=14)


@dataclass(frozen=True, slots=True)
class Plot:
    """What happens: the model's replies, and what is said to the job after it has stopped."""

    replies: Sequence[ModelReply | None]
    said: Sequence[str] = ()
    max_steps: int = 12


PLOTS = st.builds(Plot, SCRIPTS, SAID, st.sampled_from([3, 12]))


class Model:
    """Gives the replies in order, to whoever asks. `asked` is what it saw and what the fold knew at that moment."""

    name = "scripted"

    def __init__(self, replies: Sequence[ModelReply | None], known: Callable[[str], Sequence[Message]]) -> None:
        self._left = iter(replies)
        self._known = known
        self.asked: list[tuple[Sequence[Message], Sequence[Message]]] = []

    async def generate(self, request: ModelRequest, _on_delta: Callable[[Delta], None]) -> ModelReply:
        """The next one."""
        self.asked.append((request.messages, self._known(request.run_id)))
        answer = next(self._left, ...)
        if answer is ...:
            raise ProviderError("the script is over", status=500)
        if answer is None:
            raise ProviderError("overloaded", retryable=True)
        assert isinstance(answer, ModelReply)
        return answer

    async def close(self) -> None: ...


class Live:
    """Collects the events of a job and folds them as they come."""

    def __init__(self) -> None:
        self.collect = Collect()
        self.folding = JobFold()

    def __call__(self, event: Event) -> None:
        self.collect(event)
        self.folding(event)

    def known(self, run_id: str) -> Sequence[Message]:
        """The history of a run, by the id of its first segment."""
        return self.folding.state().runs[run_id].history.messages()

    @property
    def stored(self) -> list[Event]:
        """The events that a log holds."""
        return [event for event in self.collect.events if event.type not in STREAMING_EVENTS]


def tools() -> FunctionSkill:
    """Tools that read, write, fail, and a to-do list that keeps a run from completing."""
    todos: list[Json] = []

    def todo(args: Mapping[str, Json]) -> str:
        new = args.get("newTodos")
        todos.extend(new if isinstance(new, list) else [])
        return json.dumps(todos)

    def clear(_: Mapping[str, Json]) -> str:
        todos.clear()
        return "[]"

    def write(_: Mapping[str, Json]) -> str:
        if len(todos) > 3:
            raise SandboxUnavailable("the sandbox is gone")
        return "written"

    made = {
        "look": lambda _: "seen", "write": write, "break": failing("no"), "todo": todo, "clearTodo": clear,
        "attemptCompletion": lambda _: json.dumps({"remainingTodos": todos} if todos else {}),
    }  # fmt: skip
    return FunctionSkill(made, read_only=("look",))


def play(plot: Plot) -> tuple[Live, Model]:
    """A whole job as the plot has it."""
    live = Live()
    model = Model(plot.replies, live.known)

    async def main() -> None:
        async def skills_for(_: Expert) -> tuple[Skill, ...]:
            return (tools(),)

        runner = Runner(model, live, new_id=counting_ids(), now_ms=ticking_clock(), skills_for=skills_for)
        request = RunRequest(TEAM["a"], "Go.", "m", "job", experts=TEAM, max_steps=plot.max_steps, max_retries=2)
        await _quietly(runner.run(request))
        for words in plot.said:
            job = live.folding.state()
            run = job.latest_run()
            again = RunRequest(TEAM["a"], words or "On.", "m", "job", experts=TEAM, max_steps=20, max_retries=2)
            if run is not None and run.status is RunStatus.STOPPED_BY_INTERACTIVE_TOOL:
                await _quietly(runner.answer(again, job, words))
            elif words:
                await _quietly(runner.proceed(again, job))
            elif job.checkpoints:
                first = next(key for key, state in job.checkpoints.items() if state.delegated_by is None)
                await _quietly(runner.branch(again, job, first))

    anyio.run(main)
    return live, model


async def _quietly(what: Awaitable[object]) -> None:
    with contextlib.suppress(PerstackError):  # the run's end is on record
        await what
