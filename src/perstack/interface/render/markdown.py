"""The texts of a job on the forge: tracking comment, check run, job summary, commit and pull request. Pure.

What happened comes first, then the table from red to green, then why not and what to do. Long material is folded.
What a model wrote is quoted in one section of its own, last, without images, mentions or links that work.
"""

from __future__ import annotations

from urllib.parse import quote

from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.signals import Diagnostic, TestCase
from perstack.core.verdict import Report, Verdict
from perstack.forge.contract import CheckOutput
from perstack.forge.limits import shorten, utf16_units
from perstack.forge.sanitise import neutralise
from perstack.interface.progress import JobView
from perstack.interface.render import facts, stages
from perstack.interface.render.sentences import (
    AFTER_ENDING,
    AFTER_VERDICT,
    ENDING,
    ENDING_MARK,
    VERDICT_MARK,
    VERIFIED,
)
from perstack.interface.story import Story

FOOTER = "<sub>Perstack: only signals decide; nothing a model says can turn this green.</sub>"
PROVED = (
    "This commit was pushed because it was proved: the red tests below turned green and no signal that gates got "
    "worse, in sandboxes that the builder never touched and with the tests of the base commit."
)
HELD_BACK = (
    "Workflows may wait here for an approval, or not start at all: GitHub holds them back for what the workflow's own "
    "token pushes."
)
ROOM = 60_000  # UTF-16 units of one text; the forge takes 65,535, and its marker and notes need some
MAX_SOFT = 5_000
MAX_REMARKS = 3
MAX_WARNINGS = 10


def progress_comment(action: str, actor: str, base: str, view: JobView) -> str:
    """The tracking comment while the job runs."""
    asked = f"asked by {facts.code(actor, 40)}, at {base[:12]}"
    return _join(f"### ⏳ Perstack is working on `{action}`", asked, stages.checklist(view), FOOTER)


def progress_check(action: str, view: JobView) -> CheckOutput:
    """The check run while the job runs."""
    return CheckOutput(title=f"{action}: {stages.now(view)}", summary=stages.checklist(view))


def result_comment(story: Story) -> str:
    """The tracking comment at the end."""
    return compose((f"### {headline(story)}", _where(story), *_result(story), *_folds(story)))


def summary(story: Story) -> str:
    """The job summary: the comment under a larger heading."""
    return compose((f"## {headline(story)}", _where(story), *_result(story), *_folds(story)))


def headline(story: Story) -> str:
    """One line: the mark and what happened."""
    outcome, report = story.outcome, _report(story)
    counts = facts.colours(report.signals) if report else ""
    more = f": {counts}" if counts else ""
    if outcome is None:
        return f"{VERDICT_MARK[story.verdict]} {VERIFIED[story.verdict]}{more}"
    if outcome.ending is Ending.NOTHING_TO_FIX:
        more = ": every signal is green on the base commit"
    elif outcome.ending is not Ending.FIXED and story.verdict is Verdict.NEEDS_TEST_CHANGE:
        return f"{VERDICT_MARK[story.verdict]} {VERIFIED[story.verdict]}{more}"
    return f"{ENDING_MARK[outcome.ending]} {ENDING[outcome.ending]}{more}"


def check_output(story: Story) -> CheckOutput:
    """The completed check run; annotations are the failing tests and findings at their places."""
    return CheckOutput(
        title=shorten(headline(story).partition(" ")[2], 250),
        summary=compose((_where(story), *_result(story)), ""),
        text=compose(tuple(_folds(story))),
        annotations=places_of(_report(story), story.outcome),
    )


def head_output(story: Story) -> CheckOutput:
    """The completed check run on the pinned head: where a fix was pushed, the head itself is still red."""
    if not story.commit or story.outcome is None:
        return check_output(story)
    place = f"{story.commit} on {facts.code(story.branch)}"
    lead = f"This commit is still red. A proved fix is {place}; its own check run shows the proof."
    return CheckOutput(
        title=f"Red here, fixed by {story.commit[:12]}",
        summary=compose((lead, *_result(story)), ""),
        text=compose(tuple(_folds(story))),
        annotations=places_of(None, story.outcome),
    )


def problem(action: str, message: str, hint: str, *, run_url: str = "") -> str:
    """What people see when a job had no result."""
    many = "\n" in message.strip() or len(message) > 500
    why = f"**Why:**\n\n{facts.block(message, 'text', 4000)}" if many else f"**Why:** {_sentence(message)}"
    after = f"**Next:** {_sentence(hint, 1000)}" if hint else ""
    link = _link("job log", run_url) if run_url else ""
    return _join(f"### ⚠️ `{action}` ended without a result", why, after, link, FOOTER)


