"""Whole processes: `--version`, a run of one reply, first feedback on GitHub, memory of a run of 100 steps."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.processes import PERSTACK, Broken, Finished, Model, ask, environment, measure
from bench.replies import FILE
from bench.report import Row, Skipped

Measure = Callable[[], Finished]

_CONFIG = """\
maxSteps = 1000

[provider]
providerName = "anthropic"

[experts."bench"]
instruction = "You read files."
"""


def version(repetitions: int) -> Iterator[Row]:
    """`perstack --version` beside an interpreter that does nothing."""
    env = environment()
    nothing = [sys.executable, "-c", ""]
    ours, floor = _pairs(repetitions, lambda: measure([PERSTACK, "--version"], env), lambda: measure(nothing, env))
    yield Row(
        "start",
        "perstack --version",
        _best(ours),
        "ms",
        floor=_best(floor),
        target="≤ 150 ms",
        limit=150,
        note=f"minimum; processor {min(each.cpu_s for each in ours) * 1000:.0f} ms",
    )


def feedback(repetitions: int) -> Iterator[Row | Skipped]:
    """From the start of `perstack action` to the reaction and the tracking comment."""
    try:
        found = ask("bench.feedback", str(repetitions))
    except Broken as error:
        yield Skipped("first feedback", str(error))
        return
    for name, key in (("reaction", "reaction_s"), ("reaction and tracking comment", "comment_s")):
        seconds = statistics.median(each[key] for each in found)
        yield Row("first feedback", name, seconds, "s", target="≤ 3 s", limit=3.0, note="median")
    cpu = statistics.median(each["cpu_s"] for each in found)
    yield Row("first feedback", "processor until then", cpu, "s")


def cold_start(model: Model, repetitions: int) -> Iterator[Row]:
    """`perstack run` of one reply beside a process that asks the same through the SDK."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = _workspace(Path(folder))
        ours, floor = _pairs(
            repetitions,
            lambda: _run(place, model.session(0)),
            lambda: _floor(place, model.session(0)),
        )
    for name, of in (("", _seconds), (", processor", _cpu)):
        least = min(map(of, floor))
        yield Row(
            "start",
            f"perstack run, one reply{name}",
            min(map(of, ours)),
            "s",
            floor=least,
            target="≤ 1.1 × floor",
            limit=1.1 * least,
            note="minimum, bubblewrap",
        )


def _seconds(of: Finished) -> float:
    return of.seconds


def _cpu(of: Finished) -> float:
    return of.cpu_s


def memory(model: Model) -> Iterator[Row]:
    """Highest resident size of whole processes that make 100 steps."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = _workspace(Path(folder))
        floor = _floor(place, model.session(100)).rss_mb
        ours = _run(place, model.session(100)).rss_mb
    yield Row("memory", "100 steps", ours, "MB", floor=floor, target="≤ floor + 60 MB", limit=floor + 60)


def _workspace(folder: Path) -> Path:
    (folder / FILE).write_text("A note.\n" * 4, encoding="utf-8")
    (folder / "perstack.toml").write_text(_CONFIG, encoding="utf-8")
    return folder


def _run(place: Path, url: str) -> Finished:
    env = environment(
        ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="not-a-real-key", PERSTACK_STORAGE_PATH=str(place / "storage")
    )
    argv = [PERSTACK, "run", "bench", "Read the notes.", "--model", "bench", "--sandbox", "bubblewrap"]
    return measure([*argv, "--filter", "completeRun"], env, place)


def _floor(place: Path, url: str) -> Finished:
    return measure([sys.executable, "-m", "bench.worker", "floor", "anthropic", url, str(place)], environment())


def _pairs(repetitions: int, ours: Measure, floor: Measure) -> tuple[list[Finished], list[Finished]]:
    """Both in turn, so that a drifting machine drifts for both."""
    pairs = [(ours(), floor()) for _ in range(repetitions)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _best(of: list[Finished]) -> float:
    return min(each.seconds for each in of) * 1000
