"""Running a recorded job again: the model and the tools answer from the record, everything between is done anew.

Nothing outside is touched. Whatever then comes out other than it is on record shows that the runtime, the experts or
the record have changed. Ids and times are new each time and are not compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from perstack.core.contracts import Skill, Tell
from perstack.core.errors import InfrastructureError, PerstackError, UserError
from perstack.core.events import RUN_EVENTS, Event
from perstack.core.experts import MANAGEMENT_TOOLS, Expert
from perstack.core.json import Json, compact
from perstack.core.messages import (
    Delta,
    ModelReply,
    ModelRequest,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UserMessage,
)
from perstack.core.storage import LogContents
from perstack.definition.load import read_experts
from perstack.providers.facts import Traits
from perstack.runtime.announcement import context_of, traits_of
from perstack.runtime.driver import Runner
from perstack.runtime.fold import JobFold
from perstack.runtime.log import redacted
from perstack.runtime.offers import delegate_tools, interactive_tools
from perstack.runtime.past import recorded_calls
from perstack.runtime.replay import Difference, ReplayReport, line_of
from perstack.runtime.replay_compare import first_difference
from perstack.runtime.replay_record import Lineage, Path, Record, RecordedRun
from perstack.runtime.request import RunRequest
from perstack.runtime.state import RunState
from perstack.runtime.wire import int_of, message_from, object_of, objects_of, results_from, text_of
from perstack.skills.team import Team


class RecordEnds(InfrastructureError):
    """More was asked than is on record."""


async def rerun(
    contents: LogContents, experts: Mapping[str, Expert], *, redact: Callable[[str], str] = str
) -> ReplayReport:
    """Run a job's log again, with the experts as they are now, and compare each run's events.

    A record that ends in the middle is followed to its end. `redact` is applied to what comes out, as to the record.
    Raises: UserError where an expert of the record is not among `experts`.
    """
    stage = _Stage(contents, experts, redact)
    actions = list(_actions(contents))
    for action in actions:
        if action.expert_key not in experts:
            raise UserError(
                f"the job was run by the expert `{action.expert_key}`, which is not defined",
                hint="Replay it with the configuration it was run with.",
            )
        await stage.act(action)
        if difference := stage.difference(whole=action is actions[-1]):
            return stage.report(difference)
    return stage.report(None)


def _actions(contents: LogContents) -> list[Event]:
    """The `startRun`s that somebody outside asked for: not those of delegates, nor after them."""
    waiting: set[str] = set()
    found: list[Event] = []
    for event in contents.events:
        if event.type == "stopRunByDelegate":
            waiting.add(event.run_id)
        if event.type == "startRun":
            checkpoint = object_of(event.payload.get("initialCheckpoint"))
            resumed = object_of(checkpoint.get("resumedFrom"))
            internal = text_of(resumed.get("runId")) in waiting and not objects_of(event.payload.get("inputMessages"))
            if not internal and not (object_of(checkpoint.get("delegatedBy")) and not resumed):
                found.append(event)
    return found


class _Stage:
    """The record, and everything a runner needs in place of a model, tools, ids and a clock."""

    name = "recorded"

    def __init__(self, contents: LogContents, experts: Mapping[str, Expert], redact: Callable[[str], str]) -> None:
        self._contents = contents
        self._record = Record(contents.events, line_of(0))
        self._experts = experts
        self.team = Team(experts, read_experts)
        self._redact = redact
        self._settings = {e.run_id: e.payload for e in contents.events if e.type == "initializeRuntime"}
        self._lineage = Lineage()
        self._fold = JobFold()
        self._made: dict[Path, list[Event]] = {}
        self._all: list[Event] = []
        self._told = ""
        self._checkpoints: dict[str, str] = {}
        self._births = {key: iter(self._record.births(key)) for key in self._record.tools}
        self._goes_on = False
        ids, clock = itertools.count(1), itertools.count(1)
        self._runner = Runner(
            self,
            self._sink,
            new_id=lambda: f"replay{next(ids)}",
            now_ms=lambda: next(clock),
            skills_for=self._skills,
            traits_for=self._traits,
        )

    async def act(self, event: Event) -> None:
        """Do again what somebody had asked for when the job was run. What comes of it is seen by its events."""
        checkpoint = object_of(event.payload.get("initialCheckpoint"))
        resumed = object_of(checkpoint.get("resumedFrom"))
        job = self._fold.state()
        started_from = self._checkpoints.get(text_of(resumed.get("checkpointId")), "")
        branch = started_from if resumed.get("branch") is True else ""
        self._goes_on = bool(resumed)
        self.team = Team(self._experts, read_experts)
        request = self._request(event)
        try:
            self.team.restore(recorded_calls(self._all, until=branch))
            if not resumed:
                await self._runner.run(request)
            elif request.query and branch:
                await self._runner.branch(request, job, branch)
            elif request.query:
                await self._runner.proceed(request, job)
            else:
                await self._runner.answer(request, job, _answer(checkpoint), checkpoint_id=branch)
        except PerstackError:
            pass  # the run's own end, on record as well, or a difference

    def _request(self, event: Event) -> RunRequest:
        setting = self._settings.get(event.run_id, {})
        return RunRequest(
            expert=self._experts[event.expert_key],
            query=_query(event),
            model=text_of(setting.get("model")),
            job_id=event.job_id,
            experts=self.team.experts,
            max_steps=int_of(setting.get("maxSteps")) or 100,
            max_retries=int_of(setting.get("maxRetries", 5)),
            first_step=event.step_number,
            reasoning_budget=int_of(setting.get("reasoningBudget")),
            context=context_of(object_of(setting.get("context"))),
            tool_tokens=self._tool_tokens,
        )

    def _traits(self, model: str) -> Traits:
        """What was known of a model when the job was run."""
        known = [item for item in self._settings.values() if item.get("model") == model]
        return traits_of(object_of(known[0].get("traits"))) if known else Traits()

    def _tool_tokens(self, state: RunState) -> int | None:
        """What the tools held at the next place of the record that says it."""
        path = self._lineage.path_of(state.run_id)
        recorded = self._record.runs.get(path)
        for _, event in recorded.events[len(self._made.get(path, ())) :] if recorded else ():
            held = object_of(event.payload.get("occupancy")).get("toolTokens")
            if isinstance(held, int):
                return held
        return None

    def _sink(self, event: Event) -> None:
        self._told = event.run_id
        if event.type not in RUN_EVENTS:
            if event.type == "startToolCall":
                self._fold(event)
                self._all.append(event)
            return
        self._fold(event)
        self._all.append(event)
        path = self._lineage.path(event)
        events = self._made.setdefault(path, [])
        recorded = self._record.runs.get(path)
        if recorded and len(events) < len(recorded.events):
            self._same_checkpoint(recorded.events[len(events)][1], event)
        events.append(event)

    def _same_checkpoint(self, recorded: Event, made: Event) -> None:
        for key in ("checkpoint", "nextCheckpoint"):
            known, new = (object_of(event.payload.get(key)).get("id") for event in (recorded, made))
            if known and new:
                self._checkpoints[text_of(known)] = text_of(new)

    def run_of(self, run_id: str) -> RecordedRun:
        """What is on record for a run under way. Raises: RecordEnds where there is nothing."""
        recorded = self._record.runs.get(self._lineage.path_of(run_id))
        if recorded is None:
            raise RecordEnds("the record has no such run")
        return recorded

    def told(self) -> str:
        """The segment that the newest event belongs to."""
        return self._told

    async def generate(self, request: ModelRequest, _on_delta: Callable[[Delta], None]) -> ModelReply:
        """The run's next reply on record. Raises: the recorded error; RecordEnds."""
        run = self.run_of(request.run_id)
        if run.given == len(run.replies):
            raise RecordEnds("the record has no further reply")
        reply = run.replies[run.given]
        run.given += 1
        if isinstance(reply, PerstackError):
            raise reply
        return reply

    async def close(self) -> None: ...

    async def _skills(self, expert: Expert) -> tuple[Skill, ...]:
        """The skills of a run that is about to start, with the tools it is known to have used."""
        if self._goes_on:
            self._goes_on = False
        elif error := next(self._births[expert.key], None) if expert.key in self._births else None:
            raise error
        offers = (*interactive_tools(expert), *delegate_tools(expert, self.team.experts))
        others = {definition.name for definition, _ in offers}
        tools: dict[str, dict[str, bool]] = {}
        for (skill, tool), read_only in self._record.tools.get(expert.key, {}).items():
            if tool not in others:
                tools.setdefault(skill, {})[tool] = read_only
        return tuple(_RecordedSkill(name, used, self, expert.key) for name, used in tools.items())

    def difference(self, *, whole: bool) -> Difference | None:
        """The first event, by its line, that came out other than it is on record; `whole`: or did not come."""
        found = [
            difference
            for path in {**self._record.runs, **self._made}
            if (difference := self._compared(path, self._made.get(path, []), whole=whole))
        ]
        return min(found, key=lambda difference: difference.line or len(self._contents.events) + 2, default=None)

    def report(self, difference: Difference | None) -> ReplayReport:
        """What was replayed."""
        problem = "" if self._contents.truncated else self._contents.problem
        made = sum(map(len, self._made.values()))
        checkpoints = sum("checkpoint" in event.payload for events in self._made.values() for event in events)
        return ReplayReport(made, len(self._made), checkpoints, difference, problem)

    def _compared(self, path: Path, made: Sequence[Event], *, whole: bool) -> Difference | None:
        recorded = self._record.runs.get(path)
        if recorded is None:
            parent = self._record.runs.get(path[:-1])
            if not made or (parent and not parent.ended):
                return None  # the record ends before it
            return Difference(0, made[0].type, f"a run of {made[0].expert_key}", None, "there")
        known = recorded.events[: recorded.interrupted]
        for (line, before), after in zip(known, made, strict=False):
            if found := first_difference(before, replace(after, payload=redacted(after.payload, self._redact))):
                return Difference(line, before.type, *found)
        if len(made) < len(known) and whole:
            line, event = known[len(made)]
            return Difference(line, event.type, "the event", "there", None)
        if len(made) > len(known) and recorded.ended:
            return Difference(0, made[len(known)].type, "an event after the run's end", None, "there")
        return None


