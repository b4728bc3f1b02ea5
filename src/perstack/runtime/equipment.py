"""What a run works with: its open skills and its tools, kept up with what the team makes of the expert meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import anyio

from perstack.context.elision import LeftOut
from perstack.context.prompts import system_prompt
from perstack.core.contracts import Restorable, Skill, Tell
from perstack.core.errors import InfrastructureError, InvariantBroken, PerstackError, UserError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject
from perstack.core.messages import ToolCall, ToolResult
from perstack.runtime.concurrency import in_order
from perstack.runtime.journal import Journal
from perstack.runtime.offers import Offer, delegate_tools, interactive_tools
from perstack.runtime.outputs import LeftOutOutputs
from perstack.runtime.request import MakeSkills, RunRequest
from perstack.runtime.toolbox import Toolbox

CLOSING_S = 10.0
_PARALLEL_STARTS = 8


class Voice:
    """Tells what happens to a run's skills, under the segment that is under way: skills outlive segments."""

    def __init__(self, journal: Journal, job_id: str, run_id: str) -> None:
        self._journal = journal
        self._job_id = job_id
        self.run_id = run_id

    def __call__(self, kind: str, payload: JsonObject) -> None:
        # A skill that is closing, or reads its server in the background, must not stop because a log cannot be
        # written: the run's own next event meets the same error and says so.
        with suppress(InfrastructureError):
            self._journal.tell(self._job_id, self.run_id, kind, payload)


class Equipment:
    """The skills and tools of one run. Those that `make` makes are opened and closed here; the request's are opened.

    The expert is what `request.experts` says it is at the time: management tools give it delegates and skills while
    it runs. A delegate gets no interactive tools: there is nobody to answer it.
    """

    def __init__(self, request: RunRequest, make: MakeSkills | None, tell: Tell, *, is_delegate: bool) -> None:
        self._request = request
        self._make = None if request.skills else make
        self._tell = tell
        self._is_delegate = is_delegate
        self._expert = request.expert
        self._made: dict[str, Skill] = {}
        self._skills: dict[str, Skill] = {}
        self.outputs = LeftOutOutputs()
        self.toolbox = Toolbox(self._skills, self._others, tell)

    async def open(self, past: Sequence[tuple[ToolCall, ToolResult]] = ()) -> None:
        """Open the skills, let those that remember learn what they did in the `past`, and get the first tools.

        Raises: UserError where names collide, a delegate is missing or a skill is not usable; InfrastructureErrors.
        """
        _require_delegates(self._expert, self._request.experts)
        made = await self._make(self._expert) if self._make else ()
        self._made = {skill.name: skill for skill in made}
        skills = self._request.skills or made
        self._skills.update((skill.name, skill) for skill in skills)
        if len(self._skills) < len(skills):
            raise InvariantBroken(f"expert `{self._expert.key}` was given two skills of one name")
        self._skills[self.outputs.name] = self.outputs
        await in_order([partial(skill.open, self._tell) for skill in skills], limit=_PARALLEL_STARTS)
        for skill in skills:
            if past and isinstance(skill, Restorable):
                skill.restore([(call, result) for call, result in past if result.skill_name == skill.name])
        await self.toolbox.fill()

    async def refresh(self, left_out: Mapping[str, LeftOut] | None = None) -> None:
        """Before a further step: the skills the expert has now, and the tools they offer now.

        `left_out` are outputs that the conversation no longer holds: there is a tool to read them again.
        """
        self.outputs.known = left_out or self.outputs.known
        now = self._request.experts.get(self._expert.key, self._expert)
        before, self._expert = self._expert, now
        if now is not before and now.skills != before.skills and self._make is not None:
            await self._exchange(before, now, self._make)
        await self.toolbox.refresh()

    async def close(self) -> None:
        """Close what was made here, all at once; also while being cancelled, but not for ever."""
        with anyio.move_on_after(CLOSING_S, shield=True):
            await in_order([partial(self._close, skill) for skill in self._made.values()], limit=len(self._made))

    async def _exchange(self, before: Expert, now: Expert, make: MakeSkills) -> None:
        """Close skills that are gone and open new ones. One that does not start is told and left out."""
        for name in [name for name, spec in before.skills.items() if now.skills.get(name) != spec]:
            self._skills.pop(name, None)
            if gone := self._made.pop(name, None):
                await self._close(gone)
        wanted = [name for name, spec in now.skills.items() if before.skills.get(name) != spec]
        try:
            found = {skill.name: skill for skill in await make(now)} if wanted else {}
        except PerstackError as error:
            self._complain(", ".join(wanted), f"cannot be made: {error.message}")
            return
        for name in wanted:
            if skill := found.get(name):
                await self._add(skill)

    async def _add(self, skill: Skill) -> None:
        self._made[skill.name] = skill
        try:
            await skill.open(self._tell)
        except PerstackError as error:
            self._complain(skill.name, f"cannot start: {error.message}")
            return
        self._skills[skill.name] = skill

    async def _close(self, skill: Skill) -> None:
        try:
            await skill.close()
        except PerstackError as error:
            self._complain(skill.name, f"cannot close: {error.message}")

    def _complain(self, name: str, message: str) -> None:
        self._tell("skillStderr", {"skillName": name, "message": message})

    def _others(self) -> Iterable[Offer]:
        if not self._is_delegate:
            yield from interactive_tools(self._expert)
        yield from delegate_tools(self._expert, self._request.experts)


def prompt_of(expert: Expert, experts: Mapping[str, Expert], *, is_delegate: bool) -> str:
    """The system prompt: rules of the skills it really has, and the delegates it may call."""
    rules = {
        spec.name: spec.rule for spec in expert.skills.values() if not (is_delegate and spec.type == "interactiveSkill")
    }
    return system_prompt(expert, rules, [experts[key] for key in expert.delegates])


def _require_delegates(expert: Expert, experts: Mapping[str, Expert]) -> None:
    for key in expert.delegates:
        if key not in experts:
            raise UserError(
                f"expert `{expert.key}` delegates to `{key}`, which is not found",
                hint=f'Define [experts."{key}"] or remove it from `delegates`.',
            )
