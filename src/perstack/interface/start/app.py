"""The application: which screen is shown, the keys that work everywhere, and the end. Runs no job by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from perstack import api
from perstack.core.errors import ExitCode, PerstackError
from perstack.core.storage import JobRecord
from perstack.interface.history.reading import contents_text, objects_of, text_of
from perstack.interface.start.dialogs import HelpScreen, JobRow, JobsScreen
from perstack.interface.start.hang_up import HeedlessDriver, has_gone, let_go
from perstack.interface.start.home import HomeScreen
from perstack.interface.start.job import JobScreen, Start
from perstack.interface.start.session import FIX, Session, Told
from perstack.interface.start.terminal import DARK, DARK_WORDS, LIGHT, LIGHT_WORDS, AsciiFilter
from perstack.interface.start.text import flat

TERMINATED = 143
_VERDICTS = 60  # logs that are read for the verdicts in the list


class StartApp(App[int]):
    """`perstack start`. Returns the exit code of the process."""

    CSS_PATH = "start.tcss"
    TITLE = "perstack"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "Stop", priority=True),
        Binding("ctrl+q", "leave", "Leave", show=False, priority=True),
        Binding("ctrl+n", "home", "New", priority=True),
        Binding("ctrl+o", "jobs", "Jobs", priority=True),
        Binding("ctrl+t", "light", "Light or dark", show=False, priority=True),
        Binding("f1", "help", "Help", priority=True),
    ]

    def __init__(self, session: Session, *, expert: str = "", query: str = "", light: bool = False,
                 ascii_only: bool = False, colour: bool = True) -> None:  # fmt: skip
        super().__init__(driver_class=HeedlessDriver, ansi_color=None if colour else True)
        self.session = session
        self.expert = expert
        self.asked = query
        self.light = light
        self.history: list[str] = []
        self._warned = False
        self.ansi_theme_dark, self.ansi_theme_light = DARK_WORDS, LIGHT_WORDS
        if ascii_only:
            self._filters.append(AsciiFilter())

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if self.light else DARK.name
        self._catch(signal.SIGTERM, TERMINATED)
        self._catch(signal.SIGHUP, TERMINATED)
        if not has_gone():
            self.set_interval(1.0, self._see_terminal)
        self.action_home()
        if self.expert and self.asked:
            self.history.append(self.asked)
            self._ask(self.expert, self.asked)

    def on_home_screen_asked(self, event: HomeScreen.Asked) -> None:
        """Start a job."""
        self._ask(event.expert, event.query)

    def action_home(self) -> None:
        """A new job: the first screen."""
        if self._refused():
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        home = HomeScreen(self.session.experts(), self.expert, str(self.session.settings.place()), self.history)
        self.push_screen(home)

    def action_jobs(self) -> None:
        """Jobs on record."""
        if not self._refused():
            self.push_screen(JobsScreen(self._records), self._opened)

    def action_help(self) -> None:
        """The keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_light(self) -> None:
        """Light or dark."""
        self.theme = DARK.name if self.theme == LIGHT.name else LIGHT.name

    def action_interrupt(self) -> None:
        """Stop the job at work; where there is none, or again: leave."""
        if self.session.is_busy and not self._is_stopping():
            self._set_stopping()
            self.session.stop()
            self.notify("Stopping; what is done stays on record. Ctrl+C again leaves.", markup=False)
        elif self.session.is_busy or self._warned:
            self.exit(ExitCode.INTERRUPTED if self.session.is_busy else ExitCode.OK)
        else:
            self._warned = True
            self.set_timer(3.0, self._forget_warning)
            self.notify("Ctrl+C again leaves.", timeout=3, markup=False)

    def action_leave(self) -> None:
        """Leave where nothing is at work."""
        if self.session.is_busy:
            self.action_interrupt()
        else:
            self.exit(ExitCode.OK)

    def _ask(self, expert: str, query: str) -> None:
        self.expert = expert
        if expert == FIX:
            start: Start = partial(_fix, self.session, query)
        else:
            start = partial(_begin, self.session, expert, query)
        self.push_screen(JobScreen(self.session, expert, self.history, start=start))

    def _opened(self, job_id: str | None) -> None:
        if job_id:
            try:
                key = self.session.archive.read(job_id).record.coordinator_expert_key
            except PerstackError as error:
                self.notify(flat(error.message), severity="error", markup=False)
                return
            self.push_screen(JobScreen(self.session, f"{key} · {job_id[:12]}", self.history, job_id=job_id))

    def _records(self) -> Sequence[JobRow]:
        """Jobs with what they were asked and their verdicts; what was left without an end is `interrupted`."""
        records = self.session.jobs()
        left = self.session.archive.interrupted(records)
        rows: list[JobRow] = []
        for number, record in enumerate(records):
            is_run, is_read = record.extra.get("kind", "run") == "run", number < _VERDICTS
            verdict = self._verdict(record.id) if is_read and not is_run else ""
            asked = self._asked(record.id) if is_read and is_run else ""
            rows.append(JobRow(_interrupted(record) if record.id in left else record, verdict, asked))
        return rows

    def _asked(self, job_id: str) -> str:
        """What was said to a run first, where it stands near the beginning of its log."""
        try:
            events = api.Following(self.session.archive, job_id).read()
        except PerstackError:
            return ""
        starts = (event.payload.get("inputMessages") for event in events if event.type == "startRun")
        said = (one for one in objects_of(next(starts, None)) if one.get("type") == "userMessage")
        return "".join(contents_text(one.get("contents")) for one in said)

    def _verdict(self, job_id: str) -> str:
        try:
            events = self.session.archive.read(job_id).events
        except PerstackError:
            return ""
        ends = (event for event in reversed(events) if event.type == "finishJob")
        end = next(ends, None)
        return text_of(end.payload.get("verdict")) if end else ""

    def _refused(self) -> bool:
        """Whether a job at work keeps one on its screen."""
        if self.session.is_busy:
            self.notify("A job is at work. Ctrl+C stops it.", markup=False)
        return self.session.is_busy

    def _is_stopping(self) -> bool:
        return any(isinstance(screen, JobScreen) and screen.phase == "stopping" for screen in self.screen_stack)

    def _set_stopping(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, JobScreen) and screen.is_at_work:
                screen.phase = "stopping"

    def _forget_warning(self) -> None:
        self._warned = False

    def _see_terminal(self) -> None:
        if has_gone():
            let_go()
            self.exit(TERMINATED)

    def _catch(self, number: signal.Signals, code: int) -> None:
        """End cleanly on a signal: the terminal is given back, the job stays resumable."""
        asyncio.get_running_loop().add_signal_handler(number, self.exit, code)


def _begin(session: Session, expert: str, query: str, told: Told) -> None:
    session.begin(expert, query, told)


def _fix(session: Session, task: str, told: Told) -> None:
    session.fix(task, told)


def _interrupted(record: JobRecord) -> JobRecord:
    return JobRecord(record.id, record.coordinator_expert_key, record.started_at, "interrupted", record.total_steps,
                     record.max_steps, record.usage, record.finished_at, record.extra)  # fmt: skip
