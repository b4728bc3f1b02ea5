"""Making an expert: plan → write → really run it → one signal, at most three times. The harness coordinates.

Experts plan, write and explain a red try; whether it is done, the signal alone says. Nothing is written to any
definition here, and no concrete sandbox or provider is picked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from perstack.context.create_queries import Wish, facts_of_try, look_query, plan_query, write_query
from perstack.core.contracts import Session, Skill
from perstack.core.errors import BudgetExceeded, ProviderError, ToolError, UserError
from perstack.core.experts import Config, Expert, SkillSpec
from perstack.core.json import JsonObject
from perstack.core.untrusted import without_hidden
from perstack.core.usage import Usage
from perstack.definition.added import read_tables, require_team
from perstack.runtime.creating_plan import KINDS, TESTS, Plan, holds, lay_out, read_plan, restore_tests
from perstack.runtime.creating_rules import refuse_more
from perstack.runtime.request import MakeSkills, RunOutcome
from perstack.runtime.staff import Staff
from perstack.runtime.stage import Stage
from perstack.skills.authoring import defining, planning

COORDINATOR = "create-expert"
PLANNER, WRITER, VERIFIER = f"@{COORDINATOR}/plan", f"@{COORDINATOR}/write", f"@{COORDINATOR}/verify"
ROUNDS = 3
SUBMISSIONS = 6
"""How often one writer may hand in; whoever needs more is asked anew, with what was wrong."""
TRY_STEPS = 40
NAME = "definition.toml"


class Room(Protocol):
    """A sandbox over a workspace, and the skills of experts in it; `own` are those that the harness adds."""

    def __call__(
        self, workspace: Path, own: Callable[[Expert], tuple[Skill, ...]]
    ) -> AbstractAsyncContextManager[MakeSkills]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What making an expert works with. `session` is a fresh sandbox over a workspace, for the signal."""

    staff: Staff
    room: Room
    session: Callable[[Path], AbstractAsyncContextManager[Session]]
    emit: Callable[[str, JsonObject], None]
    now_s: Callable[[], float]
    scratch: Path


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What to make: the wish, over which definition, and which of its skills the new expert may have."""

    wish: Wish
    config: Config
    allowed: Mapping[str, SkillSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Created:
    """How it ended. `definition` is the proved expert's tables, empty where there is none; `error` says why not.

    `experts` are what the tables say.
    """

    plan: Plan | None
    definition: str
    rounds: int
    usage: Usage
    error: str = ""
    experts: Mapping[str, Expert] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is an expert that did what it is for."""
        return bool(self.definition)

    def to_json(self) -> JsonObject:
        """One document."""
        return {
            "created": self.ok,
            "plan": self.plan.to_json() if self.plan else None,
            "definition": self.definition,
            "rounds": self.rounds,
            "usage": self.usage.to_json(),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class _Written:
    text: str
    experts: Mapping[str, Expert]


class Creation:
    """One expert in the making. Use once."""

    def __init__(self, request: CreateRequest, parts: Parts) -> None:
        self._request = request
        self._parts = parts
        self._usage = Usage()
        self._plan: Plan | None = None
        self._written: _Written | None = None
        self._handed_in = 0
        self._refusal = ""

    async def run(self) -> Created:
        """Make it. What models could not do is a result.

        Raises: BudgetExceeded, ProviderError and other InfrastructureErrors.
        """
        plan = await self._planned()
        if plan is None:
            return Created(None, "", 0, self._usage, f"no usable plan was handed in. {self._refusal}".strip())
        if plan.check.kind == TESTS and await self._green_beforehand(plan):
            return Created(
                plan, "", 0, self._usage, "the planned tests pass before anybody has worked: they prove nothing"
            )
        last = ""
        for number in range(1, ROUNDS + 1):
            written = await self._written_down(plan, number, last)
            if written is None:
                last = f"Nothing usable was handed in the last time. {self._refusal}".strip()
                continue
            error, last = await self._tried(plan, written, number)
            if not error:
                return Created(plan, written.text, number, self._usage, experts=written.experts)
            self._refusal = error
        return Created(plan, "", ROUNDS, self._usage, self._refusal or "no definition was handed in")

    async def _planned(self) -> Plan | None:
        wish, taken = self._request.wish, frozenset(self._request.config.experts)

        def accept(texts: Mapping[str, str], files: Mapping[str, str]) -> str:
            with self._remembering():
                self._plan = read_plan(texts, files, taken, wish.key)
            return "the plan is accepted"

        with self._stage("plan", 0):
            await self._asked(PLANNER, plan_query(wish), planning(accept, KINDS), "plan")
        if self._plan is not None:
            self._parts.emit("progress", {"message": f"`{self._plan.key}` is done when: {self._plan.check.words()}"})
        return self._plan

    async def _written_down(self, plan: Plan, number: int, last: str) -> _Written | None:
        self._written, self._handed_in, self._refusal = None, 0, ""

        def accept(texts: Mapping[str, str], _: Mapping[str, str]) -> str:
            with self._remembering():
                self._written = self._read(plan, texts.get("toml", ""))
            return "the definition is accepted; it is tried next"

        query = write_query(
            self._request.wish,
            key=plan.key,
            purpose=plan.purpose,
            knowledge=plan.knowledge,
            query=plan.query,
            signal=plan.check.words(),
            last=last,
        )
        with self._stage("write", number):
            await self._asked(WRITER, query, defining(accept), f"write-{number}")
        return self._written

    def _read(self, plan: Plan, text: str) -> _Written:
        """Raises: ToolError with every problem at its line."""
        self._handed_in += 1
        if self._handed_in > SUBMISSIONS:
            raise ToolError("That was handed in too often.", hint="End with `attemptCompletion`; you are asked anew.")
        if hidden := without_hidden(text)[1]:
            raise ToolError(f"{NAME}: {hidden} characters that nobody sees.", hint="Write what people can read.")
        try:
            experts = read_tables(text, NAME, ())
            require_team(experts, plan.key, self._request.config.experts, NAME)
        except UserError as error:
            raise ToolError(error.message, hint=error.hint) from error
        refuse_more(experts, self._request.allowed, NAME)
        return _Written(text, experts)

    async def _tried(self, plan: Plan, written: _Written, number: int) -> tuple[str, str]:
        """Why the signal is red, and what is known of it for the writer; twice empty where it is green."""
        folder = self._parts.scratch / f"try-{number}"
        with self._stage("try", number):
            lay_out(plan, folder)
            outcome = await self._run(written.experts, plan, folder)
            green = outcome.status == "completed" and await self._green(plan, outcome.text, folder)
        signal = plan.check.words()
        self._parts.emit("progress", {"message": f"try {number}: {'green' if green else 'red'}: {signal}"})
        if green:
            return "", ""
        status = f"{outcome.status}{f' ({outcome.error})' if outcome.error else ''}"
        facts = facts_of_try(written.text, status=status, answer=outcome.text, signal=signal)
        with self._stage("look", number):
            remarks = await self._looked(look_query(facts, plan.query), folder)
        error = f"the run of `{plan.key}` ended {status}, and this is not so: {signal}"
        return error, f"{facts}\n\nSomebody who saw the result says:\n\n{remarks}" if remarks else facts

    async def _run(self, experts: Mapping[str, Expert], plan: Plan, folder: Path) -> RunOutcome:
        """The new expert itself, on the query, with a limit of its own."""
        staff = self._parts.staff
        config = replace(self._request.config, experts={**self._request.config.experts, **experts})
        limit = min(staff.max_steps, staff.next_step - 1 + TRY_STEPS)
        trial = replace(staff, config=config, max_steps=limit)
        async with self._parts.room(folder, lambda _: ()) as skills_for:
            try:
                outcome = await trial(experts[plan.key], plan.query, skills_for)
            finally:
                staff.next_step = trial.next_step
        self._usage = self._usage + outcome.usage
        _require_answer(plan.key, outcome)
        return outcome

    async def _green(self, plan: Plan, answer: str, folder: Path) -> bool:
        if plan.check.kind != TESTS:
            return holds(plan.check, answer, folder)
        restore_tests(plan, folder)
        return await self._tests_pass(folder) and await self._tests_pass(folder)

    async def _green_beforehand(self, plan: Plan) -> bool:
        folder = self._parts.scratch / "untouched"
        lay_out(plan, folder)
        return await self._tests_pass(folder)

    async def _tests_pass(self, folder: Path) -> bool:
        """One fresh sandbox a time. No test at all is no pass."""
        async with self._parts.session(folder) as session:
            done = await session.run(["python3", "-m", "unittest"], timeout_s=120.0)
        return done.exit_code == 0 and b"\nRan 0 tests" not in b"\n" + done.stderr

    async def _looked(self, query: str, folder: Path) -> str:
        """Remarks, which inform the writer and decide nothing."""
        async with self._parts.room(folder, lambda _: ()) as skills_for:
            try:
                outcome = await self._parts.staff(self._request.config.experts[VERIFIER], query, skills_for)
            except (ProviderError, BudgetExceeded):
                return ""
        self._usage = self._usage + outcome.usage
        return outcome.text

    async def _asked(self, key: str, query: str, skill: Skill, name: str) -> None:
        folder = self._parts.scratch / name
        folder.mkdir(parents=True)
        async with self._parts.room(folder, lambda one: (skill,) if one.key == key else ()) as skills_for:
            outcome = await self._parts.staff(self._request.config.experts[key], query, skills_for)
        self._usage = self._usage + outcome.usage
        _require_answer(key, outcome)

    def _stage(self, name: str, number: int) -> Stage:
        return Stage(self._parts.emit, self._parts.now_s, {"stage": name, "round": number})

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Keep what is wrong with what is handed in, and let the model know too."""
        self._refusal = ""
        try:
            yield
        except ToolError as error:
            self._refusal = f"{error.message} {error.hint}".strip()
            raise


def _require_answer(key: str, outcome: RunOutcome) -> None:
    """Raises: ProviderError where no model answered: that says nothing about the expert."""
    if outcome.status == "stoppedByError":
        raise ProviderError(f"`{key}` stopped: {outcome.error}", hint="Try again, or choose another model.")
