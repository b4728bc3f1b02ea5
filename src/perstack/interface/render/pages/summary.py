"""The job summary: the result with its diagram, and more of everything, since there is a mebibyte. Pure."""

from __future__ import annotations

from perstack.interface.render.pages import frame, sections
from perstack.interface.render.pages.flow import diagram
from perstack.interface.story import Story

ROOM = sections.Room(patch=200_000)


def summary(story: Story) -> str:
    """The whole result under a larger heading, the way there as a diagram."""
    parts = (
        f"## {sections.headline(story)}",
        sections.where(story),
        *sections.result(story),
        diagram(story),
        *sections.folds(story, ROOM),
    )
    return frame.compose_summary(parts)
