"""The texts of a job on the forge: tracking comment, check run, job summary, commit and pull request. Pure.

Facts come first. What a model wrote is quoted in its own section, without images, mentions or links that work.
"""

from __future__ import annotations

from dataclasses import dataclass

from perstack.core.outcome import Ending, FixOutcome
from perstack.core.signals import Diagnostic, TestCase
from perstack.core.verdict import Report, Verdict
from perstack.forge.contract import CheckOutput
from perstack.forge.sanitise import neutralise
from perstack.interface.progress import JobView, StageState
from perstack.interface.render import facts

FOOTER = "<sub>Only signals decide: nothing a model says can turn this green. · Perstack</sub>"
STAGE_MARK = {
    StageState.WAITING: "▫️",
    StageState.RUNNING: "⏳",
    StageState.DONE: "✔️",
    StageState.FAILED: "✖️",
}
STAGE_TEXT = {
    "prepare": "prepare the sandbox",
    "baseline": "measure the base commit",
    "plan": "plan",
    "build": "build",
    "verify": "verify in a fresh sandbox",
    "publish": "publish",
}
HEADLINE = {
    Ending.FIXED: "Fixed, and proved",
    Ending.NOTHING_TO_FIX: "Nothing to fix",
    Ending.CANNOT_START: "Could not start",
    Ending.NO_CANDIDATE: "No fix found",
    Ending.ROUNDS_USED: "No proved fix",
    Ending.NO_PROGRESS: "No proved fix",
    Ending.BUDGET_USED: "Stopped at the budget",
    Ending.MODEL_FAILED: "The model did not answer",
}


@dataclass(frozen=True, slots=True)
class Story:
    """One job as the forge shows it. Empty fields are left out of the texts."""

    action: str
    actor: str
    base: str
    outcome: FixOutcome | None = None
    report: Report | None = None
    commit: str = ""
    branch: str = ""
    pull_url: str = ""
    check_url: str = ""
    run_url: str = ""
    note: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.outcome is not None:
            return self.outcome.verdict
        return self.report.verdict if self.report else Verdict.ERROR


def progress_comment(action: str, actor: str, base: str, view: JobView) -> str:
    """The tracking comment while the job runs."""
    lines = [f"### ⏳ Perstack is working on `{action}`", "", f"asked by {facts.code(actor)}, at `{base[:12]}`", ""]
    lines += [stage_line(view, index) for index in range(len(view.lines))]
    if not view.lines:
        lines.append(f"- {STAGE_MARK[StageState.RUNNING]} reading the repository")
    return "\n".join((*lines, "", FOOTER))


def stage_line(view: JobView, index: int) -> str:
    """One stage of the job."""
    line = view.lines[index]
    number = f", round {line.round}" if line.round else ""
    note = f" — {line.note}" if line.note else ""
    seconds = f" ({line.seconds:.1f} s)" if line.seconds else ""
    return f"- {STAGE_MARK[line.state]} {STAGE_TEXT.get(line.stage, line.stage)}{number}{note}{seconds}"


def result_comment(story: Story) -> str:
    """The tracking comment at the end."""
    return "\n\n".join(part for part in (f"### {headline(story)}", _where(story), *_body(story), FOOTER) if part)


def headline(story: Story) -> str:
    """One line: the mark and what happened."""
    if story.outcome is not None:
        return f"{facts.VERDICT_MARK[story.verdict]} Perstack: {HEADLINE[story.outcome.ending]}"
    words = {
        Verdict.PASS: "verified",
        Verdict.FAIL: "verification failed",
        Verdict.NEEDS_TEST_CHANGE: "a human has to look at the test changes",
        Verdict.INCONCLUSIVE: "not proved",
        Verdict.ERROR: "verification could not run",
    }
    return f"{facts.VERDICT_MARK[story.verdict]} Perstack: {words[story.verdict]}"


def summary(story: Story) -> str:
    """The job summary: the comment with everything unfolded that people look for in a log."""
    return "\n\n".join(part for part in (f"## {headline(story)}", _where(story), *_body(story), FOOTER) if part)


def check_output(story: Story) -> CheckOutput:
    """The completed check run; annotations are the failing tests and findings at their places."""
    return CheckOutput(
        title=_title(story),
        summary="\n\n".join((headline(story), _where(story))),
        text="\n\n".join(_body(story)),
        annotations=places_of(_report(story), story.outcome),
    )


