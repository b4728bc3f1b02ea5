"""What experts say on request: a plan, a review, an answer. Quoted and soft; the protocol's word stands apart. Pure."""

from __future__ import annotations

from perstack.core.verdict import Report, Verdict
from perstack.interface.render import facts
from perstack.interface.render.pages import frame
from perstack.interface.render.sentences import VERDICT_MARK, VERIFIED
from perstack.interface.story import AnswerStory, InlineReview, PlanStory, ReviewStory

SHORT_SHA = 12


def plan_comment(plan: PlanStory) -> str:
    """A plan, and the exact words that have it carried out. The approval binds commit and text."""
    need = "Nothing happens until somebody who may ask for a fix approves it:" if plan.approval_needed else (
        "To have exactly this plan carried out:"
    )  # fmt: skip
    bound = (
        f"<sub>The approval holds for commit {plan.head[:SHORT_SHA]} and for exactly this text; a new commit needs a "
        f"new plan.<br>`sha256:{plan.sha256}`<br>{frame.spent(plan.usage, plan.cost_usd)}</sub>"
    )
    return frame.compose(
        (
            "### 📋 A plan, waiting for a decision" if plan.approval_needed else "### 📋 A plan",
            _where("plan", plan.head, plan.actor, plan.run_url),
            frame.soft(plan.text) or "> (the expert wrote nothing)",
            f"{need}\n\n{facts.block(f'/perstack approve {plan.head[:SHORT_SHA]}', 'text')}",
            frame.warnings_fold(plan.warnings),
            bound,
        )
    )


def review_comment(review: ReviewStory) -> str:
    """Remarks on a pull request. They conclude nothing, and say so."""
    inline = review.inline
    rest = ""
    if inline is not None and inline.rest:
        title = f"Findings outside the lines of the diff ({len(inline.rest):,})"
        rest = facts.details(title, facts.findings_at(inline.rest))
    return frame.compose(
        (
            f"### 👀 A review{_inline_count(inline)}",
            _where("review", review.head, review.actor, review.run_url),
            frame.soft(review.text) or "> No remarks.",
            "These are an expert's remarks: no verdict, no approval. `/perstack verify` measures this pull request.",
            rest,
            _cost(frame.spent(review.usage, review.cost_usd)),
            frame.warnings_fold(review.warnings),
        )
    )


def expert_answer(answer: AnswerStory) -> str:
    """What an expert answered, quoted; what it changed, with what the protocol says of it. Nothing was pushed."""
    parts = [
        f"### 💬 {facts.code(answer.expert, 80)} answers",
        _where("run", answer.head, answer.actor, answer.run_url),
        frame.soft(answer.text) or "> (no answer)",
    ]
    if answer.candidate is not None:
        change = answer.candidate
        size = f"{facts.count(len(change.files), 'file')}, +{change.insertions} −{change.deletions}"
        parts += _judged(answer.report)
        patch = facts.block(facts.readable_patch(change.patch), "diff")
        proved = answer.report is not None and answer.report.verdict is Verdict.PASS
        title = f"What it changed ({size})" if proved else f"What it changed, <b>unverified</b> ({size})"
        parts.append(facts.details(title, patch))
    parts += [_cost(frame.spent(answer.usage, answer.cost_usd)), frame.warnings_fold(answer.warnings)]
    return frame.compose(tuple(parts))


def _judged(report: Report | None) -> list[str]:
    held = "**It changed files. Nothing was pushed.**"
    if report is None:
        return [f"{held} The change was not judged."]
    told = f"{held} The verification protocol says: {VERDICT_MARK[report.verdict]} {VERIFIED[report.verdict]}."
    reasons = facts.reasons_list(report) if report.verdict is not Verdict.PASS else ""
    return [told, facts.result_table(report), reasons]


def _inline_count(inline: InlineReview | None) -> str:
    return f", {facts.count(len(inline.comments), 'remark')} at their lines" if inline and inline.comments else ""


def _where(command: str, head: str, actor: str, run_url: str) -> str:
    at = f"`{command}`{f' at {head[:SHORT_SHA]}' if head else ''}"
    return frame.line(at, frame.asked_by(actor), *frame.links(("run", run_url)))


def _cost(spent: str) -> str:
    return f"<sub>{spent}</sub>"
