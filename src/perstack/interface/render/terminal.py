"""Results on the terminal. Follows NO_COLOR, pipes and narrow windows through rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.signals import SignalStatus
from perstack.core.usage import Usage
from perstack.core.verdict import Report, SignalReport, Verdict
from perstack.interface.render import facts
from perstack.interface.render.facts import count, readable_patch, rows_of_tests, visible
from perstack.interface.render.live import LiveView
from perstack.interface.render.sentences import AFTER_ENDING, ENDING, SHOWN_IN_TABLE, VERIFIED, why_line

__all__ = [
    "LiveView", "check_panel", "effort", "outcome_report", "patch_panel", "report_table", "signal_table",
    "verdict_line",
]  # fmt: skip

COLOUR = {
    SignalStatus.PASS: "green",
    SignalStatus.FAIL: "red",
    SignalStatus.FLAKY: "yellow",
    SignalStatus.ERROR: "magenta",
    SignalStatus.NOT_RUN: "dim",
}
VERDICT_COLOUR = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.NEEDS_TEST_CHANGE: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.ERROR: "bold magenta",
}
_STYLE_OF_MARK = {"🔴": ("red", "red"), "🟢": ("green", "green"), "🟡": ("flaky", "yellow"), "⚪": ("none", "magenta")}
MAX_TESTS = 15
MAX_SIGNALS = 12
MAX_REASONS = 12
MAX_PATCH = 20_000


def report_table(report: Report) -> RenderableType:
    """Signals and tests before and after in one table, then the reasons as sentences."""
    parts: list[RenderableType] = []
    if report.signals:
        parts.append(signal_table(report))
    parts += _reasons(report)
    looks = [f for f in report.policy if not f.blocks]
    for finding in looks[:MAX_REASONS]:
        place = f"{finding.path}:{finding.line}" if finding.line else finding.path
        parts.append(Text.assemble(("⚑ ", "yellow"), why_line(finding.code), (f"  {_flat(place)}", "dim")))
    parts += [Text(f"· {_flat(remark, 400)}", style="dim") for remark in report.remarks[:MAX_REASONS]]
    return Group(*parts)


def signal_table(report: Report) -> Table:
    """A row a signal."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False)
    table.add_column("signals and tests", overflow="fold", ratio=1)
    table.add_column("before", no_wrap=True)
    table.add_column("after", no_wrap=True)
    table.add_column("", no_wrap=True)
    each = max(3, MAX_TESTS // len(report.signals))
    for signal in report.signals[:MAX_SIGNALS]:
        _add_signal(table, signal, each)
    if len(report.signals) > MAX_SIGNALS:
        table.add_row(Text(f"… and {count(len(report.signals) - MAX_SIGNALS, 'more signal')}", style="dim"))
    return table


def _add_signal(table: Table, signal: SignalReport, tests: int) -> None:
    name = Text(_flat(signal.name, 60), style="bold")
    name.append("" if signal.priority == "must" else " (does not gate)", style="dim")
    name.append(f" · {facts.effort(signal)}", style="dim not bold")
    table.add_row(
        name,
        Text(f"● {signal.baseline}", style=COLOUR[signal.baseline]),
        Text(f"● {signal.status}", style=COLOUR[signal.status]),
        Text(),
    )
    for test, before, after, word in rows_of_tests(signal, tests):
        table.add_row(Text(f"  {_flat(test, 160)}"), _dot(before), _dot(after), Text(word))


def _dot(mark: str) -> Text:
    word, style = _STYLE_OF_MARK.get(mark, ("", ""))
    return Text(f"● {word}" if word else "", style=style)


def _reasons(report: Report) -> list[RenderableType]:
    grouped: dict[str, list[str]] = {}
    codes = {reason.code.value: reason.code for reason in report.reasons}
    for reason in report.reasons:
        grouped.setdefault(reason.code.value, []).append(reason.detail)
    parts: list[RenderableType] = []
    for name, found in list(grouped.items())[:MAX_REASONS]:
        parts.append(Text.assemble(("✖ ", "red"), why_line(codes[name], len(found)), (f"  {name}", "dim")))
        if codes[name] not in SHOWN_IN_TABLE:
            parts += [Padding(Text(_flat(one, 300), style="dim"), (0, 0, 0, 4)) for one in found[:3] if one]
    left = len(grouped) - MAX_REASONS
    return [*parts, Text(f"  … and {left} more", style="dim")] if left > 0 else parts


def verdict_line(verdict: Verdict, why: str = "") -> RenderableType:
    """One line that ends a command."""
    parts = (("verdict: ", "bold"), (verdict.value, VERDICT_COLOUR[verdict]), f" · {VERIFIED[verdict]}")
    return Text.assemble(*parts, (f"\n{why}" if why else "", "dim"))


def patch_panel(candidate: Candidate, *, proved: bool) -> RenderableType:
    """The change, coloured."""
    size = f"{count(len(candidate.files), 'file')}, +{candidate.insertions} −{candidate.deletions}"
    title = f"the change ({size})" if proved else f"best attempt, UNVERIFIED ({size})"
    shown = visible(readable_patch(candidate.patch))
    cut = f"{shown[:MAX_PATCH]}\n… cut here" if len(shown) > MAX_PATCH else shown
    code = Syntax(cut, "diff", theme="ansi_dark", background_color="default", word_wrap=True)
    return Panel(code, title=title, title_align="left", border_style="green" if proved else "yellow")


def check_panel(check: Mapping[str, Any], place: str) -> RenderableType:
    """A check run as its line on the forge: conclusion and title; `check` is a record of the local forge."""
    conclusion = str(check["conclusion"] or check["status"])
    mark, style = ("✔", "green") if conclusion == "success" else ("✖", "red")
    states = " → ".join(dict.fromkeys(str(entry["status"]) for entry in check["history"]))
    body = Text.assemble(
        (f"{mark} {conclusion}  ", f"bold {style}"), (_flat(str(check["title"])), "bold"),
        (f"\n{check['name']} on {check['head_sha'][:12]}: {states}, ", "dim"),
        (count(len(check["annotations"]), "annotation"), "dim"),
    )  # fmt: skip
    return Panel(body, title=f"the check run · {place}", title_align="left", border_style=style)


def outcome_report(outcome: FixOutcome) -> RenderableType:
    """The end of a fix on the terminal."""
    parts: list[RenderableType] = []
    if outcome.report is not None:
        parts.append(report_table(outcome.report))
    if outcome.candidate is not None:
        parts.append(patch_panel(outcome.candidate, proved=outcome.verdict is Verdict.PASS))
    if outcome.rounds:
        parts.append(Text(effort(outcome), style="dim"))
    style = VERDICT_COLOUR[outcome.verdict]
    parts.append(Text.assemble(("verdict: ", "bold"), (outcome.verdict.value, style), f" · {ENDING[outcome.ending]}"))
    if outcome.ending is not Ending.FIXED:
        parts.append(Text(f"why: {_flat(outcome.why, 600)}"))
        parts.append(Text(f"next: {AFTER_ENDING[outcome.ending].replace('`', '')}"))
    return Group(*parts)


def cost(cost_usd: float | None) -> str:
    """US dollars in words, also where they are not known."""
    return "cost unknown" if cost_usd is None else f"${cost_usd:,.4f}"


def tokens(usage: Usage) -> str:
    """What was read and written, and how much of it came from a cache."""
    cached = f" ({usage.cached_share:.0%} from cache)" if usage.cached_input_tokens else ""
    return (
        f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out" if usage.total_tokens else "no tokens"
    )


def effort(outcome: FixOutcome) -> str:
    """Rounds, steps, tokens and time in one line."""
    steps = sum(one.steps for one in outcome.rounds)
    return ", ".join(
        (
            count(len(outcome.rounds), "round"),
            count(steps, "step"),
            tokens(outcome.usage),
            cost(outcome.cost_usd),
            f"{outcome.seconds:.0f} s",
        )
    )


def _flat(text: str, limit: int = 400) -> str:
    """Untrusted text on one line, without control characters: nothing from the checkout steers the terminal."""
    shown = visible(" ".join(text[: 4 * limit].split()))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
