"""Markdown pieces made from hard facts: tables of signals, red to green, reasons, rounds, the patch. Pure.

Test names, messages and paths come from the repository: they are shown as code, cut, and never as Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

from perstack.core.outcome import Round
from perstack.core.signals import SignalStatus, TestCase
from perstack.core.verdict import Report, SignalReport, Verdict

MAX_ROWS = 30
MAX_MESSAGE = 600

MARK = {
    SignalStatus.PASS: "🟢",
    SignalStatus.FAIL: "🔴",
    SignalStatus.FLAKY: "🟡",
    SignalStatus.ERROR: "⚪",
}
VERDICT_MARK = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.NEEDS_TEST_CHANGE: "✋",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.ERROR: "⚠️",
}


def code(text: str, limit: int = 160) -> str:
    """Untrusted text as inline code inside a table cell: no pipes, no line breaks, no way out of the backticks."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
    return f"`{flat.replace('`', 'ˋ').replace('|', '¦')}`" if flat else ""


def block(text: str, language: str = "", limit: int = 20_000) -> str:
    """Untrusted text as a code block whose fence it cannot close."""
    cut = text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit} characters more in the evidence)"
    longest = max((len(run) for run in _backtick_runs(cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{cut.rstrip()}\n{fence}"


def readable_patch(patch: str) -> str:
    """A patch as people read it: without the lines that only git needs."""
    return "\n".join(line for line in patch.splitlines() if not line.startswith("index "))


def details(title: str, body: str) -> str:
    """A folded section."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def signal_table(signals: Sequence[SignalReport]) -> str:
    """One row a signal: before, after, and what happened to its tests."""
    rows = [
        f"| {code(signal.name)}{'' if signal.priority == 'must' else ' (should)'} "
        f"| {MARK[signal.baseline]} {signal.baseline} | {MARK[signal.status]} {signal.status} "
        f"| {_what_happened(signal)} |"
        for signal in signals
    ]
    return "\n".join(("| signal | before | after | what happened |", "|---|---|---|---|", *rows))


def _what_happened(signal: SignalReport) -> str:
    runs = f"{signal.runs} runs, {signal.seconds:.1f} s"
    delta = signal.tests
    if delta is None:
        return runs
    counts = (
        (len(delta.fail_to_pass), "red → green"),
        (delta.pass_to_pass, "stayed green"),
        (len(delta.still_failing), "still red"),
        (len(delta.broken), "broken"),
        (len(delta.vanished), "vanished"),
        (len(delta.skipped), "skipped"),
        (len(delta.flaky), "flaky"),
    )
    return f"{', '.join(f'{n} {word}' for n, word in counts if n) or 'no tests'}; {runs}"


def red_green_table(report: Report) -> str:
    """One row a test whose colour changed or should have."""
    rows: list[str] = []
    for signal in report.signals:
        delta = signal.tests
        if delta is None:
            continue
        rows += [f"| {code(i)} | 🔴 | 🟢 |" for i in delta.fail_to_pass]
        rows += [f"| {code(i)} | 🔴 | 🔴 |" for i in delta.still_failing]
        rows += [f"| {code(i)} | 🟢 | 🔴 broken |" for i in delta.broken]
        rows += [f"| {code(i)} | 🟢 | ⚪ vanished |" for i in delta.vanished]
        rows += [f"| {code(i)} | 🟢 | ⚪ skipped |" for i in delta.skipped]
        rows += [f"| {code(i)} | | 🟡 flaky |" for i in delta.flaky]
    if not rows:
        return ""
    more = f"\n| … and {len(rows) - MAX_ROWS} more | | |" if len(rows) > MAX_ROWS else ""
    return "\n".join(("| test | before | after |", "|---|---|---|", *rows[:MAX_ROWS])) + more


def reasons_list(report: Report) -> str:
    """Why the verdict is not `pass`, hardest first."""
    lines = [
        f"- **{reason.code}**{f' in {code(reason.signal)}' if reason.signal else ''}: {code(reason.detail, 300)}"
        for reason in report.reasons[:MAX_ROWS]
    ]
    if len(report.reasons) > MAX_ROWS:
        lines.append(f"- … and {len(report.reasons) - MAX_ROWS} more")
    return "\n".join(lines)


def policy_list(report: Report) -> str:
    """What the diff policy found."""
    return "\n".join(
        f"- {'🚫' if f.blocks else '👀'} **{f.code}** {code(f'{f.path}:{f.line}' if f.line else f.path)} "
        f"{code(f.detail, 300)}"
        for f in report.policy[:MAX_ROWS]
    )


def failures_list(cases: Sequence[TestCase]) -> str:
    """Failing tests with the first lines of what they said."""
    parts = []
    for case in cases[:8]:
        place = f" at {code(f'{case.path}:{case.line}' if case.line else case.path)}" if case.path else ""
        parts.append(f"{code(case.id)}{place}\n\n{block(case.message or case.status, 'text', MAX_MESSAGE)}")
    if len(cases) > 8:
        parts.append(f"… and {len(cases) - 8} more")
    return "\n\n".join(parts)


def rounds_table(rounds: Sequence[Round]) -> str:
    """One row a round of build and verify."""
    rows = ["| round | verdict | reasons | still red | steps | tokens | time |", "|---|---|---|---|---|---|---|"]
    rows += [
        f"| {r.number} | {r.verdict or 'no candidate'} | {', '.join(dict.fromkeys(r.reasons)) or '–'} "
        f"| {len(r.failing)} | {r.steps} | {r.tokens} | {r.seconds:.1f} s |"
        for r in rounds
    ]
    return "\n".join(rows)


def unverified_hunks(report: Report) -> str:
    """Hunks that no signal depends on."""
    loose = [n for n in report.necessity if not n.verified]
    return "\n".join(f"- {code(n.path)} hunk {n.hunk}: no signal depends on it" for n in loose[:MAX_ROWS])


def _backtick_runs(text: str) -> list[str]:
    runs, current = [], ""
    for char in text:
        if char == "`":
            current += char
        elif current:
            runs.append(current)
            current = ""
    return [*runs, current] if current else runs
