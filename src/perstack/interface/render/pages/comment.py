"""The one sticky comment of a job: while it works, and its result. Rendered from the fold of the event log. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.core.json import JsonObject
from perstack.interface.progress import JobView
from perstack.interface.render import facts, stages
from perstack.interface.render.pages import frame, sections
from perstack.interface.render.pages.history import history_fold
from perstack.interface.story import Story


def progress_comment(
    action: str,
    actor: str,
    base: str,
    view: JobView,
    *,
    links: Sequence[tuple[str, str]] = (),
    note: str = "",
    history: Sequence[JsonObject] = (),
) -> str:
    """The tracking comment while the job runs. It changes only when a stage or a run of a signal does.

    `links` are names and addresses; an empty address is left out.
    """
    where = frame.line(
        f"at {base[:12]}" if base else "",
        frame.asked_by(actor),
        *frame.links(*links),
    )
    said = f"> {frame.sentence(note)}" if note else ""
    stop = "<sub>`/perstack stop` ends it. Nothing is pushed before it is proved.</sub>"
    head = f"### ⏳ {facts.code(action, 40)} is at work: {stages.now(view)}"
    return frame.compose(
        (head, where, said, stages.live(view), history_fold(history, dict(links).get("run", "")), stop), ""
    )


def result_comment(story: Story) -> str:
    """The tracking comment at the end."""
    return frame.compose(
        (f"### {sections.headline(story)}", sections.where(story), *sections.result(story), *sections.folds(story))
    )
