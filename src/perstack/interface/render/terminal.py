"""The terminal: live progress on stderr, results on stdout. Follows NO_COLOR, pipes and narrow windows through rich."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from perstack.core.events import Event
from perstack.core.outcome import Candidate, FixOutcome
from perstack.core.signals import SignalStatus
from perstack.core.verdict import Report, Verdict
from perstack.interface.progress import JobView, StageLine, StageState
from perstack.interface.render.facts import readable_patch
from perstack.interface.render.markdown import STAGE_TEXT

COLOUR = {
    SignalStatus.PASS: "green",
    SignalStatus.FAIL: "red",
    SignalStatus.FLAKY: "yellow",
    SignalStatus.ERROR: "magenta",
}
VERDICT_COLOUR = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.NEEDS_TEST_CHANGE: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.ERROR: "bold magenta",
}
MAX_TESTS = 15


class LiveView:
    """Shows a job while it runs: a live list where stderr is a terminal, one line an end of stage elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view = JobView()
        self._live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._render(final=True))
            self._live.stop()

    def __call__(self, event: Event) -> None:
        before, self._view = self._view, self._view.apply(event)
        if self._live is not None:
            self._live.update(self._render())
        elif event.type == "finishStage":
            self._console.print(_stage(_finished(before, self._view)), highlight=False)
        elif event.type in {"finishSignal", "progress"} and self._view.activity != before.activity:
            self._console.print(Text(f"    {self._view.activity}", style="dim"), highlight=False)

    def _render(self, *, final: bool = False) -> RenderableType:
        rows: list[RenderableType] = [_stage(line) for line in self._view.lines]
        if not final and self._view.activity:
            rows.append(Text(f"    {self._view.activity}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)


def _finished(before: JobView, after: JobView) -> StageLine:
    pairs = zip(before.lines, after.lines, strict=False)
    return next((new for old, new in pairs if old is not new and old != new), after.lines[-1])


def _stage(line: StageLine) -> RenderableType:
    number = f" (round {line.round})" if line.round else ""
    label = f"{STAGE_TEXT.get(line.stage, line.stage)}{number}"
    note = f" · {line.note}" if line.note else ""
    if line.state is StageState.RUNNING:
        return Spinner("dots", text=Text(f"{label}{note}"), style="cyan")
    mark, style = ("✔", "green") if line.state is StageState.DONE else ("✖", "red")
    return Text.assemble((f"{mark} ", style), label, (f"{note} {line.seconds:.1f} s", "dim"))


def report_table(report: Report) -> RenderableType:
    """Verdict, signals before and after, tests that changed colour, reasons."""
    parts: list[RenderableType] = []
    table = Table(title="signals", title_justify="left", title_style="bold", header_style="dim")
    for name in ("signal", "before", "after", "tests"):
        table.add_column(name, overflow="fold")
    for signal in report.signals:
        delta = signal.tests
        counts = ""
        if delta is not None:
            named = (
                (len(delta.fail_to_pass), "red → green"),
                (delta.pass_to_pass, "stayed green"),
                (len(delta.still_failing), "still red"),
                (len(delta.broken) + len(delta.vanished) + len(delta.skipped), "lost"),
                (len(delta.flaky), "flaky"),
            )
            counts = ", ".join(f"{n} {word}" for n, word in named if n)
        table.add_row(
            Text(signal.name),
            Text(signal.baseline, style=COLOUR[signal.baseline]),
            Text(signal.status, style=COLOUR[signal.status]),
            Text(counts),
        )
    if report.signals:
        parts.append(table)
    if (tests := _tests_table(report)) is not None:
        parts.append(tests)
    parts += [
        Text.assemble(("  ✖ ", "red"), (reason.code, "bold"), f" {reason.signal} ", (reason.detail, "dim"))
        for reason in report.reasons[:20]
    ]
    parts += [
        Text.assemble(("  ⚑ ", "yellow"), (f.code, "bold"), f" {f.path}:{f.line} ", (f.detail, "dim"))
        for f in report.policy[:20]
    ]
    return Group(*parts)


def _tests_table(report: Report) -> RenderableType | None:
    rows: list[tuple[str, str, str]] = []
    for signal in report.signals:
        if signal.tests is None:
            continue
        rows += [(i, "red", "green") for i in signal.tests.fail_to_pass]
        rows += [(i, "red", "red") for i in signal.tests.still_failing]
        lost = (*signal.tests.broken, *signal.tests.vanished, *signal.tests.skipped)
        rows += [(i, "green", "red") for i in lost]
    if not rows:
        return None
    table = Table(title="red → green", title_justify="left", title_style="bold", header_style="dim")
    table.add_column("test", overflow="fold")
    table.add_column("before")
    table.add_column("after")
    for name, before, after in rows[:MAX_TESTS]:
        table.add_row(Text(name), Text("● " + before, style=before), Text("● " + after, style=after))
    if len(rows) > MAX_TESTS:
        table.add_row(f"… and {len(rows) - MAX_TESTS} more", "", "")
    return table


def verdict_line(verdict: Verdict, why: str = "") -> RenderableType:
    """One line that ends a command."""
    return Text.assemble(("verdict: ", "bold"), (verdict, VERDICT_COLOUR[verdict]), (f" — {why}" if why else ""))


def patch_panel(candidate: Candidate, *, proved: bool) -> RenderableType:
    """The change, coloured."""
    title = "the change" if proved else "best attempt, UNVERIFIED"
    code = Syntax(readable_patch(candidate.patch)[:20_000], "diff", theme="ansi_dark", word_wrap=True)
    return Panel(code, title=title, title_align="left", border_style="green" if proved else "yellow")


def markdown_panel(title: str, text: str) -> RenderableType:
    """Markdown of ours as people see it on the forge; folded parts are shown open."""
    for tag in ("<details>", "</details>", "<sub>", "</sub>", "<i>", "</i>", "<b>", "</b>"):
        text = text.replace(tag, "")
    text = text.replace("<summary>", "**").replace("</summary>", "**")
    return Panel(Markdown(text), title=title, title_align="left", border_style="blue")


def outcome_report(outcome: FixOutcome) -> RenderableType:
    """The end of a fix on the terminal."""
    parts: list[RenderableType] = []
    if outcome.report is not None:
        parts.append(report_table(outcome.report))
    if outcome.candidate is not None:
        parts.append(patch_panel(outcome.candidate, proved=outcome.verdict is Verdict.PASS))
    parts.append(verdict_line(outcome.verdict, outcome.why))
    return Group(*parts)
