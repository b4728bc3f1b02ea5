"""What a proved change says of itself: commit message and pull request. Pure."""

from __future__ import annotations

from perstack.forge.sanitise import neutralise
from perstack.interface.render import facts
from perstack.interface.render.pages import frame, sections
from perstack.interface.story import Story

PROVED = (
    "This commit was pushed because it was proved: the red tests below turned green and no signal that gates got "
    "worse, in sandboxes that the builder never touched and with the tests of the base commit."
)
HELD_BACK = (
    "Workflows may wait here for an approval, or not start at all: GitHub holds them back for what the workflow's own "
    "token pushes."
)
MAX_NAMES = 20


def commit_message(story: Story, *, request_url: str, digest: str) -> str:
    """The message of a proved commit: what turned green, who asked, what was proved.

    A forge acts on mentions and closing keywords in messages, so names of tests are neutralised here as well.
    """
    report = story.judged
    deltas = [s.tests for s in report.signals if s.tests] if report else []
    green = [name for delta in deltas for name in delta.fail_to_pass]
    changes = [signal.changes for signal in report.signals if signal.changes] if report else []
    named = [name.rpartition("::")[2] for name in green]
    errors = [f"{d.path}:{d.line} {d.message}" for change in changes for d in change.fixed]
    green, named = [*green, *errors], [*named, *errors]
    subject = f"Fix {facts.prose(named[0], 60)}" if green else "Fix the failing signals"
    subject += f" and {len(green) - 1} more" if len(green) > 1 else ""
    body = ["Red before, green now, in fresh sandboxes, with the tests of the base commit:", ""]
    body += [f"- {facts.prose(name, 200)}" for name in green[:MAX_NAMES]]
    body += [f"- and {len(green) - MAX_NAMES} more"] if len(green) > MAX_NAMES else []
    if kept := sum(delta.pass_to_pass for delta in deltas):
        body += ["", f"{facts.count(kept, 'other test')} stayed green."]
    trailers = [f"Perstack-Base: {story.base}", f"Perstack-Candidate: sha256:{digest}"]
    if story.plan_sha256:
        trailers.append(f"Perstack-Plan: sha256:{story.plan_sha256}")
    if request_url:
        trailers.insert(0, f"Perstack-Request: {request_url}")
    # Neutralised once more as a whole: "Fix" and the name after it could make a closing keyword together.
    return "\n".join((neutralise(subject), "", *body, "", *trailers)) + "\n"


def pull_request_body(story: Story, *, closes: int) -> str:
    """The body of a fix pull request. The change itself is on its own page there."""
    report = story.judged
    return frame.compose(
        (
            f"Fixes #{closes}." if closes else "",
            PROVED,
            facts.result_table(report) if report else "",
            HELD_BACK,
            *sections.evidence(story),
            *sections.said(story),
        )
    )
