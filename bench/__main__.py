"""`make bench`, `python -m bench`: all measurements, each beside its floor. Progress on stderr, result on stdout."""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench import starts, steps
from bench.processes import ROOT, Broken, Model, ask, model
from bench.report import Results, Row, Skipped, show

Part = tuple[str, Callable[[], Iterator[Row | Skipped]]]
PARTS = (
    "start",
    "feedback",
    "steps",
    "history",
    "memory",
    "disk",
    "sandbox",
    "protocol",
    "reports",
    "recall",
    "retrieval",
)


# Milliseconds until the first command can begin: started afresh, and (to its end) made ready before.
_STARTS = {"bubblewrap": (20, 20), "docker": (600, 30)}


def sandbox(*, quick: bool) -> Iterator[Row | Skipped]:
    """Commands on the channel and session starts of both back ends."""
    found = ask("bench.sandboxes", *(("24", "12", "2") if quick else ("60", "20", "6")))
    for name, figures in found.items():
        if "unavailable" in figures:
            yield Skipped(f"sandbox, {name}", figures["unavailable"])
            continue
        limit, cold, warm = figures["plain"] + 5, *_STARTS[name]
        yield Row(
            f"sandbox, {name}", "one command", figures["command"], "ms",
            floor=figures["plain"], target="≤ plain + 5 ms", limit=limit,
        )  # fmt: skip
        note = f"to its end {figures['start']:.0f} ms, stop {figures['stop']:.0f} ms"
        yield Row(
            f"sandbox, {name}", "start to the first command", figures["ready"], "ms", target=f"≤ {cold} ms",
            limit=float(cold), note=note,
        )  # fmt: skip
        if "warm" in figures:
            yield Row(
                f"sandbox, {name}", "start to the end of the first command, ready before", figures["warm"], "ms",
                target=f"≤ {warm} ms", limit=float(warm),
            )  # fmt: skip
    yield _proxy(ask("bench.proxy", "20" if quick else "200"))


def _proxy(found: dict[str, float]) -> Row | Skipped:
    if "unavailable" in found:
        return Skipped("sandbox, proxy", str(found["unavailable"]))
    return Row(
        "sandbox, proxy", "one connection", found["through"], "ms",
        floor=found["plain"], target="≤ plain + 5 ms", limit=found["plain"] + 5, note=f"start {found['start']:.0f} ms",
    )  # fmt: skip


def history(*, quick: bool) -> Iterator[Row | Skipped]:
    """What is ours of a step when model and tools cost nothing, and what a long log costs."""
    steps = 1000
    found = ask("bench.history", str(steps), "2" if quick else "5")
    for name, key, unit, limit in (
        (f"one step, first 100 of {steps}, processor", "first_ms", "ms", 2.0),
        (f"one step, last 100 of {steps}, processor", "last_ms", "ms", 2.0),
        (f"event log, {steps} steps with outputs of 1 kB", "log_mb", "MB", 5.0),
        (f"read, check and fold {steps} steps, processor", "resume_ms", "ms", 300.0),
        ("fold 100,000 events, processor", "fold_s", "s", 2.0),
    ):
        yield Row("history", name, found[key], unit, target=f"≤ {limit:g} {unit}", limit=limit)


