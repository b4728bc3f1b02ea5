"""Markdown pieces made from hard facts: one table from red to green, reasons, failures, rounds, the patch. Pure.

Test names, messages and paths come from the repository: they are shown as code, cut, and never as Markdown. Each piece
has a limit of its own, so that a text made of them stays within the forge's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from perstack.core.outcome import Round
from perstack.core.signals import Diagnostic, SignalStatus, TestCase
from perstack.core.verdict import Reason, ReasonCode, Report, SignalReport
from perstack.forge.limits import shorten
from perstack.forge.sanitise import code_block, inline_code, neutralise
from perstack.interface.render.sentences import SHOWN_IN_TABLE, why_line

MAX_ROWS = 30
MAX_SIGNALS = 20
MAX_DETAILS = 5
MAX_FAILURES = 8
MAX_MESSAGE = 600
MAX_PATCH = 16_000
MAX_ROUNDS = 12

MARK = {
    SignalStatus.PASS: "🟢",
    SignalStatus.FAIL: "🔴",
    SignalStatus.FLAKY: "🟡",
    SignalStatus.ERROR: "⚪",
    SignalStatus.NOT_RUN: "⚪",
}
_ANSI = re.compile(r"\x1b(?:\[[0-?]{0,40}[ -/]{0,10}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|[@-Z\\-_])")
_FOLD_TAG = re.compile(r"<(?=/?details)", re.IGNORECASE)
_MAYBE_HIDDEN = re.compile(r"[^\x20-\x7e\n\t]")


def visible(text: str) -> str:
    """Terminal colours removed, and characters that people do not see (bidirectional, zero width) written out."""
    return _MAYBE_HIDDEN.sub(_shown, _ANSI.sub("", text.replace("\r\n", "\n")))


def _shown(found: re.Match[str]) -> str:
    char = found[0]
    return f"<U+{ord(char):04X}>" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char


def cell(text: str, limit: int = 120) -> str:
    """Untrusted text as inline code in a table: one line, no way out of the code, pipes escaped."""
    # Harmless in code; but whoever cuts this text later counts open folds line by line.
    flat = _FOLD_TAG.sub("‹", visible(" ".join(text[: 8 * limit].split())))
    return inline_code(shorten(flat, limit)) if flat else ""


def code(text: str, limit: int = 160) -> str:
    """Untrusted text as inline code outside a table, where a backslash before a pipe would be seen."""
    return cell(text, limit).replace("\\|", "|")


def prose(text: str, limit: int = 600) -> str:
    """A sentence that may quote untrusted text: one line, without mentions, images, HTML or closing keywords."""
    return neutralise(shorten(" ".join(text[: 8 * limit].split()), limit))


def block(text: str, language: str = "", limit: int = MAX_PATCH) -> str:
    """Untrusted text as a code block whose fence it cannot close; at most about `limit` characters of it."""
    shown = shorten(visible(text[: 2 * limit]), limit)
    if len(text) > 2 * limit or shown.endswith("…"):
        at = shown.rfind("\n", len(shown) - 400)
        shown = shown[:at] if at > 0 else shown
        shown += f"\n… cut here; {len(text):,} characters in all, the rest is in the evidence"
    return code_block(shown, language)


def readable_patch(patch: str, limit: int = MAX_PATCH) -> str:
    """A patch as people read it: without the lines that only git needs; enough of it to be cut at `limit`."""
    # Other characters that end lines are content: what follows them must not be taken for a line of git's.
    lines = [line for line in patch[: 8 * limit].removesuffix("\n").split("\n") if not line.startswith("index ")]
    ends = {line.endswith("\r") for line in lines if line[:1] in {"+", "-"} and line[:4] not in {"+++ ", "--- "}}
    if len(ends) == 2:  # line ends differ or change, which nobody would see
        lines = [f"{line[:-1]}<U+000D>" if line.endswith("\r") else line for line in lines]
    return "\n".join(lines)


def details(title: str, body: str, *, opened: bool = False) -> str:
    """A folded section. `title` is HTML of ours."""
    return f"<details{' open' if opened else ''}>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def count(number: int, word: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def colours(signals: Sequence[SignalReport]) -> str:
    """What happened to all tests of these signals together, in a few words, the worst first."""
    deltas = [signal.tests for signal in signals if signal.tests]
    changes = [signal.changes for signal in signals if signal.changes]
    counts = (
        (sum(len(c.new) for c in changes), "new from compilers"),
        (sum(len(d.broken) for d in deltas), "broken"),
        (sum(len(d.vanished) for d in deltas), "gone"),
        (sum(len(d.still_failing) for d in deltas), "still red"),
        (sum(len(d.skipped) for d in deltas), "skipped"),
        (sum(len(d.flaky) for d in deltas), "flaky"),
        (sum(len(d.fail_to_pass) for d in deltas), "red → green"),
        (sum(len(c.fixed) for c in changes), "fixed for compilers"),
        (sum(d.pass_to_pass for d in deltas), "stayed green"),
        (sum(len(signal.quarantined) for signal in signals), "in quarantine"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in counts if number)


def result_table(report: Report) -> str:
    """The one table of a result: each signal, and under it the tests whose colour changed or should have."""
    if not report.signals:
        return ""
    rows: list[str] = []
    each = max(3, MAX_ROWS // len(report.signals))
    for signal in report.signals[:MAX_SIGNALS]:
        rows.append(_signal_row(signal))
        rows += [
            f"| {cell(name) if word else name} | {before} | {after} | {word} |"
            for name, before, after, word in rows_of_tests(signal, each)
        ]
    left = len(report.signals) - MAX_SIGNALS
    if left > 0:
        rows.append(f"| … and {count(left, 'more signal')} | | | |")
    return "\n".join(("| | before | after | |", "|---|---|---|---|", *rows))


def _signal_row(signal: SignalReport) -> str:
    note = "" if signal.priority == "must" else " (does not gate)"
    return (
        f"| **signal** {cell(signal.name, 60)}{note} | {MARK[signal.baseline]} {signal.baseline} "
        f"| {MARK[signal.status]} {signal.status} | {effort(signal)} |"
    )


def effort(signal: SignalReport) -> str:
    """What stands behind a signal's row; tests that changed colour have rows of their own."""
    if signal.status is SignalStatus.NOT_RUN:
        return prose(signal.note, 200)
    kept = f"{signal.tests.pass_to_pass:,} stayed green; " if signal.tests else ""
    if signal.changes and signal.changes.unchanged:
        kept = f"{signal.changes.unchanged:,} as before; "
    seen = f"; before, after, difference: {', '.join(signal.pictures)} of the evidence" if signal.pictures else ""
    return f"{kept}{count(signal.runs, 'run')}, {signal.seconds:.1f} s{seen}"


