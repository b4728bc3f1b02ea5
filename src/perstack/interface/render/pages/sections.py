"""The parts of a result that comment, check run and summary share: where, what, why not, what next, folds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.verdict import ReasonCode, Report, Verdict
from perstack.forge.diff_lines import paths_of, split_files
from perstack.interface.render import facts, stages
from perstack.interface.render.pages import frame
from perstack.interface.render.pages.history import digest, history_fold
from perstack.interface.render.remedies import remedy
from perstack.interface.render.sentences import (
    AFTER_ENDING,
    AFTER_VERDICT,
    ENDING,
    ENDING_MARK,
    VERDICT_MARK,
    VERIFIED,
)
from perstack.interface.story import InlineReview, Story

MAX_REMARKS = 3
MAX_TEST_CHANGE = 6_000
SOFT_TITLE = "What the experts said <i>(soft: no part of the verdict)</i>"
_DECIDES = (
    "**A person decides** (verdict `needs-test-change`): the change touches what tests expect, and the bot neither "
    "accepts nor pushes that."
)


@dataclass(frozen=True, slots=True)
class Room:
    """How much a place shows of long material."""

    patch: int = facts.MAX_PATCH


def headline(story: Story) -> str:
    """One line: the mark and what happened."""
    outcome, report = story.outcome, story.judged
    counts = facts.colours(report.signals) if report else ""
    more = f": {counts}" if counts else ""
    if outcome is None:
        told = VERIFIED[story.verdict]
        return f"{VERDICT_MARK[story.verdict]} {told.partition(':')[0] if more else told}{more}"
    if outcome.ending is Ending.NOTHING_TO_FIX:
        more = ": every signal is green on the base commit"
    elif outcome.ending is not Ending.FIXED and story.verdict is Verdict.NEEDS_TEST_CHANGE:
        return f"{VERDICT_MARK[story.verdict]} {VERIFIED[story.verdict]}{more}"
    return f"{ENDING_MARK[outcome.ending]} {ENDING[outcome.ending]}{more}"


def where(story: Story) -> str:
    """What was looked at, who asked, where the result went, and the links."""
    committed = f"committed as {story.commit[:12]} on {facts.code(story.branch)}" if story.commit else ""
    approved = ""
    if story.plan_sha256:
        by = f", approved by {facts.code(story.approved_by, 40)}" if story.approved_by else ""
        approved = f"plan `{story.plan_sha256[:12]}`{by}"
    return frame.line(
        f"{facts.code(story.action, 40)}{f' at {story.base[:12]}' if story.base else ''}",
        frame.asked_by(story.actor),
        approved,
        committed,  # a bare SHA becomes a link on the forge
        *frame.links(
            ("pull request", story.pull_url),
            ("check", story.check_url),
            ("run", story.run_url),
            ("evidence", story.evidence_url),
        ),
    )


def result(story: Story) -> list[str]:
    """What everybody reads: the table, why not, what next."""
    report, outcome = story.judged, story.outcome
    parts = [_claim(story), f"> {frame.sentence(story.note)}" if story.note else ""]
    if report is not None:
        parts.append(facts.result_table(report))
    parts += _test_change(story)
    if outcome is not None and outcome.ending not in {Ending.FIXED, Ending.NOTHING_TO_FIX}:
        parts.append(f"**Nothing was pushed:** {frame.sentence(outcome.why.rstrip('.'), 1000)}.")
    if report is not None and report.verdict is not Verdict.PASS and report.reasons and not _only_tests(report):
        parts.append(f"**Why this is not proved** (verdict `{report.verdict}`)\n\n{facts.reasons_list(report)}")
    if story.doubt:
        parts.append(f"**Why this commit is not green** (the change itself is proved)\n\n{frame.sentence(story.doubt)}")
    parts.append(f"**Next:** {after}" if (after := following(story)) else "")
    parts.append(_inline_rest(story.inline) if story.inline else "")
    return parts


def following(story: Story) -> str:
    """What to do now, in one sentence; empty for nothing."""
    outcome = story.outcome
    if story.verdict is Verdict.NEEDS_TEST_CHANGE:
        return AFTER_VERDICT[Verdict.NEEDS_TEST_CHANGE]
    if outcome is None:
        return _after_report(story.report)
    if outcome.ending is Ending.FIXED and not story.commit:
        whose = " in your own checkout, and push it" if story.fork else ""
        save = f"save the change below as `fix.diff` and apply it with `git apply fix.diff`{whose}."
        inline = story.inline
        if inline is None or not inline.suggestions or inline.rest_changes:
            return save
        offered = facts.count(inline.suggestions, "suggestion")
        return f"apply the {offered} at the lines of the diff, all at once; or {save}"
    if outcome.ending is Ending.FIXED and story.pull_url:
        again = " (updated)" if story.fix_updated else ""
        return f"review and merge the {frame.link('pull request', story.pull_url)}{again}; nothing is merged by itself."
    return AFTER_ENDING[outcome.ending]


def _after_report(report: Report | None) -> str:
    """The remedy of the first reason: reasons are hardest first."""
    if report is None:
        return AFTER_VERDICT[Verdict.ERROR]
    if not report.reasons:
        return AFTER_VERDICT[report.verdict]
    advice = remedy(report.reasons[0].code)
    return f"{advice[:1].lower()}{advice[1:]}. `/perstack explain` says more about every reason."


def _claim(story: Story) -> str:
    """What the unprivileged run told of itself: shown beside what was measured here, never in place of it."""
    if not story.claimed:
        return ""
    run = frame.link("the unprivileged run", story.claimed_url) if story.claimed_url else "the unprivileged run"
    if story.claimed == story.verdict.value:
        return f"> Measured again here, apart from the fork: the same verdict as {run} had."
    return (
        f"> ⚠️ {run[:1].upper()}{run[1:]} claimed {facts.code(story.claimed, 40)}. What was measured again here, apart "
        f"from the fork, says `{story.verdict}`: only this counts."
    )


def _only_tests(report: Report) -> bool:
    """Whether changed expectations are all that keeps it from being proved: they have a section of their own."""
    named = any(finding.code is ReasonCode.TEST_CHANGE_NEEDED for finding in report.policy)
    return named and {reason.code for reason in report.reasons} == {ReasonCode.TEST_CHANGE_NEEDED}


def _test_change(story: Story) -> list[str]:
    """Test changes apart from the product's, where a person has to decide about them."""
    report = story.judged
    if story.verdict is not Verdict.NEEDS_TEST_CHANGE or report is None:
        return []
    found = [f for f in report.policy if f.code is ReasonCode.TEST_CHANGE_NEEDED]
    lines = [f"- {facts.code(f'{f.path}:{f.line}' if f.line else f.path)}: {frame.sentence(f.detail, 200)}"
             for f in found[: facts.MAX_DETAILS]]  # fmt: skip
    if len(found) > facts.MAX_DETAILS:
        lines.append(f"- … and {len(found) - facts.MAX_DETAILS:,} more")
    patch = test_patch(story)
    return [
        "\n\n".join(filter(None, (_DECIDES, "\n".join(lines)))),
        facts.block(facts.readable_patch(patch), "diff", MAX_TEST_CHANGE) if patch else "",
    ]