def head_output(story: Story) -> CheckOutput:
    """The completed check run on the pinned head: where a fix was pushed, the head itself is still red."""
    if not story.commit or story.outcome is None:
        return check_output(story)
    return CheckOutput(
        title=f"red here, fixed by {story.commit[:12]}",
        summary="\n\n".join((headline(story), _where(story))),
        text="\n\n".join(_body(story)),
        annotations=places_of(None, story.outcome),
    )


def problem(action: str, message: str, hint: str, *, run_url: str = "") -> str:
    """What people see when a job had no result."""
    link = f"[job log]({run_url})" if run_url else ""
    parts = (f"### ⚠️ Perstack could not finish `{action}`", facts.block(message, "text", 4000), hint, link, FOOTER)
    return "\n\n".join(part for part in parts if part)


def refusal(action: str, sentence: str) -> str:
    """Why a request was not acted on, in one sentence."""
    return f"### Perstack did not run `{action}`\n\n{sentence[:1].upper()}{sentence[1:]}\n\n{FOOTER}"


def help_text(notes: tuple[str, ...]) -> str:
    """The commands, and what was wrong with the ones that were written."""
    wrong = "\n".join(f"- {neutralise(note)}" for note in notes)
    rows = (
        "| comment | does |\n|---|---|\n"
        "| `/perstack fix [what is wrong]` | plan, build and verify a fix of what is red; push it only when proved |\n"
        "| `/perstack verify` | judge this pull request with the verification protocol |\n"
        "| `/perstack help` | this table |"
    )
    return "\n\n".join(part for part in ("### Perstack commands", wrong, rows, FOOTER) if part)


def progress_check(action: str, view: JobView) -> CheckOutput:
    """The check run while the job runs."""
    lines = [stage_line(view, index) for index in range(len(view.lines))]
    return CheckOutput(title=f"{action}: working", summary="\n".join(lines) or "reading the repository")


def conclusion(story: Story) -> str:
    """Never `neutral` or `skipped`: both would satisfy a required check."""
    if story.verdict is Verdict.PASS:
        return "success"
    if story.verdict in {Verdict.NEEDS_TEST_CHANGE, Verdict.INCONCLUSIVE}:
        return "action_required"
    return "failure"


def places_of(report: Report | None, outcome: FixOutcome | None) -> tuple[Diagnostic, ...]:
    """Where to look, most useful first: failing tests, then policy findings, then diagnostics."""
    found: list[Diagnostic] = []
    if report is not None:
        for signal in report.signals:
            found += [_case_annotation(case) for case in signal.failures if case.path]
            found += [d for d in signal.diagnostics if d.path]
        found += [Diagnostic(f.path, max(f.line, 1), "error" if f.blocks else "warning", f.detail, code=f.code.value)
                  for f in report.policy if f.path]  # fmt: skip
    elif outcome is not None:
        found += [_case_annotation(case) for case in outcome.failing if case.path]
    return tuple(found)


def commit_message(story: Story, *, request_url: str, digest: str) -> str:
    """The message of a proved commit: what turned green, who asked, what was proved."""
    report = _report(story)
    green = [i for s in report.signals if s.tests for i in s.tests.fail_to_pass] if report else []
    names = [facts.code(i, 60).strip("`") for i in green]
    subject = f"Fix {names[0]}" if names else "Fix the failing signals"
    subject += f" and {len(names) - 1} more" if len(names) > 1 else ""
    body = [subject[:100], ""]
    body += ["Turned green, in a fresh sandbox, with the tests of the base commit:", *(f"- {n}" for n in names[:20])]
    trailers = [f"Perstack-Base: {story.base}", f"Perstack-Candidate: sha256:{digest}"]
    if request_url:
        trailers.insert(0, f"Perstack-Request: {request_url}")
    return "\n".join((*body, "", *trailers)) + "\n"


def pull_request_body(story: Story, *, closes: int) -> str:
    """The body of a fix pull request."""
    reference = f"Fixes #{closes}" if closes else ""
    return "\n\n".join(part for part in (reference, *_body(story), FOOTER) if part)


