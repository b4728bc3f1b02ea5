"""Live progress on a terminal, and the same as plain lines where there is none. Prints to stderr.

In a pipe each stage is told when it ends, and one that takes long also while it runs: seldom, so that logs stay short.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from threading import Event as Flag
from threading import Thread

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from perstack.core.events import Event
from perstack.interface.progress import JobView, StageLine, StageState
from perstack.interface.render.facts import count
from perstack.interface.render.stages import READING, dots, label

REFRESH_PER_S = 8
SILENT_S = 1.0  # what takes longer is told while it runs
BEAT_S = 10.0  # and then this often
DOT = {
    "pass": ("●", "green"),
    "fail": ("●", "red"),
    "flaky": ("●", "yellow"),
    "error": ("●", "magenta"),
    "not-run": ("○", "dim"),
    "running": ("○", "cyan"),
}


class Pulse:
    """Calls a function about once a second while a block runs, in a thread of its own."""

    def __init__(self, beat: Callable[[float], None]) -> None:
        self._beat = beat
        self._over = Flag()
        self._thread = Thread(target=self._run, name="perstack-pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SILENT_S):
            try:
                self._beat(time.monotonic())
            except OSError:  # nobody reads stderr any more
                return


class LiveView:
    """Shows a job while it runs: a live list where the console is a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, *, rounds: int = 0, first: str = READING) -> None:
        self._console = console
        self._first = first  # what is done before the first stage
        self._view = JobView(rounds=rounds)
        # One for the whole job: a new one at each event would start again at its first picture.
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_S) if _can_draw(console) else None
        self._pulse = Pulse(self.beat) if self._live is None else None
        self._since = self._told = time.monotonic()  # the stage began, it was told last
        self._said = -1  # how many stages there were when one was told while it ran

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
            self._live.update(self._render())
        if self._pulse is not None:
            self._pulse.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pulse is not None:
            self._pulse.__exit__()
        if self._live is not None:
            self._live.update(self._render(final=True))
            self._live.stop()

    def __call__(self, event: Event) -> None:
        before, self._view = self._view, self._view.apply(event)
        if event.type == "startStage":
            self._since = time.monotonic()
        if self._live is not None:
            self._live.update(self._render())
        elif event.type == "finishStage":
            self._line(self._finished(before))
        elif event.type == "progress" and before.running is not None and before.running.note:
            # A later note takes its place on the stage's line; nothing that was told is lost.
            self._line(Text(f"  {before.running.note}", style="dim"))

    def beat(self, now: float) -> None:
        """Tell what has been at work for a second at `now` (of `time.monotonic`), and again every ten."""
        view = self._view
        line, seconds = view.running, now - self._since
        if line is None and view.lines:
            return  # between two stages
        is_new = self._said != len(view.lines)
        if seconds < SILENT_S or (not is_new and now - self._told < BEAT_S):
            return
        self._said, self._told = len(view.lines), now
        text = Text.assemble(("… ", "dim"), self._first) if line is None else self._ended(replace(line, seconds=0.0))
        if line is not None:
            text.append_text(self._effort(line))
            text.append(f" · {view.activity}" if view.activity not in {"", line.note} else "", style="dim")
        text.append("" if is_new else f" {seconds:.0f} s", style="dim")
        self._line(text)

    def _line(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _finished(self, before: JobView) -> Text:
        pairs = zip(before.lines, self._view.lines, strict=False)
        changed = (new for old, new in pairs if old.state is not new.state)
        return self._ended(next(changed, self._view.lines[-1]))

    def _render(self, *, final: bool = False) -> RenderableType:
        """Never taller than the terminal, so that it can be drawn over; the oldest stages go first."""
        running = None if final else self._view.running
        if not final and not self._view.lines:
            return Group(self._row(Text(self._first)))
        rows: list[RenderableType] = [
            self._at_work(line) if line is running else self._ended(line) for line in self._view.lines
        ]
        if running is not None and self._view.activity and self._view.activity != running.note:
            rows.append(_one_line(Text(f"    {self._view.activity}", style="dim")))
        return Group(*(rows if final else rows[-max(3, self._console.height - 4) :]))

    def _at_work(self, line: StageLine) -> RenderableType:
        return self._row(Text.assemble(label(line, self._view.rounds), *self._notes(line), self._effort(line)))

    def _row(self, text: Text) -> Table:
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=1)
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(self._spinner, _one_line(text))
        return row

    def _effort(self, line: StageLine) -> Text:
        if not self._view.steps or line.stage not in {"plan", "build", "verify"}:
            return Text()
        tokens = f", {self._view.tokens:,} tokens" if self._view.tokens else ""
        return Text(f" · {count(self._view.steps, 'step')}{tokens}", style="dim")

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


def waiting(console: Console, text: str) -> AbstractContextManager[object]:
    """Say what a block without stages is at, where it takes longer than a second."""
    if _can_draw(console):
        return console.status(Text(text), spinner="dots")
    begun = time.monotonic()
    told: list[float] = []

    def beat(now: float) -> None:
        if not told or now - told[-1] >= BEAT_S:
            console.print(f"… {text}" + (f" {now - begun:.0f} s" if told else ""), highlight=False, soft_wrap=True)
            told.append(now)

    return Pulse(beat)


def _can_draw(console: Console) -> bool:
    # On a runner, colours may be forced and a pseudo-terminal be there; but its workflow commands must begin a line.
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.get("GITHUB_ACTIONS")


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
