"""Running an expert against a script: what the tests of the runtime share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perstack.core.contracts import Provider, Skill
from perstack.core.events import Event
from perstack.core.experts import Expert
from perstack.core.messages import ModelReply
from perstack.providers.scripted import Script, ScriptedProvider
from perstack.runtime.driver import Runner, RunOutcome, RunRequest
from perstack.testing import Collect, FunctionSkill, counting_ids, expert, ticking_clock


class Bench:
    """One runner with everything around it open to a test."""

    def __init__(
        self,
        replies: Sequence[ModelReply] | Script | Provider,
        *,
        skill: FunctionSkill | None = None,
        child_skills: Mapping[str, FunctionSkill] | None = None,
        collect: Collect | None = None,
        **runner: Any,
    ) -> None:
        """`runner` goes to Runner in place of the defaults here."""
        self.collect = collect or Collect()
        self.provider: Provider = (
            ScriptedProvider(replies) if callable(replies) or isinstance(replies, Sequence) else replies
        )
        self.skill = skill or FunctionSkill()
        self.opened: list[FunctionSkill] = []
        self._child_skills = child_skills or {}
        around = {"new_id": counting_ids(), "now_ms": ticking_clock(), "skills_for": self._skills_for} | runner
        self.runner = Runner(self.provider, self.collect, **around)

    async def _skills_for(self, child: Expert) -> tuple[Skill, ...]:
        skill = self._child_skills.get(child.key) or FunctionSkill()
        self.opened.append(skill)
        return (skill,)

    async def run(self, who: Expert | None = None, query: str = "Go.", **fields: Any) -> RunOutcome:
        """Run `who` to its end; `fields` as in RunRequest."""
        return await self.runner.run(self.request(who, query, **fields))

    def request(self, who: Expert | None = None, query: str = "Go.", **fields: Any) -> RunRequest:
        """The request that `run` makes."""
        fields.setdefault("skills", (self.skill,))
        return RunRequest(expert=who or expert(), query=query, model="m", job_id="job", **fields)

    @property
    def events(self) -> list[Event]:
        return self.collect.events

    def scripted(self) -> ScriptedProvider:
        """The provider, where it is a scripted one."""
        assert isinstance(self.provider, ScriptedProvider)
        return self.provider