def _title(story: Story) -> str:
    report = _report(story)
    if story.outcome is not None and story.outcome.ending is not Ending.FIXED:
        return f"{HEADLINE[story.outcome.ending]}: {story.outcome.why}"[:200]
    if report is None:
        return story.note[:200] or story.verdict.value
    deltas = [s.tests for s in report.signals if s.tests]
    turned, stayed = sum(len(d.fail_to_pass) for d in deltas), sum(d.pass_to_pass for d in deltas)
    if story.verdict is Verdict.PASS:
        return f"pass: {turned} red → green, {stayed} stayed green"
    return f"{story.verdict}: {', '.join(dict.fromkeys(r.code.value for r in report.reasons))}"[:200]


def _where(story: Story) -> str:
    parts = [f"`{story.action}` at `{story.base[:12]}`" if story.base else f"`{story.action}`"]
    if story.actor:
        parts.append(f"asked by {facts.code(story.actor)}")
    if story.commit:
        parts.append(f"committed as {story.commit[:12]} on {facts.code(story.branch)}")
    links = [("pull request", story.pull_url), ("check", story.check_url), ("run", story.run_url)]
    parts += [f"[{name}]({url})" for name, url in links if url]
    return " · ".join(parts)


def _body(story: Story) -> list[str]:
    report, outcome = _report(story), story.outcome
    parts = [f"> {story.note}" if story.note else ""]
    if outcome is not None and outcome.ending is not Ending.FIXED:
        parts.append(f"**Why:** {facts.code(outcome.why, 600)}")
    if report is not None:
        parts += _report_parts(report)
    elif outcome is not None and outcome.failing:
        parts.append(
            facts.details(f"Red on the base commit ({len(outcome.failing)})", facts.failures_list(outcome.failing))
        )
    if outcome is not None:
        parts += _outcome_parts(outcome)
    if story.warnings:
        parts.append(facts.details("Warnings", "\n".join(f"- {facts.code(w, 300)}" for w in story.warnings)))
    return [part for part in parts if part]


def _report_parts(report: Report) -> list[str]:
    failures = tuple(case for signal in report.signals for case in signal.failures)
    parts = [facts.signal_table(report.signals) if report.signals else "", facts.red_green_table(report)]
    if report.verdict is not Verdict.PASS:
        parts.append(f"**Verdict `{report.verdict}`**\n\n{facts.reasons_list(report)}")
    if report.policy:
        parts.append(facts.details("Findings in the change", facts.policy_list(report)))
    if failures:
        parts.append(facts.details(f"Failing tests ({len(failures)})", facts.failures_list(failures)))
    if loose := facts.unverified_hunks(report):
        parts.append(facts.details("Parts of the change that no signal depends on", loose))
    return parts


def _outcome_parts(outcome: FixOutcome) -> list[str]:
    parts: list[str] = []
    if outcome.candidate is not None:
        change = outcome.candidate
        size = (
            f"{len(change.files)} file{'s' if len(change.files) != 1 else ''}, +{change.insertions} −{change.deletions}"
        )
        title = f"The change ({size})"
        if outcome.ending is not Ending.FIXED:
            title = f"Best attempt, <b>unverified</b>: do not merge as it is ({size})"
        parts.append(facts.details(title, facts.block(facts.readable_patch(change.patch), "diff")))
    if outcome.rounds:
        tokens = outcome.usage.total_tokens
        count = len(outcome.rounds)
        title = f"{count} round{'s' if count != 1 else ''}, {tokens} tokens, {outcome.seconds:.0f} s"
        parts.append(facts.details(title, facts.rounds_table(outcome.rounds)))
    soft = [("Plan", outcome.plan)] if outcome.plan else []
    soft += [("Remark on the change", text) for text in outcome.remarks]
    for title, text in soft:
        parts.append(facts.details(f"{title} <i>(soft: a model's words, no part of the verdict)</i>", _quote(text)))
    return parts


def _quote(text: str) -> str:
    """Line breaks as written: a list that a model made without blank lines stays a list of lines."""
    return "\n".join(f"> {line.rstrip()}  " for line in neutralise(text)[:6000].splitlines())


def _report(story: Story) -> Report | None:
    return story.report or (story.outcome.report if story.outcome else None)


def _case_annotation(case: TestCase) -> Diagnostic:
    return Diagnostic(
        case.path, max(case.line, 1), "error", f"{case.id}\n{case.message}".strip(), code=case.status.value
    )
