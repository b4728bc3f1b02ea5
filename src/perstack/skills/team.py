"""The team of one job: the experts of its definition, and what its experts made of them with management tools.

A team is a function of the configured experts and of the successful calls, in the order of the log: nothing else is
kept, so a job that is read back has the same team. It ends with its job; no file is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from perstack.core.errors import InvariantBroken, ToolError, UserError
from perstack.core.experts import MANAGEMENT_TOOLS, Expert, SkillSpec
from perstack.core.json import Json, JsonObject
from perstack.core.messages import ToolCall, ToolResult
from perstack.skills.team_trust import refuse_wider_team

# Experts as data (key → table) → checked experts. Raises: UserError. `definition.load.read_experts` is the one.
Reader = Callable[[Mapping[str, JsonObject]], Mapping[str, Expert]]


@dataclass(frozen=True, slots=True)
class TeamState:
    """The experts as they are now, and as each was configured or created: what it was `granted`, it may hand on.

    `made` holds the key of each created expert and of the one that made it, in their order.
    """

    experts: Mapping[str, Expert]
    granted: Mapping[str, Expert]
    made: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, experts: Mapping[str, Expert]) -> TeamState:
        """The team a definition starts with."""
        return cls(dict(experts), dict(experts))


@dataclass(frozen=True, slots=True)
class Change:
    """One successful call of a management tool: who called it, with what, and what it answered."""

    caller: str
    tool: str
    args: Mapping[str, Json]
    answer: Mapping[str, Json]


class Team:
    """A job's team as its runs see it: one object a job, shared by all of its runs."""

    def __init__(self, experts: Mapping[str, Expert], read: Reader) -> None:
        """`read` checks experts that are given as data; it must be pure, or a team could not be read back."""
        self.read = read
        self.state = TeamState.of(experts)
        self._view = _Experts(self)

    @property
    def experts(self) -> Mapping[str, Expert]:
        """All experts by key, always as they are now."""
        return self._view

    def change(self, change: Change) -> None:
        """Make a change that was checked before (`team_tools`)."""
        self.state = apply_change(self.state, change, self.read)

    def restore(self, calls: Iterable[tuple[str, ToolCall, ToolResult]]) -> None:
        """Make the changes of recorded calls, each with the key of the expert that called, in the order of the log.

        Calls of other tools, and calls that failed, are passed over. The definition may be another one by now: what
        it no longer allows is not brought back.
        Raises: UserError where an expert would have more than the definition gives now.
        """
        state = self.state
        for caller, call, result in calls:
            state = apply_call(state, caller, call, result, self.read)
        try:
            refuse_wider_team(state.experts, state.granted, state.made)
        except ToolError as error:
            raise UserError(
                f"the definition allows less than when this job began: {error.message}",
                hint="Start a new job, or give the definition back what it had.",
            ) from error
        self.state = state


def apply_call(state: TeamState, caller: str, call: ToolCall, result: ToolResult, read: Reader) -> TeamState:
    """The team after one recorded call. Pure.

    Raises: InvariantBroken where a recorded answer is not what the tool writes.
    """
    if result.is_error or call.tool_name not in MANAGEMENT_TOOLS or caller not in state.experts:
        return state
    try:
        answer = json.loads(result.text)
    except ValueError as error:
        raise InvariantBroken(f"the recorded answer of {call.tool_name} is not JSON") from error
    if not isinstance(answer, dict):
        raise InvariantBroken(f"the recorded answer of {call.tool_name} is no object")
    return apply_change(state, Change(caller, call.tool_name, given(call.args), answer), read)


def apply_change(state: TeamState, change: Change, read: Reader) -> TeamState:
    """The team after one change. Checks nothing but that what is added can be read: refusing is done before."""
    match change.tool:
        case "createExpert":
            return _with_new(state, change.caller, read({str(change.args["key"]): expert_table(change.args)}))
        case "addDelegateFromConfig":
            tables = _tables(change.answer.get("experts"))
            state = _with_new(state, change.caller, read(tables))
            return _with_delegate(state, change.caller, str(change.answer["expertKey"]))
        case "addDelegate":
            return _with_delegate(state, change.caller, str(change.args["expertKey"]))
        case "removeDelegate":
            gone = change.args["expertKey"]
            expert = state.experts[change.caller]
            left = tuple(delegate for delegate in expert.delegates if delegate != gone)
            return _with(state, change.caller, replace(expert, delegates=left))
        case "addSkill":
            spec = read_skill(change.args, read)
            return _with_skills(state, change.caller, {**state.experts[change.caller].skills, spec.name: spec})
        case "removeSkill":
            skills = state.experts[change.caller].skills
            kept = {name: spec for name, spec in skills.items() if name != change.args["skillName"]}
            return _with_skills(state, change.caller, kept)
    return state


def given(args: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments without those that are null: models write null for what they leave out."""
    return {name: value for name, value in args.items() if value is not None}


def expert_table(args: Mapping[str, Json]) -> JsonObject:
    """The arguments of `createExpert` as an expert's table."""
    return {name: value for name, value in args.items() if name != "key"}


def read_skill(args: Mapping[str, Json], read: Reader) -> SkillSpec:
    """The arguments of `addSkill` as a checked skill. Raises: UserError."""
    name = str(args["name"])
    table = {key: value for key, value in args.items() if key != "name"}
    expert: JsonObject = {"instruction": "-", "skills": {name: table}}
    return read({"reader": expert})["reader"].skills[name]


def _with_new(state: TeamState, maker: str, added: Mapping[str, Expert]) -> TeamState:
    """With new experts. One that is there stays as it is: the definition may have it by now."""
    new = {key: expert for key, expert in added.items() if key not in state.experts}
    return replace(
        state,
        experts={**state.experts, **new},
        granted={**state.granted, **new},
        made={**state.made, **dict.fromkeys(new, maker)},
    )


def _with(state: TeamState, key: str, expert: Expert) -> TeamState:
    return replace(state, experts={**state.experts, key: expert})


def _with_delegate(state: TeamState, caller: str, key: str) -> TeamState:
    expert = state.experts[caller]
    if key in expert.delegates:
        return state
    return _with(state, caller, replace(expert, delegates=(*expert.delegates, key)))


def _with_skills(state: TeamState, caller: str, skills: Mapping[str, SkillSpec]) -> TeamState:
    return _with(state, caller, replace(state.experts[caller], skills=skills))


def _tables(value: Json) -> Mapping[str, JsonObject]:
    if not isinstance(value, Mapping):
        return {}
    return {key: table for key, table in value.items() if isinstance(table, Mapping)}


class _Experts(Mapping[str, Expert]):
    """The team's experts, looked up when asked for."""

    def __init__(self, team: Team) -> None:
        self._team = team

    def __getitem__(self, key: str) -> Expert:
        return self._team.state.experts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._team.state.experts)

    def __len__(self) -> int:
        return len(self._team.state.experts)
