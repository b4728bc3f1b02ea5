"""Overhead of one agent step, side by side with the SDK's own loop, and the size of the event log.

Both sides talk to the same model server, which notes when each request comes: the time between two requests is a
step. Runs of both sides take turns in two processes that live on, so imports do not count.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Helper, Model, helper
from bench.replies import FILE
from bench.report import Row

_LINE = "0123456789" * 6 + "abc\n"  # 64 bytes
_TARGET_MS = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many steps, how often; `floor` False where the SDK's loop would take minutes."""

    protocol: str
    steps: int
    repetitions: int
    floor: bool = True


def plans(*, quick: bool) -> Sequence[Plan]:
    """What is measured. The SDK of OpenAI walks the whole history at every call: its floor is kept short."""
    if quick:
        return [Plan("anthropic", 20, 2), Plan("chat", 20, 1), Plan("responses", 20, 1)]
    return [
        Plan("anthropic", 20, 5),
        Plan("anthropic", 100, 3),
        Plan("anthropic", 400, 1),
        *(
            plan
            for protocol in ("chat", "responses")
            for plan in (
                Plan(protocol, 20, 2),
                Plan(protocol, 100, 1),
                Plan(protocol, 400, 1, floor=False),
            )
        ),
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """One run: milliseconds of each step, and processor milliseconds a step."""

    gaps: Sequence[float]
    cpu_ms: float

    @property
    def step_ms(self) -> float:
        return statistics.median(self.gaps)

    @property
    def growth(self) -> float:
        """Median of the last quarter of the steps over that of the first."""
        quarter = max(1, len(self.gaps) // 4)
        return statistics.median(self.gaps[-quarter:]) / statistics.median(self.gaps[:quarter])


def steps(model: Model, plan: Plan) -> Iterator[Row]:
    """A row for the time of a step, and one for its growth."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        (folder / FILE).write_text(_LINE * 4, encoding="utf-8")
        sides = ("floor", "ours") if plan.floor else ("ours",)
        workers = {side: stack.enter_context(helper("bench.worker", side, plan.protocol)) for side in sides}
        for worker in workers.values():
            _run(model, worker, Plan(plan.protocol, 3, 1), folder)
        found: dict[str, list[Run]] = {side: [] for side in workers}
        for _ in range(plan.repetitions):
            for side, worker in workers.items():
                found[side].append(_run(model, worker, plan, folder))
    yield from _rows(plan, found)


def _rows(plan: Plan, found: dict[str, list[Run]]) -> Iterator[Row]:
    """Time and processor time of a step, and growth. Processor time is what a busy machine cannot blur."""
    ours, floor = found["ours"], found.get("floor")
    section = f"step, {plan.protocol}"
    for name, of in (("", _step_ms), (", processor", _cpu_ms)):
        least = _middle(of, floor) if floor else None
        yield Row(
            section,
            f"N = {plan.steps}{name}",
            _middle(of, ours),
            "ms",
            floor=least,
            target="" if least is None else f"≤ floor + {_TARGET_MS:.0f} ms",
            limit=None if least is None else least + _TARGET_MS,
            note="" if floor else "the floor would take minutes",
        )
    if plan.steps >= 100:
        base = _middle(_growth, floor) if floor else None
        yield Row(
            section,
            f"N = {plan.steps}, last quarter over first",
            _middle(_growth, ours),
            "×",
            floor=base,
            target="flat, or as the floor",
            limit=max(1.5, 1.2 * base) if base else 1.5,
        )


def _step_ms(run: Run) -> float:
    return run.step_ms


def _cpu_ms(run: Run) -> float:
    return run.cpu_ms


def _growth(run: Run) -> float:
    return run.growth


def _middle(of: Callable[[Run], float], runs: Sequence[Run]) -> float:
    return statistics.median(map(of, runs))


def log_size(model: Model) -> Iterator[Row]:
    """Bytes of the event log after 100 steps with outputs of 1 kB."""
    with helper("bench.worker", "ours", "anthropic") as worker, tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / FILE).write_text(_LINE * 16, encoding="utf-8")
        answer = worker.ask(url=model.session(100), folder=str(folder))
    size = int(answer["log_bytes"]) / 1_000_000
    yield Row("disk", "event log, 100 steps with outputs of 1 kB", size, "MB", target="≤ 0.5 MB", limit=0.5)


def _run(model: Model, worker: Helper, plan: Plan, folder: Path) -> Run:
    answer = worker.ask(url=model.session(plan.steps, plan.protocol), folder=str(folder))
    if answer["calls"] != plan.steps:
        raise RuntimeError(f"{answer['calls']} calls instead of {plan.steps}")
    return Run(model.gaps_ms(), float(answer["cpu_s"]) * 1000 / (plan.steps + 1))