class _RecordedSkill:
    """A skill that answers what it has answered before. `tools` are its tools by name, and whether they only read."""

    def __init__(self, name: str, tools: Mapping[str, bool], stage: _Stage, expert_key: str) -> None:
        self._name = name
        self._tools = tools
        self._stage = stage
        self._expert_key = expert_key
        self._run_id = ""

    @property
    def name(self) -> str:
        return self._name

    async def open(self, tell: Tell) -> None:
        """Tell, and learn from it which run this is for."""
        tell("skillConnected", {"skillName": self._name})
        self._run_id = self._stage.told()

    async def definitions(self) -> Sequence[ToolDefinition]:
        """The tools that were used."""
        return [ToolDefinition(name, "", {}, self._name, read_only) for name, read_only in self._tools.items()]

    async def call(self, call: ToolCall) -> ToolResult:
        """The call's next result on record. Raises: the recorded error; RecordEnds."""
        run = self._stage.run_of(self._run_id)
        result = run.results.get((run.given, call.id))
        if result is not None:
            if call.tool_name in MANAGEMENT_TOOLS:
                self._stage.team.restore([(self._expert_key, call, result)])
            return result
        raise run.failure or RecordEnds(f"the record has no result of {call.tool_name} ({call.id})")

    async def close(self) -> None: ...


def _query(event: Event) -> str:
    """What was said to the run."""
    items = objects_of(event.payload.get("inputMessages"))
    messages = [message_from(item, {}) for item in items if item.get("type") == "userMessage"]
    parts = [part for message in messages if isinstance(message, UserMessage) for part in message.contents]
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _answer(checkpoint: Mapping[str, Json]) -> str:
    """The answer that a segment starts with, in the form that names its call."""
    given = [item for item in objects_of(checkpoint.get("partialToolResults")) if "result" in item]
    results = results_from(given, {})
    return compact({"toolCallId": results[0].id, "text": results[0].text}) if results else ""
