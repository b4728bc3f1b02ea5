"""One job on the screen: at work or on record, its entries, its numbers, and the box to go on with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from time import sleep, time
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from perstack import api
from perstack.core.errors import InvariantBroken, PerstackError
from perstack.core.events import RECORD_EVENTS, Event
from perstack.core.json import JsonObject
from perstack.core.usage import Usage
from perstack.interface.history.reading import text_of
from perstack.interface.history.runs import runs_of
from perstack.interface.start.activity import Activity
from perstack.interface.start.activity_list import ActivityList
from perstack.interface.start.board import Board, lamps, side_lines
from perstack.interface.start.composer import Composer
from perstack.interface.start.dialogs import CheckpointsScreen
from perstack.interface.start.session import End, Session, Told
from perstack.interface.start.text import arguments_line, clock, flat, shortened

_TICK_S = 1 / 15
_LOOK_S = 0.2  # between looks at the log of another process
_AT_ONCE = 2000  # events that one tick takes in
_WIDE = 96  # columns from which the panel stands beside the list
SIDE = 32
_PHASES = {
    "starting": ("◌", "cyan", "starting"), "running": ("●", "cyan", "running"), "stopping": ("◌", "yellow", "stopping"),
    "completed": ("✓", "green", "done"), "stoppedByInteractiveTool": ("?", "yellow", "waits for your answer"),
    "stoppedByExceededMaxSteps": ("!", "yellow", "out of steps"), "stoppedByError": ("✗", "red", "stopped by an error"),
    "interrupted": ("–", "yellow", "stopped · Ctrl+G goes on"), "live": ("●", "cyan", "at work in another process"),
    "failed": ("✗", "red", "could not run"),
}  # fmt: skip
_ASKS = "stoppedByInteractiveTool"
_CAN_SAY = frozenset({"completed", _ASKS, "stoppedByExceededMaxSteps", "stoppedByError"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job as it is on record: what it can do next, and why not where it cannot."""

    job: api.JobHistory | None
    phase: str = ""
    question: str = ""
    problem: str = ""


class Start(Protocol):
    """Begins or goes on with a job that tells `told`. Raises: UserError, InfrastructureError."""

    def __call__(self, told: Told, /) -> None: ...


