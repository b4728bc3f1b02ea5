"""The check run as live state: queued, at work, completed; and where its annotations go. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from perstack.core.outcome import Ending, FixOutcome
from perstack.core.signals import Diagnostic, TestCase
from perstack.core.verdict import Report, Verdict
from perstack.forge.contract import CheckOutput
from perstack.forge.limits import shorten
from perstack.interface.progress import JobView
from perstack.interface.render import facts, stages
from perstack.interface.render.pages import frame, sections
from perstack.interface.story import Story

MAX_TITLE = 250
MAX_PLACES = 25_000  # more than any forge takes; the rest is counted by nobody
_SEVERITY = {"must": "error", "should": "warning"}


def queued_check(action: str) -> CheckOutput:
    """The check run before the job has started to work."""
    return CheckOutput(title=f"{action}: waiting to start", summary="The job is admitted and waits for its turn.")


def progress_check(action: str, view: JobView) -> CheckOutput:
    """The check run while the job runs: a table that grows with every run of a signal."""
    return CheckOutput(title=shorten(f"{action}: {stages.now(view)}", MAX_TITLE), summary=stages.live(view))


def check_output(story: Story) -> CheckOutput:
    """The completed check run; annotations are the failing tests and findings at their places."""
    return CheckOutput(
        title=shorten(sections.headline(story).partition(" ")[2], MAX_TITLE),
        summary=frame.compose((sections.where(story), *sections.result(story)), "", room=frame.CHECK_ROOM),
        text=frame.compose(sections.folds(story), room=frame.CHECK_ROOM),
        annotations=places_of(story.judged, story.outcome),
    )


def head_output(story: Story) -> CheckOutput:
    """The completed check run on the pinned head: where a fix was pushed, the head itself is still red."""
    if story.outcome is None or story.outcome.ending is not Ending.FIXED:
        return check_output(story)
    place = f"{story.commit} on {facts.code(story.branch)}" if story.commit else "at hand, and was not pushed"
    proof = "; its own check run shows the proof" if story.commit else ""
    lead = f"This commit is still red. A proved fix is {place}{proof}."
    return CheckOutput(
        title=f"Red here, fixed by {story.commit[:12]}" if story.commit else "Red here; a proved fix is not pushed",
        summary=frame.compose((lead, *sections.result(story)), "", room=frame.CHECK_ROOM),
        text=frame.compose(sections.folds(story), room=frame.CHECK_ROOM),
        annotations=places_of(None, story.outcome),
    )


def conclusion(story: Story) -> str:
    """Never `neutral` or `skipped`: both would satisfy a required check."""
    if story.verdict is Verdict.PASS:
        return "success"
    if story.verdict in {Verdict.NEEDS_TEST_CHANGE, Verdict.INCONCLUSIVE}:
        return "action_required"
    return "failure"


def places_of(report: Report | None, outcome: FixOutcome | None) -> tuple[Diagnostic, ...]:
    """Where to look, most useful first: failing tests, what is new from compilers, the policy, then the rest."""
    found = _of_report(report) if report is not None else _of_outcome(outcome)
    return tuple(dict.fromkeys(one for one, _ in zip(found, range(MAX_PLACES), strict=False)))


def _of_report(report: Report) -> Iterator[Diagnostic]:
    signals = sorted(report.signals, key=lambda signal: signal.priority != "must")
    for signal in signals:
        severity = _SEVERITY.get(signal.priority.value, "warning")
        yield from (_case_annotation(case, severity) for case in signal.failures if case.path)
    for signal in signals:
        yield from (_harmless(one) for one in (signal.changes.new if signal.changes else ()) if one.path)
    for finding in report.policy:
        if finding.path:
            severity = "error" if finding.blocks else "warning"
            yield Diagnostic(
                finding.path, max(finding.line, 1), severity, facts.visible(finding.detail), code=finding.code.value
            )
    for signal in signals:
        yield from (_harmless(one) for one in signal.diagnostics if one.path)


def _of_outcome(outcome: FixOutcome | None) -> Iterator[Diagnostic]:
    if outcome is not None:
        yield from (_case_annotation(case, "error") for case in outcome.failing if case.path)


def _case_annotation(case: TestCase, severity: str) -> Diagnostic:
    message = facts.visible(f"{shorten(case.id, 300)}\n{case.message[:2000]}").strip()
    return Diagnostic(case.path, max(case.line, 1), severity, message, code=case.status.value)


def _harmless(found: Diagnostic) -> Diagnostic:
    """A tool's words without characters that steer or hide."""
    message, code = facts.visible(found.message[:4000]), facts.visible(found.code[:200])
    return Diagnostic(found.path, found.line, found.severity, message, found.column, code)