def protocol(*, quick: bool) -> Iterator[Row | Skipped]:
    """The whole protocol beside one run of its only signal, and where its time goes."""
    found = ask("bench.protocol", "1" if quick else "3")

    def middle(of: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(map(of, found))

    single = middle(lambda each: each["single"])
    runs = found[0]["spans"]["runs"]
    yield Row(
        "protocol", "small pytest project", middle(lambda each: each["total"]), "s", floor=single,
        target="≤ 1.15 × one run + 1.5 s", limit=1.15 * single + 1.5, note=f"{runs} runs of the suite, bubblewrap",
    )  # fmt: skip
    plain = middle(lambda each: each["plain"])
    yield Row("protocol", "one run of the suite, in its sandbox", single, "s", floor=plain, note="floor: plain pytest")
    slow = middle(lambda each: each["slow_single"])
    yield Row(
        "protocol", "suite of 20 tests that wait 0.2 s", middle(lambda each: each["slow_total"]), "s", floor=slow,
        target="≤ 1.15 × one run + 1.5 s", limit=1.15 * slow + 1.5,
    )  # fmt: skip
    yield Row(
        "protocol", "the same patch again, from kept results", middle(lambda each: each["again"]), "s",
        target="≤ 0.3 s", limit=0.3, note="repeat = 2 the first time",
    )  # fmt: skip
    yield Row("protocol", "the same patch again, processor", middle(lambda each: each["again_cpu"]), "s")
    parts = {
        "before": "git, policy, trees",
        "both": "base and candidate, side by side",
        "necessity": "taking the patch back",
        "after": "judging",
    }
    for key, name in parts.items():
        seconds = statistics.median(each["spans"][key] for each in found)
        yield Row("protocol", f"of it: {name}", seconds, "s")


def reports(*, quick: bool) -> Iterator[Row | Skipped]:
    """Large reports, read and compared. Measured once: the inputs take longer to write than to read."""
    found = ask("bench.reports")
    size = f"{found['megabytes']:.0f} MB{', once' if quick else ''}"
    for name, key, unit, limit in (
        (f"JUnit of 100,000 tests, {size}, read and compared", "junit_s", "s", 6.0),
        ("JUnit of 100,000 tests, processor", "junit_cpu_s", "s", 6.0),
        ("JUnit of 100,000 tests, memory with the base's tests", "junit_mb", "MB", 400.0),
        ("10,000 diagnostics of mypy, read and compared", "diagnostics_s", "s", 1.0),
        ("10,000 diagnostics of mypy, processor", "diagnostics_cpu_s", "s", 1.0),
    ):
        yield Row("reports", name, found[key], unit, target=f"≤ {limit:g} {unit}", limit=limit)


def recall(*, quick: bool) -> Iterator[Row | Skipped]:
    """Which files a commit changed, found from its message: this repository's own history, beside plain grep."""
    found = ask("bench.recall", "10" if quick else "40", timeout_s=600.0)
    ways = found["ways"]
    for key, name in (
        ("ranked", "ranked search"),
        ("past", "and past commits"),
        ("symbols", "and map"),
        ("two", "and map of the first hits"),
    ):
        low, high = ways[key]["interval"]
        least, most = ways[key]["gain"]
        note = f"95 %: {100 * low:.0f}-{100 * high:.0f}; against grep {100 * least:+.0f} to {100 * most:+.0f}"
        yield Row(
            "recall", f"{name}, recall@10 of {found['commits']} commits", 100 * ways[key]["recall"], "%",
            floor=100 * ways["grep"]["recall"], note=note,
        )  # fmt: skip


def retrieval(*, quick: bool) -> Iterator[Row | Skipped]:
    """The index of a small and, in the full bench, of a large repository, and what questions cost then."""
    for count, cold in ((1_000, 1_000.0),) if quick else ((1_000, 1_000.0), (100_000, 60_000.0)):
        found = ask("bench.retrieval", str(count), "5" if quick else "10", timeout_s=560.0)
        for name, key, limit in (
            ("from nothing to the first answer", "cold", cold),
            ("a question, p95", "p95", 50.0),
            ("a question after one edit", "edit", 100.0),
            ("the first map", "map", 6_000.0),
        ):
            note = f"median {found['median']:.0f} ms" if key == "p95" else ""
            yield Row(
                "retrieval", f"{count:,} files: {name}", found[key], "ms", target=f"≤ {limit:g} ms", limit=limit,
                note=note,
            )  # fmt: skip
        yield Row("retrieval", f"{count:,} files: all of it, processor", found["cpu"], "ms")


def parts(server: Model, *, quick: bool) -> Iterator[Part]:
    """What there is to measure, in order."""
    few = 2 if quick else 5
    yield "start", partial(starts.version, few * 2)
    yield "start", partial(starts.cold_start, server, few)
    yield "feedback", partial(starts.feedback, 1 if quick else 3)
    for plan in steps.plans(quick=quick):
        yield "steps", partial(steps.steps, server, plan)
    yield "history", partial(history, quick=quick)
    yield "memory", partial(starts.memory, server)
    yield "disk", partial(steps.log_size, server)
    yield "sandbox", partial(sandbox, quick=quick)
    yield "protocol", partial(protocol, quick=quick)
    yield "reports", partial(reports, quick=quick)
    yield "recall", partial(recall, quick=quick)
    yield "retrieval", partial(retrieval, quick=quick)


def run(*, quick: bool, only: frozenset[str], say: Callable[[str], None]) -> Results:
    """Measure everything, or the parts in `only`."""
    results, started = Results(quick), time.monotonic()
    say("compiling this checkout's modules, as an installed package's are")
    compileall.compile_dir(str(ROOT / "src"), quiet=2)
    compileall.compile_dir(str(ROOT / "bench"), quiet=2)
    with model() as server:
        for name, part in parts(server, quick=quick):
            if only and name not in only:
                continue
            try:
                for row in part():
                    if isinstance(row, Skipped):
                        results.skipped.append(row)
                        say(f"{row.section}: not measured: {row.why}")
                    else:
                        results.rows.append(row)
                        say(f"{row.section}: {row.name}: {row.value:.2f} {row.unit} {row.status}".rstrip())
            except Broken as error:
                results.skipped.append(Skipped(name, str(error)))
                say(f"{name}: not measured: {error}")
    results.seconds = time.monotonic() - started
    return results


def main() -> int:
    """Exit code 0 however fast the machine is; 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: about half a minute")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", action="append", choices=PARTS, default=[], help="one part; may be repeated")
    options = parser.parse_args()
    started = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"bench {time.monotonic() - started:5.0f} s  {line}\n")
        sys.stderr.flush()

    results = run(quick=options.quick, only=frozenset(options.only), say=say)
    show(results, sys.stdout, as_json=options.format == "json")
    return 1 if results.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
