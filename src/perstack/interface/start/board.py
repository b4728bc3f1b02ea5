"""What stands beside the activity: experts at work, signals before and after, tokens, cost, occupancy. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from rich.text import Text

from perstack.core.events import Event
from perstack.core.json import JsonObject
from perstack.core.usage import Usage
from perstack.interface.history.reading import contents_text, object_of, objects_of, text_of, usage_of
from perstack.interface.history.runs import Run
from perstack.interface.start.text import flat, shortened, thousands

Price = Callable[[str, Usage], Decimal | None]
MAX_SIGNALS = 12
MAX_RUNS = 40
_BAR = 10
_GOOD, _BAD, _BUSY = "pass", {"fail", "error", "flaky"}, "running"
MARKS = {
    "running": ("●", "cyan"),
    "proceeding": ("●", "cyan"),
    "completed": ("✓", "green"),
    "stoppedByDelegate": ("◌", "cyan"),
    "stoppedByInteractiveTool": ("?", "yellow"),
    "stoppedByExceededMaxSteps": ("!", "yellow"),
    "stoppedByError": ("✗", "red"),
    "interrupted": ("–", "yellow"),
}


@dataclass(slots=True)
class Board:
    """The numbers of a job. `cost` is None once a price is not known; it counts from when `priced` was called."""

    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = Decimal(0)
    occupancy: float = 0.0
    model: str = ""
    steps: int = 0
    began_ms: int = 0
    last_ms: int = 0
    verdict: str = ""
    signals: dict[str, dict[str, str]] = field(default_factory=dict)
    price: Price | None = None
    _unpriced: list[tuple[str, Usage]] = field(default_factory=list)
    _models: dict[str, str] = field(default_factory=dict)
    _counted: tuple[str, int] = ("", 0)

    def add(self, event: Event) -> None:
        """Take one more event."""
        self.began_ms = self.began_ms or event.timestamp
        self.last_ms = max(self.last_ms, event.timestamp)
        self.steps = max(self.steps, event.step_number)
        if event.type == "initializeRuntime":
            self.model = flat(text_of(event.payload.get("model")), 60)
            self._models[event.run_id] = text_of(event.payload.get("model"))
        elif event.type in {"callTools", "retry", "completeRun"}:
            self._count(event)
        elif event.type in {"startSignal", "finishSignal"}:
            self._signal(event)
        elif event.type == "decideVerdict":
            self._report(object_of(event.payload.get("report")))
        elif event.type == "finishJob":
            self.verdict = flat(text_of(event.payload.get("verdict")), 40) or self.verdict
        elif event.type == "resolveToolResults":
            self._answers(event)
        self._window(object_of(event.payload.get("checkpoint")))

    def _count(self, event: Event) -> None:
        """The usage of a generation, once: a completion after `callTools` tells the same numbers again."""
        place = (event.run_id, event.step_number)
        if event.type == "completeRun" and self._counted == place:
            return
        self._counted = place
        used = usage_of(event.payload.get("usage"))
        self.usage += used
        self._unpriced.append((self._models.get(event.run_id) or self.model, used))
        if self.price is not None:
            self.priced(self.price)

    def priced(self, price: Price) -> None:
        """What tokens cost: of those counted until now, and of those to come."""
        self.price = price
        for model, used in self._unpriced:
            cost = price(model, used)
            self.cost = None if cost is None or self.cost is None else self.cost + cost
        self._unpriced.clear()

    def _window(self, checkpoint: JsonObject) -> None:
        used = checkpoint.get("contextWindowUsage")
        if isinstance(used, int | float):
            self.occupancy = min(max(float(used), 0.0), 1.0)

    def _signal(self, event: Event) -> None:
        data = event.payload
        name, tree = flat(text_of(data.get("name")), 60), text_of(data.get("tree"))
        if tree not in {"base", "candidate"}:
            return  # a trial of the harness: red is right there
        if name not in self.signals and len(self.signals) >= MAX_SIGNALS:
            return
        status = text_of(data.get("status")) if event.type == "finishSignal" else _BUSY
        self.signals.setdefault(name, {})[tree] = flat(status, 20)

    def _report(self, report: JsonObject) -> None:
        self.verdict = flat(text_of(report.get("verdict")), 40) or self.verdict
        for signal in objects_of(report.get("signals"))[:MAX_SIGNALS]:
            known = self.signals.setdefault(flat(text_of(signal.get("name")), 60), {})
            for place, key in (("base", "baseline"), ("candidate", "status")):
                known[place] = flat(text_of(signal.get(key)), 20)

    def _answers(self, event: Event) -> None:
        """What the tool `runSignals` told its expert."""
        for result in objects_of(event.payload.get("toolResults")):
            if result.get("toolName") != "runSignals":
                continue
            try:
                found = json.loads(contents_text(result.get("result")))
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                self._report(found)

    def numbers(self) -> str:
        """Steps, tokens, cost and occupancy in one line."""
        window = f"window {self.occupancy:.0%}" if self.occupancy else ""
        parts = (f"step {self.steps}", f"{thousands(self.usage.total_tokens)} tokens", self.cost_text(), window)
        return " · ".join(filter(None, parts))

    def cost_text(self) -> str:
        """US dollars; empty where nobody can say."""
        return "" if self.cost is None or self.price is None or not self.usage.total_tokens else f"${self.cost:,.4f}"


def side_lines(board: Board, runs: list[Run], width: int) -> Iterator[Text]:
    """The panel beside the activity, line by line, none wider than `width` cells."""
    yield from _headed("Experts", _tree(runs, width))
    if board.signals:
        yield from _headed("Signals", _signals(board, width))
    yield from _headed("Usage", _usage(board, width))


def _headed(title: str, lines: Iterator[Text]) -> Iterator[Text]:
    yield Text(title, style="bold")
    yield from lines
    yield Text()


def _tree(runs: list[Run], width: int) -> Iterator[Text]:
    if not runs:
        yield Text("nobody yet", style="dim")
    for number, (run, lead) in enumerate(_branches([run for run in runs if run.parent is None], "", top=True)):
        if number == MAX_RUNS:
            yield Text(f"… and {len(runs) - MAX_RUNS} more", style="dim")
            return
        mark, style = MARKS.get(run.status, ("·", "dim"))
        step = f" {run.last_step}" if run.last_step else ""
        room = max(4, width - len(lead) - 2 - len(step))
        name = shortened(flat(run.expert, 80), room)
        yield Text.assemble((lead, "dim"), (f"{mark} ", style), name, (step, "dim"))


def _branches(runs: list[Run], lead: str, *, top: bool = False) -> Iterator[tuple[Run, str]]:
    for run in runs:
        last = run is runs[-1]
        yield run, "" if top else lead + ("└ " if last else "├ ")
        yield from _branches(run.children, "" if top else lead + ("  " if last else "│ "))


def _signals(board: Board, width: int) -> Iterator[Text]:
    for name, trees in board.signals.items():
        before, after = trees.get("base", ""), trees.get("candidate", "")
        line = Text()
        line.append_text(_lamp(before))
        line.append(" → ", style="dim")
        line.append_text(_lamp(after))
        line.append(f" {shortened(name, max(4, width - 16))}")
        yield line


def lamps(board: Board, width: int) -> Text:
    """The signals in one line, what is red first, then what has changed: how they are, and how they were."""
    line = Text(no_wrap=True)
    states = {
        name: [it[place] for place in ("base", "candidate") if it.get(place)] for name, it in board.signals.items()
    }
    for name, known in sorted(states.items(), key=lambda one: (one[1][-1:] == [_GOOD], set(one[1]) <= {_GOOD})):
        part = Text.assemble("  ", _lamp(known[-1] if known else ""), f" {shortened(name, 24)}")
        if len(known) > 1 and known[0] != known[-1]:
            part.append(f" (was {known[0]})", "dim")
        if line.cell_len + part.cell_len > width:
            return line.append(" …", "dim")
        line.append_text(part)
    return line


def _lamp(status: str) -> Text:
    if status == _GOOD:
        return Text("● pass", style="green")
    if status in _BAD:
        return Text(f"● {status[:5]}", style="red" if status == "fail" else "yellow")
    return Text("◌", style="cyan") if status == _BUSY else Text("·", style="dim")


def _usage(board: Board, width: int) -> Iterator[Text]:
    usage = board.usage
    cached = f" ({thousands(usage.cached_input_tokens)} cached)" if usage.cached_input_tokens else ""
    rows = [
        ("model", board.model),
        ("steps", str(board.steps)),
        ("tokens", f"{thousands(usage.input_tokens)} in{cached}"),
        ("", f"{thousands(usage.output_tokens)} out"),
        ("cost", board.cost_text()),
    ]
    for name, value in rows:
        if value:
            yield Text.assemble((f"{name:<8}", "dim"), shortened(value, max(4, width - 8)))
    if board.occupancy:
        full = round(board.occupancy * _BAR)
        style = "red" if board.occupancy > 0.9 else "yellow" if board.occupancy > 0.7 else "green"
        bar = Text.assemble(("window  ", "dim"), ("━" * full, style), ("━" * (_BAR - full), "dim"))
        yield bar.append(f" {board.occupancy:.0%}", style="")
    if board.verdict:
        yield Text.assemble(("verdict ", "dim"), (board.verdict, "green" if board.verdict == _GOOD else "red"))
