"""Small screens over another one: help with the keys, checkpoints to go on from, jobs on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, OptionList, Static
from textual.widgets.option_list import Option

from perstack.core.json import JsonObject
from perstack.core.storage import JobRecord
from perstack.interface.history.reading import object_of, text_of, usage_of
from perstack.interface.start.board import MARKS
from perstack.interface.start.text import clock, flat, thousands

_KEYS = (
    ("Anywhere", (
        ("Ctrl+C", "stop the job; its work is kept. Again: leave"),
        ("Ctrl+N", "a new job"), ("Ctrl+O", "jobs on record"), ("Ctrl+T", "light or dark"),
        ("Tab", "from the box to the list and back"), ("Ctrl+Q", "leave"), ("F1", "this page"),
    )),
    ("In the box", (
        ("Enter", "send"), ("Ctrl+J, Alt+Enter", "a new line"), ("Up, Down", "what you sent before"),
    )),
    ("In a job", (
        ("Up, Down, k, j", "from entry to entry"), ("Home, End", "first and last; at the last, the list follows"),
        ("Enter", "open or close an entry"), ("e", "open or close all of them"),
        ("Ctrl+F, /", "search; n and N for the next and the one before"), ("Ctrl+Y, y", "copy an entry"),
        ("Ctrl+B", "experts, signals and usage, in a narrow window"),
        ("Ctrl+R", "go on from a checkpoint"), ("Ctrl+G", "go on with an interrupted job"), ("Esc", "back"),
    )),
)  # fmt: skip
_WORDS = {
    "stoppedByInteractiveTool": "asks you",
    "stoppedByExceededMaxSteps": "out of steps",
    "stoppedByMaxSteps": "out of steps",
    "stoppedByError": "error",
    "stoppedByDelegate": "delegates",
}


def status_text(status: str) -> Text:
    """A status of a job or run as people read it, with its mark."""
    if status == "proceeding":
        return Text("· end of a step", style="dim")
    mark, style = MARKS.get({"stoppedByMaxSteps": "stoppedByExceededMaxSteps"}.get(status, status), ("·", "dim"))
    return Text(f"{mark} {_WORDS.get(status, flat(status, 30))}", style=style)


class HelpScreen(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f1,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        text = Text()
        for title, rows in _KEYS:
            text.append(f"{title}\n", "bold")
            for keys, words in rows:
                text.append(f"  {keys:<19}", "cyan").append(f"{words}\n")
            text.append("\n")
        text.append("Marks  ", "bold").append(
            "❯ you  ∴ thinking  ◌ running  ✓ done  ✗ failed  → delegate  ? asks  ◆ result"
        )
        with VerticalScroll(classes="dialog"):
            yield Static(text, markup=False)


class CheckpointsScreen(ModalScreen[str]):
    """Checkpoints of a job, the newest first. Gives the id of the one to go on from, empty for none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Close")]

    def __init__(self, checkpoints: Sequence[JsonObject]) -> None:
        super().__init__()
        self.checkpoints = checkpoints

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            heading = Text.assemble(("Go on from a checkpoint", "bold"), ("  what came after it is kept", "dim"))
            yield Static(heading, markup=False)
            yield OptionList(*(Option(_checkpoint(one)) for one in self.checkpoints), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(text_of(self.checkpoints[event.option_index].get("id")))


def _checkpoint(data: JsonObject) -> Text:
    step = data.get("stepNumber", 0)
    expert = flat(text_of(object_of(data.get("expert")).get("key")), 40)
    line = Text.assemble((f"step {step:<4}", "bold"), f"{expert:<24} ", no_wrap=True, overflow="ellipsis")
    line.append_text(status_text(text_of(data.get("status"))))
    return line.append(f"  {thousands(usage_of(data.get('usage')).total_tokens)} tokens", "dim")


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in the list: its record, its verdict and what it was asked, empty where there is none."""

    record: JobRecord
    verdict: str
    asked: str


class JobsScreen(Screen[str]):
    """Jobs on record, the newest first. Gives the id of the one to open, empty for none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Back"),
        Binding("enter", "open", "Open", show=True),
        Binding("f5", "reload", "Again"),
        Binding("question_mark", "app.help", "Help", show=False),
    ]

    def __init__(self, load: Callable[[], Sequence[JobRow]]) -> None:
        super().__init__()
        self.load = load

    def compose(self) -> ComposeResult:
        yield Static(Text.assemble(("perstack", "bold magenta"), ("  jobs on record", "dim")), id="title", markup=False)
        yield DataTable(id="jobs", cursor_type="row", show_header=True)
        yield Static("", id="none", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        table: DataTable[Text] = self.query_one("#jobs", DataTable)
        table.add_columns("when", "what", "asked", "how it ended", "steps", "tokens", "took", "job")
        table.focus()
        self.action_reload()

    def action_reload(self) -> None:
        """Read the records again."""
        self.query_one("#none", Static).update(Text("reading…", "dim"))
        self.run_worker(self._read, thread=True, exclusive=True)

    def _read(self) -> None:
        rows = self.load()
        self.app.call_from_thread(self._show, rows)

    def _show(self, rows: Sequence[JobRow]) -> None:
        table: DataTable[Text] = self.query_one("#jobs", DataTable)
        table.clear()
        for row in rows:
            table.add_row(*_job(row), key=row.record.id)
        self.query_one("#none", Static).update(Text("" if rows else "There is no job yet. Esc goes back.", "dim"))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open it."""
        self.dismiss(event.row_key.value or "")


def _job(row: JobRow) -> tuple[Text, ...]:
    record, verdict = row.record, row.verdict
    when = datetime.fromtimestamp(record.started_at / 1000).astimezone()
    kind = text_of(record.extra.get("kind")) or "run"
    key = record.coordinator_expert_key
    what = key if kind == "run" else f"perstack {kind}" if key in {"", kind} else f"{kind} {key}"
    end = status_text(record.status)
    if verdict:
        end = Text(f"◆ {flat(verdict, 30)}", style="green" if verdict == "pass" else "red")
    took = clock(record.finished_at - record.started_at) if record.finished_at else ""
    return (
        Text(f"{when:%d %b %H:%M}", "dim"), Text(flat(what, 32), "bold"), Text(flat(row.asked, 36)), end,
        Text(str(record.total_steps), justify="right"), Text(thousands(record.usage.total_tokens), justify="right"),
        Text(took, justify="right"), Text(record.id[:12], "dim"),
    )  # fmt: skip
