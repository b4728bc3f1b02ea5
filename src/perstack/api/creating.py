"""Making an expert over a definition: sandboxes and staff for it, and the definition with the new tables in it.

What is proved is added once, at the end; until then no file of anybody changes.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perstack.api.configuration import beside, parse_config
from perstack.api.engine import Job
from perstack.api.kit import Shared
from perstack.api.writing import put
from perstack.context.create_queries import Wish
from perstack.core.contracts import Skill
from perstack.core.errors import UserError
from perstack.core.experts import BASE_TOOLS, Config, Expert, SkillSpec
from perstack.core.grammar import TAG
from perstack.core.json import compact
from perstack.core.sandbox import SandboxSpec
from perstack.core.unicode import well_formed
from perstack.definition.added import appended
from perstack.definition.lock import INTERACTIVE, table_of
from perstack.runtime.creating import COORDINATOR, Created, CreateRequest, Creation, Parts
from perstack.runtime.creating_plan import Plan
from perstack.runtime.creating_rules import allowed_skills
from perstack.runtime.request import MakeSkills

MAX_WISH = 20_000


@dataclass(frozen=True, slots=True)
class Create:
    """An expert to make: what it should do, over which definition; `key` where it has a name already.

    `skills` are the names of skills of the definition that it may have beside base tools.
    """

    wish: str
    config: Config
    key: str = ""
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition file as it was read, to be changed in one step. `data` is None where there is no file yet."""

    path: Path
    data: bytes | None

    @classmethod
    def read(cls, path: Path) -> Definition:
        """Raises: UserError where it cannot be read."""
        try:
            return cls(path, path.read_bytes())
        except FileNotFoundError:
            return cls(path, None)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}", hint="Give another --config.") from error

    def text(self) -> str:
        """Its text, empty where there is none. Raises: UserError where it is not UTF-8."""
        try:
            return (self.data or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}: not UTF-8 text (byte {error.start})", hint="Save it as UTF-8.") from error

    def config(self) -> Config:
        """What it says, over the built-in experts. Raises: UserError with every problem at its line."""
        return parse_config(None if self.data is None else self.text(), str(self.path), beside(self.path))

    def with_tables(self, tables: str) -> str:
        """Its text with tables at the end. Raises: UserError where both together are no valid definition."""
        return appended(self.text(), tables, str(self.path))

    def patch(self, tables: str) -> str:
        """The same as a patch."""
        before, after = self.text(), self.with_tables(tables)
        old = "/dev/null" if self.data is None else f"a/{self.path.name}"
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), old, f"b/{self.path.name}"
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def add(self, tables: str) -> None:
        """Put tables at its end, in one step; everything before stays byte for byte.

        Raises: UserError where the file changed meanwhile; InfrastructureError where it cannot be written.
        """
        after = self.with_tables(tables)
        if Definition.read(self.path).data != self.data:
            raise UserError(f"{self.path} changed meanwhile", hint="Try again: nothing was written.")
        put(self.path, after.encode())


async def create_expert(job: Job, asked: Create) -> Created:
    """Plan, write and really try a new expert. `definition` of what comes back begins with how it was proved.

    Raises: UserError for a wish that cannot be granted; BudgetExceeded, ProviderError, other InfrastructureErrors.
    """
    text = well_formed(asked.wish).strip()
    if not text or len(text) > MAX_WISH:
        raise UserError(f"the wish has {len(text)} characters, 1 to {MAX_WISH} are read", hint="Say what it is to do.")
    if asked.key and TAG.fullmatch(asked.key) is None:
        raise UserError(f"`{asked.key}` cannot be an expert's name", hint="Give --name a name of a-z, 0-9, - and _.")
    if asked.key and asked.key in asked.config.experts:
        raise UserError(f"there is an expert `{asked.key}` already", hint="Choose another --name.")
    allowed = allowed_skills(asked.config, asked.skills)
    wanted = Wish(
        text,
        asked.key,
        {key: expert.description for key, expert in asked.config.experts.items() if not key.startswith("@")},
        {name: _table(spec) for name, spec in allowed.items()},
        BASE_TOOLS,
    )
    # The scratch workspace is no checkout: what sets the project up, or is built from it, cannot work there.
    sandbox = asked.config.sandbox
    config = replace(asked.config, sandbox=SandboxSpec(image=sandbox.image, env=sandbox.env, limits=sandbox.limits))
    job.expert, job.max_steps = COORDINATOR, config.max_steps

    @asynccontextmanager
    async def room(workspace: Path, own: Callable[[Expert], tuple[Skill, ...]]) -> AsyncIterator[MakeSkills]:
        async with job.kit(config, workspace, Shared(own=own, patience_s=config.timeout_ms / 1000)) as kit:
            yield kit.skills_of

    async with job.staff(config, config.max_steps, 0, None) as staff:
        parts = Parts(
            staff=staff,
            room=room,
            session=lambda workspace: job.session(config, workspace),
            emit=job.emit,
            now_s=time.monotonic,
            scratch=job.engine.host.scratch / job.id / "create",
        )
        try:
            created = await Creation(CreateRequest(wanted, config, allowed), parts).run()
        finally:
            job.steps = staff.next_step - 1
    job.usage = created.usage
    job.emit("finishJob", {"outcome": "created" if created.ok else "not-created", "usage": created.usage.to_json()})
    if created.plan is not None and created.ok:
        created = replace(created, definition=f"{_proof(created.plan)}{created.definition.strip()}\n")
    return created


def _proof(plan: Plan) -> str:
    """How it was proved, as comments: each value on one line, as JSON."""
    return (
        "# Made by `perstack create-expert`, and tried once:\n"
        f"# query: {compact(plan.query)}\n# files: {compact(sorted(plan.files))}\n# green when: {plan.check.words()}\n"
    )


def _table(spec: SkillSpec) -> str:
    """A skill as a person would write it below an expert. Raises: UserError for a kind that nobody can try."""
    if spec.type == INTERACTIVE:
        raise UserError(
            f"--allow-skill {spec.name}: asks a person, and nobody answers while an expert is tried",
            hint="Add that skill by hand afterwards.",
        )
    table = {key: value for key, value in table_of(spec).items() if key != "name" and _says(value)}
    lines = [f"{key} = {compact(value)}" for key, value in table.items()]
    return "\n".join((f'[experts."KEY".skills."{spec.name}"]', *lines))


def _says(value: object) -> bool:
    return value not in ("", False, None) and not (isinstance(value, Collection) and not value)