class JobScreen(Screen[None]):
    """Follows the job that `start` begins, or shows the one on record of that id."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "search", "Search"),
        Binding("ctrl+r", "checkpoints", "Checkpoint"),
        Binding("ctrl+g", "resume", "Go on", show=False),
        Binding("ctrl+y", "copy", "Copy", show=False),
        Binding("ctrl+b", "side", "Panel", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, session: Session, title: str, history: list[str], *, start: Start | None = None,
                 job_id: str = "") -> None:  # fmt: skip
        super().__init__()
        self.session = session
        self.heading = flat(title, 200)
        self.history = history
        self.job_id = job_id
        self.phase = "starting" if start else ""
        self.activity, self.board = Activity(), Board()
        self.checkpoint = ""
        self._start = start
        self._news: deque[Event | End] = deque()
        self._loaded = Loaded(None)
        self._began_ms = 0

    def compose(self) -> ComposeResult:
        yield Static("", id="title", markup=False)
        with Horizontal(id="work"):
            yield ActivityList(self.activity)
            with VerticalScroll(id="side", can_focus=False):
                yield Static("", id="side-text", markup=False)
        yield Static("", id="status", markup=False)
        with Vertical(id="say"):
            yield Static("", id="ask", markup=False)
            yield Composer("", self.history)
        yield Input(placeholder="search, then Enter; n and N go on", id="search", compact=True)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.set_interval(_TICK_S, self._tick)
        self.run_worker(self._find_price, thread=True)
        self.query_one(ActivityList).focus()
        if self._start is not None:
            self._go(self._start)
        else:
            self._load(shows=True)
        self.on_resize()

    def on_resize(self) -> None:
        """A narrow window has no room for the panel."""
        self.set_class(self.app.size.width < _WIDE, "narrow")
        self._draw()

    # --- what comes ---

    @property
    def is_at_work(self) -> bool:
        """Whether this screen's job runs in this process."""
        return self.phase in {"starting", "running", "stopping"}

    def _go(self, start: Start) -> None:
        """Begin or go on; what cannot be is told."""
        self.phase, self.checkpoint = "starting", ""
        self._began_ms = int(time() * 1000)
        try:
            start(Told(self._news.append, self._news.append))
        except (PerstackError, InvariantBroken) as error:
            self._news.append(End("failed", str(error)))
        self._draw()
        self._prepare()

    def _tick(self) -> None:
        if not self._news:
            if self.is_at_work:
                self._draw_title()
            return
        for _ in range(min(len(self._news), _AT_ONCE)):
            one = self._news.popleft()
            if isinstance(one, End):
                self._ended(one)
            else:
                self._take(one)
        self.query_one(ActivityList).sync()
        self._draw()

    def _take(self, event: Event) -> None:
        self.job_id = event.job_id
        if self.phase == "starting":
            self.phase = "running"
        self.activity.add(event)
        self.board.add(event)

    def _ended(self, end: End) -> None:
        self.activity.settle()
        self.phase = "interrupted" if end.status == "stopped" else end.status
        if end.status == "failed":
            told = f"{end.why}\n{end.hint}".strip()
            self._tell_problem(told)
        if self.job_id:
            self._load(shows=False)
        else:
            self._prepare()

    def _tell_problem(self, told: str) -> None:
        now = int(time() * 1000)
        problem = Event("stopRunByError", "", now, self.job_id, payload={"error": {"message": told}})
        self.activity.add(problem)

    def _load(self, *, shows: bool) -> None:
        """Read the job from its record, in a thread; `shows` its events too, made there: long logs hold no key up."""

        def read() -> None:
            loaded = _read(self.session, self.job_id)
            made = _made(loaded) if shows and loaded.job is not None else None
            self.app.call_from_thread(self._show, loaded, made)

        self.run_worker(read, thread=True, exclusive=True, group="load")

    def _show(self, loaded: Loaded, made: tuple[Activity, Board] | None) -> None:
        self._loaded = loaded
        if made is not None:
            price = self.board.price
            self.activity, self.board = made
            if price is not None:
                self.board.priced(price)
            if loaded.problem:
                self._tell_problem(loaded.problem)
            self.query_one(ActivityList).show(self.activity)
        if self.phase != "failed":
            self.phase = loaded.phase or self.phase
        if made is not None and self.phase == "live" and loaded.job is not None:
            known = sum(event.type not in RECORD_EVENTS for event in loaded.job.events)
            self.run_worker(partial(self._watch, self.job_id, known), thread=True, exclusive=True, group="watch")
        self._draw()
        self._prepare()

    def _watch(self, job_id: str, known: int) -> None:
        """Take in what another process does in a job, after the `known` events, to its end. In a thread."""
        worker = get_current_worker()
        following = api.Following(self.session.archive, job_id)
        try:
            while not worker.is_cancelled:
                is_live = following.is_live
                lot = following.read()
                self._news.extend(lot[known:])
                known = max(0, known - len(lot))
                if not lot and not is_live:
                    break
                if not lot:
                    sleep(_LOOK_S)
        except PerstackError as error:
            self._news.append(End("failed", error.message, error.hint))
        else:
            self._news.append(End(""))

    def _find_price(self) -> None:
        price = self.session.price()
        price("", Usage())  # loads its tables here, and not where keys wait
        self.app.call_from_thread(lambda: self.board.priced(price))

    # --- what one can do ---

    def on_composer_sent(self, event: Composer.Sent) -> None:
        """Go on with the job."""
        event.stop()
        session, text, job_id, checkpoint = self.session, event.text, self.job_id, self.checkpoint
        is_answer = self.phase == _ASKS and not checkpoint
        self._go(lambda told: session.go_on(job_id, text, told, checkpoint=checkpoint, is_answer=is_answer))
        self.query_one(ActivityList).focus()

    def action_resume(self) -> None:
        """Go on with an interrupted job."""
        if self.phase == "interrupted" and not self.session.is_busy:
            self._go(lambda told: self.session.resume(self.job_id, told))

    def action_checkpoints(self) -> None:
        """Pick a checkpoint to go on from."""
        job = self._loaded.job
        found = [] if self.is_at_work or job is None or not self._can_go_on() else _checkpoints(job)
        if not found:
            self.notify("This job cannot go on from a checkpoint now.", markup=False)
            return

        def picked(checkpoint: str | None) -> None:
            if checkpoint:
                self.checkpoint = checkpoint
                self._prepare()
                self.query_one(Composer).focus()

        self.app.push_screen(CheckpointsScreen(found), picked)

    def action_search(self) -> None:
        """Open the search."""
        box = self.query_one("#search", Input)
        box.display = True
        box.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Find."""
        entries = self.query_one(ActivityList)
        if not entries.search(event.value.strip()) and event.value.strip():
            self.notify(f"Nothing says “{flat(event.value, 60)}”.", markup=False)
        event.input.display = False
        entries.focus()

    def action_copy(self) -> None:
        """Copy the entry at the cursor."""
        entry = self.query_one(ActivityList).current
        if entry is not None:
            self.app.copy_to_clipboard(entry.text)
            self.notify("Copied.", timeout=2, markup=False)

    def action_side(self) -> None:
        """Show the panel in place of the list, or beside it."""
        self.toggle_class("side-only")
        self._draw()

    def action_back(self) -> None:
        """Close the search, else leave the box, else go back."""
        box = self.query_one("#search", Input)
        if box.display:
            box.display = False
            self.query_one(ActivityList).focus()
        elif self.checkpoint:
            self.checkpoint = ""
            self._prepare()
        elif isinstance(self.focused, Composer):
            self.query_one(ActivityList).focus()
        elif not self.is_at_work and self.is_current:
            self.dismiss()

    # --- how it looks ---

    def _can_go_on(self) -> bool:
        job = self._loaded.job
        return job is not None and not (job.is_foreign or job.is_live) and job.record.extra.get("kind", "run") == "run"

    def _prepare(self) -> None:
        """The box: what one may write now."""
        composer, ask = self.query_one(Composer), self.query_one("#ask", Static)
        can_say = not self.is_at_work and self.phase in _CAN_SAY and self._can_go_on()
        self.query_one("#say").display = can_say or bool(self.checkpoint)
        if self.checkpoint:
            ask.update(Text("From the checkpoint, as a branch"))
            composer.placeholder = "What is to be done from there?"
        elif self.phase == _ASKS:
            ask.update(Text(shortened(self._loaded.question, 3 * max(20, self.size.width - 4)), "bold"))
            composer.placeholder = "Your answer"
        else:
            ask.update(Text(""))
            composer.placeholder = "Say something more to this expert"
        ask.display = bool(self.checkpoint) or self.phase == _ASKS
        if can_say and self.query_one(ActivityList).follows:
            composer.focus()
        self.query_one(ActivityList).sync()

    def _draw(self) -> None:
        self._draw_title()
        narrow = self.has_class("narrow") and not self.has_class("side-only")
        status = self.query_one("#status", Static)
        status.display = narrow
        if narrow:
            numbers = Text(shortened(f"  {self.board.numbers()}", self.size.width - 1), "dim")
            shown = [lamps(self.board, self.size.width - 3)] if self.board.signals else []
            status.update(Text("\n").join([*shown, numbers]))
        else:
            wide = SIDE if not self.has_class("narrow") else max(20, self.size.width - 4)
            lines = side_lines(self.board, self.activity.runs, wide - 4)
            self.query_one("#side-text", Static).update(Text("\n").join(lines))

    def _draw_title(self) -> None:
        mark, style, words = _PHASES.get(self.phase, ("·", "dim", flat(self.phase, 40)))
        ends = int(time() * 1000) if self.is_at_work else self.board.last_ms
        began = self._began_ms if self.is_at_work else self.board.began_ms
        right = f"{mark} {words}  {clock(ends - began) if began else ''}".rstrip()
        room = max(10, self.size.width - len(right) - 16)
        title = Text.assemble(("perstack  ", "bold magenta"), (shortened(self.heading, room), "bold"))
        gap = max(2, self.size.width - title.cell_len - len(right) - 4)
        self.query_one("#title", Static).update(title.append(" " * gap).append(right, style))


def _read(session: Session, job_id: str) -> Loaded:
    """A job and where it stands."""
    try:
        job = session.archive.read(job_id)
    except PerstackError as error:
        return Loaded(None, "failed", problem=error.message)
    if job.is_live:
        return Loaded(job, "live", problem=job.problem)
    status = {"stoppedByMaxSteps": "stoppedByExceededMaxSteps"}.get(job.record.status, job.record.status)
    try:
        standing = job.standing()
    except InvariantBroken as error:
        return Loaded(job, status, problem=str(error))
    phase = "interrupted" if job.is_interrupted else standing.status if standing else status
    question = standing.question if standing else None
    asked = f"{flat(question.tool_name, 60)}: {arguments_line(question.args, 600)}" if question else ""
    return Loaded(job, phase if status != "completed" else status, asked, job.problem if job.is_damaged else "")


def _made(loaded: Loaded) -> tuple[Activity, Board]:
    """What the events of a job on record show."""
    activity, board = Activity(), Board()
    if loaded.job is not None:
        for event in loaded.job.events:
            activity.add(event)
            board.add(event)
        if not loaded.job.is_live:
            activity.settle()
    return activity, board


def _checkpoints(job: api.JobHistory) -> list[JsonObject]:
    """Checkpoints of its top-level runs that something can be said to, the newest first."""
    found = {text_of(one.get("id")): one for one in job.checkpoints()}
    top = {run_id for run_id, run in runs_of(job.events).of.items() if run.parent is None}
    usable = {"proceeding", "completed", "stoppedByExceededMaxSteps"}
    rows = [one for one in found.values() if one.get("status") in usable and text_of(one.get("runId")) in top]
    return rows[::-1]
