"""The whole answer of `perstack log` on a terminal or in a pipe: header, tree of runs, summary, events."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo

from rich.cells import cell_len
from rich.console import Console, OverflowMethod
from rich.text import Text

from perstack.core.json import JsonObject
from perstack.core.storage import JobRecord
from perstack.core.usage import Usage
from perstack.interface.history.lines import View, at, event_lines, flat
from perstack.interface.history.reading import message_text, object_of, objects_of, text_of
from perstack.interface.history.report import Report, Summary
from perstack.interface.history.runs import INTERRUPTED, Run, Runs
from perstack.interface.render.facts import count, visible

RULE = "─" * 50
# Enough of a run's id to name it with --run, and to leave room on a terminal.
ID_SHOWN = 8
# The public statuses, short enough for a column.
_WORDS = {
    "stoppedByInteractiveTool": "asks",
    "stoppedByDelegate": "delegates",
    "stoppedByExceededMaxSteps": "out of steps",
    "stoppedByMaxSteps": "out of steps",
    "stoppedByError": "error",
}
_STATUS_STYLE = {"completed": "green", "stoppedByError": "red", "running": "cyan", "interrupted": "yellow"}
_STATUS_COLUMN = _STATUS_STYLE | {"error": "red"}


def report_lines(report: Report, view: View, *, messages: bool = False, only_summary: bool = False) -> Iterator[Text]:
    """Everything, line by line."""
    if report.is_latest:
        yield Text("(showing latest job)", style="dim")
    yield from _header(report, view)
    if report.checkpoint is not None:
        yield Text()
        yield from _checkpoint(report.checkpoint, messages=messages)
    elif messages and report.checkpoints:
        yield Text()
        yield from _messages(report.checkpoints[-1])
    if len(view.runs.all) > 1:
        yield Text()
        yield Text("Runs:", style="bold")
        yield from _tree(view.runs)
    yield Text()
    yield from _summary(report.summary)
    if not only_summary:
        yield Text()
        yield from _events(report, view)


class Out(Console):
    """Stdout. Where its reader has gone (`| head`), the command ends as any other does, not with an error."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_lines(console: Console, lines: Iterator[Text], *, fold: bool = False) -> None:
    """Print; on a terminal no line is wider than it, unless `fold` asks for the whole text on several.

    What one copies (command lines, paths) is never cut.
    """
    for line in lines:
        if line.no_wrap is False:
            console.print(line, soft_wrap=True, highlight=False)
        elif console.is_terminal and not fold:
            cut: OverflowMethod = "crop" if line.plain == RULE else "ellipsis"
            console.print(line, no_wrap=True, overflow=cut, highlight=False)
        else:
            console.print(line, soft_wrap=not console.is_terminal, highlight=False)


def job_lines(
    jobs: Sequence[JobRecord], storage: str, *, interrupted: Container[str] = (), zone: tzinfo | None = None
) -> Iterator[Text]:
    """The list of jobs, newest first. `interrupted` are ids of jobs that never ended and that nobody works on."""
    yield Text(f"Storage: {visible(storage)}", style="dim", no_wrap=False)
    rows = [("JOB", "STATUS", "EXPERT", "STARTED", "STEPS", "TOKENS")]
    rows += [
        (
            flat(job.id, 128),
            INTERRUPTED if job.id in interrupted else _WORDS.get(job.status, flat(job.status, 30)),
            flat(job.coordinator_expert_key or text_of(job.extra.get("kind")), 40),
            moment(job.started_at, zone),
            str(job.total_steps),
            f"{job.usage.total_tokens:,}",
        )
        for job in jobs
    ]
    for number, row in enumerate(_columns(rows, right={4, 5})):
        yield Text.assemble(*((cell, _cell_style(number, column, cell)) for column, cell in enumerate(row)))