def refusal(action: str, sentence: str) -> str:
    """Why a request was not acted on, in one sentence."""
    return _join(f"### Perstack did not run `{action}`", _sentence(sentence, 1000, capital=True), FOOTER)


def help_text(notes: tuple[str, ...]) -> str:
    """The commands, and what was wrong with the ones that were written."""
    wrong = "\n".join(f"- {facts.prose(note)}" for note in notes[:MAX_WARNINGS])
    rows = (
        "| comment | does |\n|---|---|\n"
        "| `/perstack fix [what is wrong]` | plans, builds and verifies a fix of what is red; pushes it only when "
        "proved |\n"
        "| `/perstack verify` | judges this pull request with the verification protocol |\n"
        "| `/perstack help` | shows this table |"
    )
    where = "A command stands at the start of a line, outside quotes and code."
    return _join("### Perstack commands", wrong, rows, where, FOOTER)


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
    """The message of a proved commit: what turned green, who asked, what was proved.

    A forge acts on mentions and closing keywords in messages, so names of tests are neutralised here as well.
    """
    report = _report(story)
    deltas = [s.tests for s in report.signals if s.tests] if report else []
    green = [name for delta in deltas for name in delta.fail_to_pass]
    changes = [signal.changes for signal in report.signals if signal.changes] if report else []
    named = [name.rpartition("::")[2] for name in green]
    errors = [f"{d.path}:{d.line} {d.message}" for change in changes for d in change.fixed]
    green, named = [*green, *errors], [*named, *errors]
    subject = f"Fix {facts.prose(named[0], 60)}" if green else "Fix the failing signals"
    subject += f" and {len(green) - 1} more" if len(green) > 1 else ""
    body = ["Red before, green now, in fresh sandboxes, with the tests of the base commit:", ""]
    body += [f"- {facts.prose(name, 200)}" for name in green[:20]]
    body += [f"- and {len(green) - 20} more"] if len(green) > 20 else []
    if kept := sum(delta.pass_to_pass for delta in deltas):
        body += ["", f"{facts.count(kept, 'other test')} stayed green."]
    trailers = [f"Perstack-Base: {story.base}", f"Perstack-Candidate: sha256:{digest}"]
    if request_url:
        trailers.insert(0, f"Perstack-Request: {request_url}")
    # Neutralised once more as a whole: "Fix" and the name after it could make a closing keyword together.
    return "\n".join((neutralise(subject), "", *body, "", *trailers)) + "\n"


def pull_request_body(story: Story, *, closes: int) -> str:
    """The body of a fix pull request. The change itself is on its own page there."""
    report = _report(story)
    return compose(
        (
            f"Fixes #{closes}." if closes else "",
            PROVED,
            facts.result_table(report) if report else "",
            HELD_BACK,
            *_evidence(story),
            *_soft(story),
        )
    )


def compose(parts: tuple[str, ...], footer: str = FOOTER) -> str:
    """A text of these parts, in order. What does not fit is left out as a whole and counted."""
    kept: list[str] = []
    room, left_out = ROOM, 0
    for part in (p for p in parts if p):
        size = utf16_units(part) + 2
        if size > room:
            left_out += 1
            continue
        kept.append(part)
        room -= size
    note = f"*{facts.count(left_out, 'section')} did not fit here; the evidence has everything.*" if left_out else ""
    return _join(*kept, note, footer)


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _sentence(text: str, limit: int = 600, *, capital: bool = False) -> str:
    """Text of ours that may quote what others wrote."""
    text = facts.prose(text, limit)
    return text[:1].upper() + text[1:] if capital else text


def _link(name: str, url: str) -> str:
    return f"[{name}]({quote(url, safe=':/?#[]@!$&*+,;=%~-._')})"


def _where(story: Story) -> str:
    parts = [f"`{story.action}` at {story.base[:12]}" if story.base else f"`{story.action}`"]
    if story.actor:
        parts.append(f"asked by {facts.code(story.actor, 40)}")
    if story.commit:
        # A bare SHA becomes a link on the forge.
        parts.append(f"committed as {story.commit[:12]} on {facts.code(story.branch)}")
    links = (("pull request", story.pull_url), ("check", story.check_url), ("run", story.run_url))
    return " · ".join((*parts, *(_link(name, url) for name, url in links if url)))


def _result(story: Story) -> list[str]:
    """What everybody reads: the table, why not, what next."""
    report, outcome = _report(story), story.outcome
    parts = [f"> {_sentence(story.note)}" if story.note else ""]
    if report is not None:
        parts.append(facts.result_table(report))
    if outcome is not None and outcome.ending not in {Ending.FIXED, Ending.NOTHING_TO_FIX}:
        parts.append(f"**Nothing was pushed:** {_sentence(outcome.why.rstrip('.'), 1000)}.")
    if report is not None and report.verdict is not Verdict.PASS and report.reasons:
        parts.append(f"**Why this is not proved** (verdict `{report.verdict}`)\n\n{facts.reasons_list(report)}")
    parts.append(f"**Next:** {after}" if (after := _next(story)) else "")
    return parts


