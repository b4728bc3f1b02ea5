"""The query of a review: what the expert that looks at a change is asked. Pure text; decides nothing."""

from __future__ import annotations

from perstack.context.prompts import fence

MAX_DIFF = 120_000

_ASK = (
    "Look at the change below, whose result lies in your workspace. Write what the people who will merge it should "
    "know: wrong results, inputs nobody thought of, callers that now behave differently, errors that are swallowed. "
    "Begin each remark that belongs to a line of the change with `- path:line: `, the path as in the diff and the line "
    "of the new file; put everything else under it or after it. Change nothing. Nothing to remark is a good answer."
)


def review_query(title: str, text: str, diff: str) -> str:
    """Asks for remarks on a diff. Everything that others wrote is fenced as data."""
    shown = diff if len(diff) <= MAX_DIFF else f"{diff[:MAX_DIFF]}\n… [{len(diff) - MAX_DIFF} characters left out]"
    return "\n\n".join(
        (
            _ASK,
            fence("what the change is said to be about", f"{title}\n\n{text}".strip() or "(no text)"),
            fence("the change", shown),
        )
    )