def rows_of_tests(signal: SignalReport, limit: int) -> Iterator[tuple[str, str, str, str]]:
    """Name, mark before, mark after, word; the worst first, at most `limit`, then one row that counts the rest."""
    rows = [(name, before, after, word) for names, before, after, word in _groups(signal) for name in names]
    yield from rows[:limit]
    if len(rows) > limit:
        yield (f"… and {len(rows) - limit:,} more", "", "", "")


def _groups(signal: SignalReport) -> tuple[tuple[Sequence[str], str, str, str], ...]:
    """Tests or diagnostics of a signal by what happened to them."""
    if (changes := signal.changes) is not None:
        return (
            ([_place(d) for d in changes.new], "⚪", "🔴", "new"),
            ([_place(d) for d in changes.gone], "🔴", "⚪", "file gone"),
            ([_place(d) for d in changes.fixed], "🔴", "🟢", "fixed"),
        )
    if (delta := signal.tests) is None:
        return ()
    return (
        (delta.broken, "🟢", "🔴", "broken"),
        (delta.vanished, "🟢", "⚪", "gone"),
        (delta.still_failing, "🔴", "🔴", "still red"),
        (delta.skipped, "🟢", "⚪", "skipped"),
        (delta.flaky, "🟡", "🟡", "flaky"),
        (delta.fail_to_pass, "🔴", "🟢", "fixed"),
        ([case.id for case in signal.quarantined], "🟡", "🟡", "in quarantine, not counted"),
    )