def _next(story: Story) -> str:
    if story.outcome is None or story.verdict is Verdict.NEEDS_TEST_CHANGE:
        return AFTER_VERDICT[story.verdict]
    if story.outcome.ending is Ending.FIXED and not story.commit:
        return "save the change below as `fix.diff` and apply it with `git apply fix.diff`."
    if story.outcome.ending is Ending.FIXED and story.pull_url:
        return f"review and merge the {_link('pull request', story.pull_url)}; nothing is merged by itself."
    return AFTER_ENDING[story.outcome.ending]


def _folds(story: Story) -> list[str]:
    """What some people look up, most wanted first. What a model wrote is last and by itself."""
    report, outcome = _report(story), story.outcome
    parts = [_change(outcome.candidate, outcome.ending)] if outcome and outcome.candidate else []
    parts += _failures(report, outcome)
    if report is not None and (found := facts.findings_list(report)):
        parts.append(facts.details("Worth a look in the change", found))
    if report is not None and (loose := facts.unverified_hunks(report)):
        parts.append(facts.details("Parts of the change that no signal depends on", loose))
    parts += _evidence(story)
    if story.warnings:
        lines = "\n".join(f"- {facts.prose(w, 300)}" for w in story.warnings[:MAX_WARNINGS])
        parts.append(facts.details(facts.count(len(story.warnings), "warning"), lines))
    return [*parts, *_soft(story)]


def _change(change: Candidate, ending: Ending) -> str:
    size = f"{facts.count(len(change.files), 'file')}, +{change.insertions} −{change.deletions}"
    title = f"The change ({size})"
    if ending is not Ending.FIXED:
        title = f"Best attempt, <b>unverified</b>: do not merge it as it is ({size})"
    return facts.details(title, facts.block(facts.readable_patch(change.patch), "diff"))


def _failures(report: Report | None, outcome: FixOutcome | None) -> list[str]:
    if report is not None:
        cases = tuple(case for signal in report.signals for case in signal.failures)
        title = f"What the failing tests say ({len(cases):,})"
    else:
        cases = outcome.failing if outcome else ()
        title = f"Red on the base commit ({len(cases):,})"
    return [facts.details(title, facts.failures_list(cases))] if cases else []


def _evidence(story: Story) -> list[str]:
    report, outcome = _report(story), story.outcome
    effort: list[str] = []
    lines: list[str] = []
    if outcome is not None:
        effort = [facts.count(len(outcome.rounds), "round")] if outcome.rounds else []
        usage = outcome.usage
        effort.append(
            f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out" if usage.total_tokens else "no tokens"
        )
        effort.append(f"{outcome.seconds:.0f} s")
        lines += [facts.rounds_table(outcome.rounds), ""] if outcome.rounds else []
    elif report is not None:
        effort.append(f"{report.seconds:.0f} s")
    lines.append(f"- base commit: {story.base}")
    if report is not None and report.candidate_digest:
        lines.append(f"- change: `sha256:{report.candidate_digest}`")
    if report is not None and report.evidence:
        lines.append(f"- evidence: {facts.code(report.evidence, 300)} where the job ran; the step's output `evidence`")
    return [facts.details(f"Evidence and cost ({', '.join(effort)})", "\n".join(lines))] if effort else []


def _soft(story: Story) -> list[str]:
    outcome = story.outcome
    if outcome is None:
        return []
    said = [("Plan", outcome.plan)] if outcome.plan else []
    said += [("Remark on the change", text) for text in outcome.remarks[-MAX_REMARKS:]]
    if not said:
        return []
    body = "\n\n".join(f"**{name}**\n\n{_quote(text)}" for name, text in said)
    return [facts.details("What the experts said <i>(soft: no part of the verdict)</i>", body)]


def _quote(text: str) -> str:
    """Line breaks as written: a list that a model made without blank lines stays a list of lines."""
    return "\n".join(f"> {line.rstrip()}  " for line in shorten(neutralise(text[:20_000]), MAX_SOFT).splitlines())


def _report(story: Story) -> Report | None:
    return story.report or (story.outcome.report if story.outcome else None)


def _case_annotation(case: TestCase) -> Diagnostic:
    message = facts.visible(f"{shorten(case.id, 300)}\n{case.message[:2000]}").strip()
    return Diagnostic(case.path, max(case.line, 1), "error", message, code=case.status.value)
