"""Find suspicious lines: run the suite once plainly and once traced, and compare failing with passing tests."""

from __future__ import annotations

import fnmatch
import math
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perstack.providers.search.worker.coverage import Tracer
from perstack.providers.search.worker.forks import in_fork
from perstack.providers.search.worker.session import PrivateTemp, Session, open_session

if TYPE_CHECKING:
    from perstack.providers.search.worker.forks import Emit

_LISTED = 20  # a query names so many failing tests at most; then all that fail are meant
_SKIP = {"venv", "env", "node_modules", "site-packages", "dist-packages", "__pycache__", "tests", "test", "testing",
         "docs"}  # fmt: skip


class Product:
    """Says which files may be edited: Python below the root, no tests, no configuration, nothing protected."""

    def __init__(self, root: str, protected: Sequence[str]) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._protected = [p.strip("/") for p in protected]
        self._foreign = {os.path.realpath(p) for p in sysconfig.get_paths().values()} - {self._root[:-1]}

    def __call__(self, path: str) -> bool:
        if not path.endswith(".py") or not path.startswith(self._root):
            return False
        if any(path.startswith(f + os.sep) for f in self._foreign if f.startswith(self._root)):
            return False
        inside = path[len(self._root) :].replace(os.sep, "/")
        *folders, name = inside.split("/")
        if any(f in _SKIP or f.startswith(".") for f in folders):
            return False
        if name.startswith(("test_", "tests.")) or name.endswith("_test.py") or name in {"conftest.py", "setup.py"}:
            return False
        return not any(fnmatch.fnmatch(inside, p) or inside.startswith(p.rstrip("*") + "/") for p in self._protected)


def locate(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Baseline, targets and suspicion of one signal's suite. `seconds` in the spec bounds the whole."""
    box = float(spec["seconds"])
    result: dict[str, Any] = {}

    def collected(emit: Emit) -> None:
        product = Product(spec["root"], spec["protected"])
        tracer = Tracer(product)

        def action(session: Session) -> None:
            imports = tracer.stop()
            emit({"imports": _by_file(imports), "root": session.root, "problems": session.problems})
            emit({"collected": [item.nodeid for item in session.items]})
            _survey(session, tracer, emit, (spec["failing"], box))

        tracer.start()
        open_session(spec["pytest"], action)

    temp = PrivateTemp()
    temp.enter()
    outcome = in_fork(collected, wall_s=box + 15, cpu_s=box + 15)
    temp.remove()
    for report in outcome.reports:
        if "test" in report:
            result.setdefault("tests", {})[report["test"]["id"]] = report["test"]
        elif "lines" in report:
            result.setdefault("covers", {})[report["id"]] = report["lines"]
        else:
            result.update(report)
    return result


def _survey(session: Session, tracer: Tracer, emit: Emit, limits: tuple[Sequence[str], float]) -> None:
    """Report every test's plain outcome, then the lines of as many tests as time allows, failing ones first."""
    wanted, box = limits
    ids = [item.nodeid for item in session.items]

    def plainly(send: Emit) -> None:
        for test in session.run(ids):
            send(test)

    plain = in_fork(plainly, wall_s=box / 2, cpu_s=box / 2)
    for test in plain.reports:
        emit({"test": test})
    failing = [t["id"] for t in plain.reports if t["status"] == "failed"]
    chosen = matching(wanted, failing)
    targets = chosen if chosen and len(chosen) < _LISTED else failing
    emit({"targets": targets, "complete": plain.done, "modules": _foreign_modules()})

    def traced(send: Emit) -> None:
        current: set[tuple[str, int]] = set()

        def around(once: Callable[[], None]) -> None:
            tracer.start()
            try:
                once()
            finally:
                current.clear()
                current.update(tracer.stop())

        rest = [t["id"] for t in sorted(plain.reports, key=lambda t: float(t["seconds"])) if t["id"] not in targets]
        for test in session.run([*targets, *rest], around):
            send({"id": test["id"], "lines": _by_file(current)})

    if targets:
        for report in in_fork(traced, wall_s=box / 2, cpu_s=box / 2).reports:
            emit(report)


def matching(wanted: Iterable[str], ids: Sequence[str]) -> list[str]:
    """Ids that were asked for, where the asker may have another root directory."""
    asked = [w.replace("\\", "/") for w in wanted]
    return [i for i in ids if any(i == w or w.endswith("/" + i) or i.endswith("/" + w) for w in asked)]


def _by_file(lines: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path, line in lines:
        found.setdefault(path, []).append(line)
    return {path: sorted(numbers) for path, numbers in sorted(found.items())}


def _foreign_modules() -> list[str]:
    """Loaded top-level libraries that can be imported ahead, before any module under test."""
    purelib = [os.path.realpath(sysconfig.get_paths()[k]) for k in ("purelib", "platlib", "stdlib")]
    names = []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin and "." not in name and any(os.path.realpath(origin).startswith(p) for p in purelib):
            names.append(name)
    return sorted(names)


def suspicion(found: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """Ochiai score of each line that a target executed, raised where a target's traceback passes."""
    targets = set(found["targets"])
    counts: dict[tuple[str, int], list[int]] = {}
    for test, files in found.get("covers", {}).items():
        failed = test in targets
        if not failed and found["tests"].get(test, {}).get("status") != "passed":
            continue
        for path, lines in files.items():
            for line in lines:
                counts.setdefault((path, line), [0, 0])[failed] += 1
    scores: dict[str, dict[int, float]] = {}
    for (path, line), (passed, failed_count) in counts.items():
        if failed_count:
            score = failed_count / math.sqrt(len(targets) * (failed_count + passed))
            scores.setdefault(path, {})[line] = score
    for test in targets:
        frames = [(os.path.realpath(f[0]), f[1]) for f in found["tests"].get(test, {}).get("frames", [])]
        own = [f for f in frames if f[0] in scores and f[1] in scores[f[0]]]
        for depth, (path, line) in enumerate(reversed(own)):
            scores[path][line] = min(1.0, scores[path][line] * (1.3 if depth == 0 else 1.15))
    return scores