def test_patch(story: Story) -> str:
    """The part of the change that is about tests, as the job says or as the policy names its files."""
    if story.test_change:
        return story.test_change
    report, change = story.judged, _candidate(story)
    if report is None or change is None:
        return ""
    named = {f.path for f in report.policy if f.code is ReasonCode.TEST_CHANGE_NEEDED}
    return split_files(change.patch, named)[0]


def _candidate(story: Story) -> Candidate | None:
    return story.outcome.candidate if story.outcome else None


def _inline_rest(inline: InlineReview) -> str:
    """What the inline comments do not say."""
    told = [facts.count(len(inline.comments), "inline comment")]
    if inline.suggestions:
        told.append(f"{inline.suggestions:,} of them to be applied with a click")
    if inline.rest_changes:
        told.append(f"{facts.count(inline.rest_changes, 'part')} of the change lie outside the lines of this diff")
    if inline.rest:
        told.append(f"{facts.count(len(inline.rest), 'finding')} have no line there")
    return f"{'; '.join(told)}." if inline.comments or inline.rest or inline.rest_changes else ""


def folds(story: Story, room: Room | None = None) -> list[str]:
    """What some people look up, most wanted first. What a model wrote is last and by itself."""
    room = room or Room()
    report, outcome = story.judged, story.outcome
    parts = [_change(story, outcome, outcome.candidate, room)] if outcome and outcome.candidate else []
    parts += _failures(report, outcome)
    if story.inline is not None and story.inline.rest:
        title = f"Findings outside the lines of the diff ({len(story.inline.rest):,})"
        parts.append(facts.details(title, facts.findings_at(story.inline.rest)))
    if report is not None and (found := facts.findings_list(report)):
        parts.append(facts.details("Worth a look in the change", found))
    if report is not None and (loose := facts.unverified_hunks(report)):
        parts.append(facts.details("⚑ Parts of the change that no signal depends on", loose))
    parts += evidence(story)
    parts.append(frame.warnings_fold(story.warnings))
    parts.append(history_fold(story.history, story.run_url, digest(story)))
    return [*parts, *said(story)]


