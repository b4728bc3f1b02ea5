"""Retrieval's worker over made-up repositories: its start, questions, an edit, a map. Prints JSON.

The worker is asked over its pipes, as the harness does, without the enclosure. Wall time is what a user waits; its
processor time is beside it, since a busy machine tells nothing about us.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.retrieval_tree import Maker

_QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("searchText", {"pattern": "Unit7Of7"}),
    ("searchText", {"pattern": "order_id", "word": True, "limit": 50}),
    ("searchText", {"pattern": "ser_pol", "limit": 50}),
    ("searchText", {"pattern": "order"}),
    ("searchText", {"pattern": r"(?:nowhere|never)_\w+\("}),
    ("searchText", {"pattern": "return order", "paths": ["packages/user000/**"]}),
    ("searchText", {"pattern": "order", "paths": ["*.zig"]}),
    ("searchRanked", {"query": "parse the token of a user's invoice", "limit": 10}),
    ("searchRanked", {"query": "retry snapshot cluster", "limit": 10}),
    ("findSymbol", {"name": "parseUnit12Of12"}),
)


class Worker:
    """One worker process."""

    def __init__(self, root: Path, folder: Path) -> None:
        argv = [sys.executable, "-I", "-m", "perstack.context.retrieval.serve", str(root), str(folder), "bench"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})

    def ask(self, tool: str, /, **arguments: Any) -> float:
        """Milliseconds to the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        started = time.perf_counter()
        self._process.stdin.write(json.dumps({"name": tool, "arguments": arguments}).encode() + b"\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise SystemExit(f"the worker ended with {self._process.wait()}")
        return (time.perf_counter() - started) * 1000

    def end(self) -> None:
        """Wait until it is gone."""
        self._process.communicate()


def measured(count: int, rounds: int) -> dict[str, float]:
    """All figures of one size."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root, cache = Path(folder, "work"), Path(folder, "index")
        Maker().write(root, count)
        cache.mkdir()
        before = _processor()
        started = time.perf_counter()
        worker = Worker(root, cache)
        worker.ask("searchRanked", query="order ledger", limit=10)
        cold = (time.perf_counter() - started) * 1000
        for name, arguments in _QUESTIONS:
            worker.ask(name, **arguments)
        warm = sorted(worker.ask(name, **arguments) for _ in range(rounds) for name, arguments in _QUESTIONS)
        edited, edits = next(root.rglob("*.py")), []
        for number in range(rounds):
            edited.write_text(f"def editedName{number}():\n    return {number}\n")
            edits.append(worker.ask("searchText", pattern=f"editedName{number}"))
            made = edited.with_name(f"made{number}.py")
            made.write_text(f"madeName{number} = 1\n")
            edits.append(worker.ask("searchText", pattern=f"madeName{number}"))
            made.unlink()
            edits.append(worker.ask("searchText", pattern=f"madeName{number}"))
        first_map = worker.ask("repositoryMap", focus="invoice", budget=1500)
        worker.end()
        return {
            "cold": cold,
            "median": statistics.median(warm),
            "p95": warm[min(len(warm) - 1, int(0.95 * len(warm)))],
            "edit": statistics.median(edits),
            "map": first_map,
            "cpu": (_processor() - before) * 1000,
        }


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
