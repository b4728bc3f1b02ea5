"""Live progress of a job on a terminal, and the same as plain lines where there is none. Prints to stderr."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from perstack.core.events import Event
from perstack.interface.progress import JobView, StageLine, StageState
from perstack.interface.render.facts import count
from perstack.interface.render.stages import dots, label

REFRESH_PER_S = 8
DOT = {
    "pass": ("●", "green"),
    "fail": ("●", "red"),
    "flaky": ("●", "yellow"),
    "error": ("●", "magenta"),
    "not-run": ("○", "dim"),
    "running": ("○", "cyan"),
}


class LiveView:
    """Shows a job while it runs: a live list where the console is a terminal, each stage once elsewhere."""

    def __init__(self, console: Console, *, rounds: int = 0) -> None:
        self._console = console
        self._view = JobView(rounds=rounds)
        # One for the whole job: a new one at each event would start again at its first picture.
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_S) if console.is_terminal else None

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
            self._line(self._finished(before))
        elif event.type == "progress" and before.running is not None and before.running.note:
            # A later note takes its place on the stage's line; nothing that was told is lost.
            self._line(Text(f"  {before.running.note}", style="dim"))

    def _line(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _finished(self, before: JobView) -> Text:
        pairs = zip(before.lines, self._view.lines, strict=False)
        changed = (new for old, new in pairs if old.state is not new.state)
        return self._ended(next(changed, self._view.lines[-1]))

    def _render(self, *, final: bool = False) -> RenderableType:
        """Never taller than the terminal, so that it can be drawn over; the oldest stages go first."""
        running = None if final else self._view.running
        rows: list[RenderableType] = [
            self._at_work(line) if line is running else self._ended(line) for line in self._view.lines
        ]
        if running is not None and self._view.activity and self._view.activity != running.note:
            rows.append(_one_line(Text(f"    {self._view.activity}", style="dim")))
        return Group(*(rows if final else rows[-max(3, self._console.height - 4) :]))

    def _at_work(self, line: StageLine) -> RenderableType:
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=1)
        row.add_column(no_wrap=True, overflow="ellipsis")
        text = Text.assemble(label(line, self._view.rounds), *self._notes(line))
        if self._view.steps and line.stage in {"plan", "build", "verify"}:
            tokens = f", {self._view.tokens:,} tokens" if self._view.tokens else ""
            text.append(f" · {count(self._view.steps, 'step')}{tokens}", style="dim")
        row.add_row(self._spinner, _one_line(text))
        return row

    def _ended(self, line: StageLine) -> Text:
        mark, style = {
            StageState.DONE: ("✔", "green"),
            StageState.FAILED: ("✖", "red"),
        }.get(line.state, ("…", "dim"))
        seconds = f" {line.seconds:.1f} s" if line.seconds else ""
        name = label(line, self._view.rounds)
        return _one_line(Text.assemble((f"{mark} ", style), name, *self._notes(line), (seconds, "dim")))

    def _notes(self, line: StageLine) -> list[Text]:
        found = [Text(f" · {' '.join(line.note.split())}", style="dim")] if line.note else []
        for name, trees in dots(line).items():
            text = Text(f" · {name}", style="dim")
            for tree, runs in trees.items():
                text.append(f" {tree} ")
                text.append_text(self._dots(runs))
            found.append(text)
        return found

    def _dots(self, runs: tuple[str, ...]) -> Text:
        """Colours where there are colours, words elsewhere."""
        if self._live is None or self._console.no_color:
            return Text(", ".join(runs))
        found = (DOT.get(run, DOT["error"]) for run in runs)
        return Text.assemble(*((mark, f"not dim {colour}") for mark, colour in found))


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