def _change(story: Story, outcome: FixOutcome, change: Candidate, room: Room) -> str:
    size = f"{facts.count(len(change.files), 'file')}, +{change.insertions} −{change.deletions}"
    patch = change.patch
    title = f"The change ({size})"
    if story.verdict is Verdict.NEEDS_TEST_CHANGE and (tests := test_patch(story)):
        patch = split_files(patch, paths_of(tests))[1]
        title = "The rest of the change, <b>unverified</b>" if patch.strip() else ""
    elif outcome.ending is not Ending.FIXED:
        title = f"Best attempt, <b>unverified</b>: do not merge it as it is ({size})"
    if not title:
        return ""
    to_apply = outcome.ending is Ending.FIXED and not story.commit
    shown = facts.block(facts.readable_patch(patch, room.patch), "diff", room.patch)
    return facts.details(title, shown, opened=to_apply)


def _failures(report: Report | None, outcome: FixOutcome | None) -> list[str]:
    if report is not None:
        cases = tuple(case for signal in report.signals for case in signal.failures)
        title = f"What the failing tests say ({len(cases):,})"
    else:
        cases = outcome.failing if outcome else ()
        title = f"Red on the base commit ({len(cases):,})"
    return [facts.details(title, facts.failures_list(cases))] if cases else []


def evidence(story: Story) -> list[str]:
    """Cost, rounds, stages, digests and where the evidence is, in one fold."""
    report, outcome = story.judged, story.outcome
    if report is None and outcome is None:
        return []
    effort: list[str] = []
    lines: list[str] = []
    if outcome is not None:
        effort = [facts.count(len(outcome.rounds), "round")] if outcome.rounds else []
        effort.append(frame.spent(outcome.usage, story.cost_usd, outcome.seconds))
        lines += [facts.rounds_table(outcome.rounds), ""] if outcome.rounds else []
        lines += [*frame.by_model(outcome.models), ""] if outcome.models else []
    elif report is not None:
        effort.append(f"{report.seconds:.0f} s")
    if story.view.lines:
        lines += [stages.stage_table(story.view), ""]
    lines.append(f"- base commit: {story.base}")
    if report is not None and report.candidate_digest:
        lines.append(f"- change: `sha256:{report.candidate_digest}`")
    if story.plan_sha256:
        lines.append(f"- plan: `sha256:{story.plan_sha256}`")
    if report is not None and report.evidence:
        place = frame.link("artifact", story.evidence_url) if story.evidence_url else "the step's output `evidence`"
        lines.append(f"- evidence: {facts.code(report.evidence, 300)} where the job ran; {place}")
    return [facts.details(f"Evidence and cost ({', '.join(effort)})", "\n".join(lines))]


def said(story: Story) -> list[str]:
    """What experts wrote."""
    outcome = story.outcome
    if outcome is None:
        return []
    texts = [("Plan", outcome.plan)] if outcome.plan else []
    texts += [("Remark on the change", text) for text in outcome.remarks[-MAX_REMARKS:]]
    if not texts:
        return []
    return [facts.details(SOFT_TITLE, "\n\n".join(f"**{name}**\n\n{frame.soft(text)}" for name, text in texts))]
