"""The skills of an expert at its place of work. Makes them; the runtime opens and closes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perstack.api.host import Host, Run
from perstack.core.contracts import Sandbox, Session, Skill
from perstack.core.experts import Config, Expert
from perstack.core.sandbox import Snapshot
from perstack.skills.base import base_skill
from perstack.skills.selection import require_available


@dataclass(frozen=True, slots=True)
class Workplace:
    """A workspace and the sandboxes over it: `session` for base tools, fresh ones for servers."""

    sandbox: Sandbox
    snapshot: Snapshot
    session: Session
    workspace: Path


class Kit:
    """Makes skills for the experts of one run. `say` gets progress for people."""

    def __init__(self, host: Host, config: Config, place: Workplace, run: Run, say: Callable[[str], None]) -> None:
        self._host = host
        self._config = config
        self._place = place
        self._run = run
        self._say = say

    async def skills_of(self, expert: Expert) -> tuple[Skill, ...]:
        """Its base tools, its servers, and what the caller of the run added for it.

        Raises: UserError where one of them cannot be had here.
        """
        require_available(expert)
        own = self._run.skills if expert.key == self._run.expert else ()
        return (base_skill(expert, self._place.workspace, self._place.session), *own)
