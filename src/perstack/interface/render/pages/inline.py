"""Remarks and suggestions at the lines of a pull request's diff, checked against that diff. Pure.

A suggestion is a button that commits: only a proved change may be given here, only what a reviewer sees in full, only
lines that it replaces exactly. What fits no line is handed back, to be told in a comment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perstack.core.signals import Diagnostic
from perstack.forge.check_documents import level, sorted_findings
from perstack.forge.contract import ReviewComment
from perstack.forge.diff_lines import NewSide, Replacement, new_sides, replacements
from perstack.forge.sanitise import fence_for
from perstack.interface.render import facts
from perstack.interface.render.pages import frame
from perstack.interface.story import InlineReview

MAX_COMMENTS = 30
MAX_AT_ONE_LINE = 5
MAX_SUGGESTED_LINES = 100
MAX_SUGGESTED = 10_000  # characters
MAX_MESSAGE = 1_500
REVIEW = "review"  # the code of remarks that an expert wrote: prose, quoted
_MARKS = {"failure": "❌", "warning": "⚠️", "notice": "ℹ️"}


def inline_review(
    diff_text: str, diagnostics: Sequence[Diagnostic], candidate_patch: str = "", *, most: int = MAX_COMMENTS
) -> InlineReview:
    """Remarks for the lines that `diff_text` shows on its new side; suggestions first, then errors on new lines.

    `candidate_patch` is a proved change of exactly the commit on that new side; empty for none.
    """
    sides = new_sides(diff_text)
    suggestions, rest_changes = _suggestions(sides, replacements(candidate_patch) if candidate_patch else ())
    rest_changes += max(0, len(suggestions) - most)
    suggestions = suggestions[:most]
    remarks, rest = _remarks(sides, diagnostics, most - len(suggestions))
    return InlineReview((*suggestions, *remarks), rest, len(suggestions), rest_changes)


def review_body(inline: InlineReview) -> str:
    """The text of the review that carries the remarks: what they are, and how many more there are."""
    told = []
    if inline.suggestions:
        told.append(
            f"{facts.count(inline.suggestions, 'suggestion')}: parts of one change that was proved as a whole. Apply "
            f"all of them together (*Add suggestion to batch*); one alone is not proved."
        )
    if inline.rest_changes:
        lie = "lies" if inline.rest_changes == 1 else "lie"
        told.append(
            f"{facts.count(inline.rest_changes, 'more part')} of that change {lie} outside the lines shown here: take "
            f"the whole patch from the comment instead."
        )
    if inline.rest:
        told.append(f"{facts.count(len(inline.rest), 'more finding')} outside these lines; the check run has them.")
    return frame.join("**Perstack** looked at the lines of this diff.", *told)


def _suggestions(sides: Mapping[str, NewSide], wanted: Sequence[Replacement]) -> tuple[list[ReviewComment], int]:
    """Comments for the replacements that fit, smallest first, and how many do not."""
    fitting = [one for one in wanted if _fits(sides.get(one.path), one)]
    total = len(wanted)
    ordered = sorted(fitting, key=lambda one: one.end - one.start)
    comments = [
        ReviewComment(one.path, one.end, _suggestion(one, total), one.start if one.start < one.end else 0)
        for one in ordered
    ]
    return comments, total - len(comments)


def _fits(side: NewSide | None, change: Replacement) -> bool:
    if side is None or not change.exact or not side.shows(change.start, change.end):
        return False
    text = "\n".join(change.lines)
    short = change.end - change.start < MAX_SUGGESTED_LINES and len(change.lines) <= MAX_SUGGESTED_LINES
    # Blank lines alone look like a deletion; what a reviewer cannot see is not offered for a click.
    blank = bool(change.lines) and not text.strip()
    return short and len(text) <= MAX_SUGGESTED and not blank and "\r" not in text and facts.visible(text) == text


def _suggestion(change: Replacement, total: int) -> str:
    part = f", one of {total} parts" if total > 1 else ""
    text = "".join(f"{line}\n" for line in change.lines)
    fence = fence_for(text)
    lead = f"Part of a change that was proved{part}." if total > 1 else "This change was proved."
    more = " Apply all parts together." if total > 1 else ""
    return f"{lead}{more}\n\n{fence}suggestion\n{text}{fence}"


def _remarks(
    sides: Mapping[str, NewSide], diagnostics: Sequence[Diagnostic], most: int
) -> tuple[list[ReviewComment], tuple[Diagnostic, ...]]:
    """One comment a line, for the most useful lines; everything else is handed back in order."""
    places: dict[tuple[str, int], list[Diagnostic]] = {}
    rest: list[Diagnostic] = []
    for one in sorted_findings(diagnostics):
        side = sides.get(one.path)
        at = places.get((one.path, one.line))
        if side is None or not side.shows(one.line, one.line) or (at is not None and len(at) >= MAX_AT_ONE_LINE):
            rest.append(one)
        else:
            places.setdefault((one.path, one.line), []).append(one)
    ordered = sorted(places.items(), key=lambda item: item[0][1] not in sides[item[0][0]].added)
    comments = [ReviewComment(path, line, _remark(found)) for (path, line), found in ordered[:most]]
    left = [one for _, found in ordered[most:] for one in found]
    return comments, (*left, *rest)


def _remark(found: Sequence[Diagnostic]) -> str:
    return "\n\n".join(_told(one) for one in found)


def _told(one: Diagnostic) -> str:
    if one.code == REVIEW:
        return frame.soft(one.message)
    mark = _MARKS[level(one)]
    name = f"{mark} {facts.code(one.code, 80)}" if one.code else mark
    first, _, more = one.message.strip().partition("\n")
    if more.strip() or len(first) > 200:
        return f"{name}\n\n{facts.block(one.message.strip(), 'text', MAX_MESSAGE)}"
    return f"{name} {facts.code(first, 240)}"
