"""Which tools an expert gets: `omit` first, then `pick`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from perstack.core.experts import MANAGEMENT_TOOLS
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