def _place(diagnostic: Diagnostic) -> str:
    where = f"{diagnostic.path}:{diagnostic.line}: " if diagnostic.path else ""
    return f"{where}{diagnostic.message}"


def reasons_list(report: Report) -> str:
    """Why the verdict is not `pass`, hardest first: one sentence a reason, with the places the table does not show."""
    grouped: dict[tuple[ReasonCode, str], list[Reason]] = {}
    for reason in report.reasons:
        grouped.setdefault((reason.code, reason.signal), []).append(reason)
    lines = [_reason_line(key, reasons) for key, reasons in list(grouped.items())[:MAX_ROWS]]
    return "\n".join(_with_rest(lines, len(grouped) - MAX_ROWS))


def _reason_line(key: tuple[ReasonCode, str], reasons: Sequence[Reason]) -> str:
    name, signal = key
    where = f", {code(signal, 60)}" if signal else ""
    line = f"- {why_line(name, len(reasons))} (`{name}`{where})"
    found = [] if name in SHOWN_IN_TABLE else [r.detail for r in reasons if r.detail]
    inner = [f"  - {code(detail, 240)}" for detail in found[:MAX_DETAILS]]
    return "\n".join((line, *_with_rest(inner, len(found) - MAX_DETAILS, indent="  ")))


def _with_rest(lines: Iterable[str], left: int, *, indent: str = "") -> list[str]:
    return [*lines, f"{indent}- … and {left:,} more"] if left > 0 else list(lines)


def findings_list(report: Report) -> str:
    """What the diff policy wants people to look at. What blocks is among the reasons."""
    found = [finding for finding in report.policy if not finding.blocks]
    lines = [
        f"- {why_line(f.code)} (`{f.code}`): {code(f'{f.path}:{f.line}' if f.line else f.path)} {code(f.detail, 240)}"
        for f in found[:MAX_ROWS]
    ]
    return "\n".join(_with_rest(lines, len(found) - MAX_ROWS))


def findings_at(diagnostics: Sequence[Diagnostic]) -> str:
    """Diagnostics by their places, for where no annotation can be."""
    lines = [f"- {code(_place(one), 240)}" for one in diagnostics[:MAX_ROWS]]
    return "\n".join(_with_rest(lines, len(diagnostics) - MAX_ROWS))


def failures_list(cases: Sequence[TestCase]) -> str:
    """Failing tests with the first lines of what they said."""
    parts = []
    for case in cases[:MAX_FAILURES]:
        place = f" at {code(f'{case.path}:{case.line}' if case.line else case.path)}" if case.path else ""
        parts.append(f"{code(case.id)}{place}\n\n{block(case.message or case.status, 'text', MAX_MESSAGE)}")
    if len(cases) > MAX_FAILURES:
        parts.append(f"… and {len(cases) - MAX_FAILURES:,} more")
    return "\n\n".join(parts)


def rounds_table(rounds: Sequence[Round]) -> str:
    """One row a round of build and verify, the last ones where there are many."""
    rows = ["| round | verdict | why | still red | steps | tokens | time |", "|---|---|---|---|---|---|---|"]
    if len(rounds) > MAX_ROUNDS:
        rows.append(f"| 1 to {len(rounds) - MAX_ROUNDS} | … | | | | | |")
    for one in rounds[-MAX_ROUNDS:]:
        why = ", ".join(f"`{code_}`" for code_ in list(dict.fromkeys(one.reasons))[:MAX_DETAILS])
        rows.append(
            f"| {one.number} | {one.verdict or 'nothing to judge'} | {why} | {len(one.failing):,} "
            f"| {one.steps} | {one.tokens:,} | {one.seconds:.1f} s |"
        )
    return "\n".join(rows)


def unverified_hunks(report: Report) -> str:
    """Hunks that no signal depends on."""
    loose = [n for n in report.necessity if not n.verified]
    lines = [f"- {code(n.path)}, hunk {n.hunk}" for n in loose[:MAX_ROWS]]
    return "\n".join(_with_rest(lines, len(loose) - MAX_ROWS))
