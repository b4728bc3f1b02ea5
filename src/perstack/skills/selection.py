"""Which tools an expert gets: `omit` first, then `pick`. And which skills this version cannot start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, MANAGEMENT_TOOLS, Expert
from perstack.skills.tool import Tool


def select(tools: Mapping[str, Tool], *, pick: Collection[str] = (), omit: Collection[str] = ()) -> Mapping[str, Tool]:
    """The tools that stay. An empty `pick` keeps all but management tools; names nobody knows are ignored."""
    return {name: tools[name] for name in chosen(tools, pick=pick, omit=omit)}


def chosen(names: Iterable[str], *, pick: Collection[str] = (), omit: Collection[str] = ()) -> Iterator[str]:
    """The names that stay. Management tools are there only where `pick` names them."""
    for name in names:
        by_name = bool(pick) or name in MANAGEMENT_TOOLS
        if name not in omit and (name in pick or not by_name):
            yield name


def require_available(expert: Expert) -> None:
    """Make sure every skill of an expert can be started; a run asks before its first model call.

    Raises: UserError that names the expert and the skills.
    """
    # Interactive tools need no start: a call of one stops the run, and a person answers.
    missing = [spec for name, spec in expert.skills.items() if name != BASE_SKILL and spec.type != "interactiveSkill"]
    if missing:
        names = ", ".join(f'"{spec.name}" ({spec.type})' for spec in missing)
        raise UserError(
            f'Expert "{expert.key}" needs skills that are not available in this version: {names}',
            hint=f'MCP skills cannot be started yet. Remove [experts."{expert.key}".skills.…] of '
            f"these skills, or run another expert.",
        )