def _columns(rows: Sequence[Sequence[str]], *, right: Container[int]) -> Iterator[list[str]]:
    """The cells of a table, padded, with two spaces between them; nothing after the last."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells: list[str] = []
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(text))
            last = column == len(row) - 1
            cells.append(
                f"{gap if column in right else ''}{text}{'' if column in right or last else gap}{'' if last else '  '}"
            )
        yield cells


def _cell_style(row: int, column: int, text: str) -> str:
    if row == 0:
        return "dim"
    return _STATUS_COLUMN.get(text.strip(), "yellow") if column == 1 else ""


def _header(report: Report, view: View) -> Iterator[Text]:
    job = report.job
    yield Text(f"Storage: {visible(report.storage)}", style="dim", no_wrap=False)
    word = INTERRUPTED if report.is_interrupted else flat(job.status, 30)
    status = (word, _STATUS_STYLE.get(word, "yellow"))
    yield Text.assemble("Job: ", (flat(job.id, 128), "bold"), " (", status, ")")
    yield Text(f"Expert: {flat(job.coordinator_expert_key or '—', 120)}")
    yield Text(f"Started: {moment(job.started_at, view.zone)}")
    limit = f" of {job.max_steps}" if job.max_steps else ""
    yield Text(f"Steps: {job.total_steps}{limit}")
    if job.usage.total_tokens:
        yield Text(f"Tokens: {_tokens(job.usage)}")
    if job.finished_at:
        took = duration(job.finished_at - job.started_at)
        yield Text.assemble(f"Finished: {moment(job.finished_at, view.zone)}", (f" ({took})", "dim"))
    if error := text_of(job.extra.get("error")):
        yield Text(f"Error: {flat(error, 300)}", style="red")
    if report.run:
        yield Text(f"Run: {flat(report.run, 128)}")
    if report.next:
        yield Text(f"Next: {visible(report.next)}", style="cyan", no_wrap=False)


def _tokens(usage: Usage) -> str:
    cached = f", {usage.cached_input_tokens:,} of them cached" if usage.cached_input_tokens else ""
    return f"{usage.total_tokens:,} (in {usage.input_tokens:,}{cached}; out {usage.output_tokens:,})"


def _checkpoint(checkpoint: JsonObject, *, messages: bool) -> Iterator[Text]:
    status = flat(text_of(checkpoint.get("status")), 40)
    yield Text.assemble("Checkpoint: ", (flat(text_of(checkpoint.get("id")), 128), "bold"))
    yield Text.assemble("Status: ", (status, _STATUS_STYLE.get(status, "yellow")))
    yield Text(f"Step: {flat(str(checkpoint.get('stepNumber', 0)), 12)}")
    yield Text(f"Expert: {flat(text_of(object_of(checkpoint.get('expert')).get('key')), 120)}")
    if messages:
        yield from _messages(checkpoint)


def _messages(checkpoint: JsonObject) -> Iterator[Text]:
    found = objects_of(checkpoint.get("messages"))
    yield Text(f"Messages: {len(found)}", style="bold")
    for message in found:
        yield Text.assemble((f"  [{flat(text_of(message.get('type')), 40)}] ", "dim"), flat(message_text(message), 100))


def _tree(runs: Runs) -> Iterator[Text]:
    rows = [row for run in runs.roots for row in _branch(run, runs, "", "")]
    table = [
        (
            name,
            _WORDS.get(run.status, flat(run.status, 30)),
            _steps(run),
            duration(run.ended_ms - run.started_ms),
            count(run.usage.total_tokens, "token"),
            flat(run.id[:ID_SHOWN], 3 * ID_SHOWN),
        )
        for name, run in rows
    ]
    for cells in _columns(table, right={3, 4}):
        styles = ("", _STATUS_COLUMN.get(cells[1].strip(), "yellow"), "", "", "", "dim")
        yield Text.assemble("  ", *zip(cells, styles, strict=True))


def _branch(run: Run, runs: Runs, lead: str, below: str) -> Iterator[tuple[str, Run]]:
    branch = f" (a branch after step {run.first_step - 1})" if run.branched else ""
    yield f"{lead}{flat(runs.label(run), 60)}{branch}", run
    for child in run.children:
        last = child is run.children[-1]
        yield from _branch(child, runs, f"{below}{'└─ ' if last else '├─ '}", f"{below}{'   ' if last else '│  '}")


def _steps(run: Run) -> str:
    if run.first_step == run.last_step:
        return f"step {run.first_step}"
    return f"steps {run.first_step}–{run.last_step}"


def _summary(summary: Summary) -> Iterator[Text]:
    yield Text("Summary:", style="bold")
    yield Text(f"  Events: {summary.events:,}")
    if summary.last_step:
        yield Text(f"  Steps: {summary.first_step}-{summary.last_step}")
    yield Text(f"  Errors: {summary.errors:,}", style="red" if summary.errors else "")
    yield Text(f"  Tool calls: {summary.tool_calls:,}")
    yield Text(f"  Delegations: {summary.delegations:,}")


def _events(report: Report, view: View) -> Iterator[Text]:
    page = report.page
    yield Text("Events:", style="bold")
    yield Text(RULE, style="dim")
    widest = max((event.step_number for event in page.events), default=1)
    view = replace(view, step_width=len(f"[Step {widest}]"))
    for event in page.events:
        yield from event_lines(event, view)
    if not page.events:
        yield Text("(none match)", style="dim")
    yield Text(RULE, style="dim")
    if page.is_part or page.around:
        around = f" (+{page.around} context)" if page.around else ""
        yield Text(f"(showing {page.on_page} of {len(page.matched)} matched events{around})", style="dim")


def moment(ms: int, zone: tzinfo | None) -> str:
    """`YYYY-MM-DD HH:MM:SS`; a dash where it is not known."""
    return at(ms, zone).strftime("%Y-%m-%d %H:%M:%S") if ms else "—"


def duration(ms: int) -> str:
    """As people say it: `340 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`."""
    if ms < 1000:
        return f"{max(0, ms)} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
