"""The commands `locate` and `try`: find suspicious lines, then deal edits to judges until one passes."""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from perstack.providers.search.worker.catalogue import ranked
from perstack.providers.search.worker.judge import PLAUSIBLE, Facts, Slot
from perstack.providers.search.worker.locate import locate, suspicion
from perstack.providers.search.worker.patches import placed, rejected, undo
from perstack.providers.search.worker.source import Edit

_SHOWN = 8  # edits and lines reported at most


def find(spec: Mapping[str, Any]) -> dict[str, Any]:
    back = undo(spec["root"], spec["rejected"])
    if back:
        return {"undo": back}
    found = locate(spec)
    problem = _problem(found)
    if problem:
        return {"problem": problem, "finished": True}
    scores = suspicion(found)
    texts = {}
    for path in scores:
        with open(path, encoding="utf-8", newline="") as stream:  # noqa: PTH123  # runs without Perstack
            texts[path] = stream.read()
    passing = [i for i in found["collected"] if found["tests"].get(i, {}).get("status") == "passed"]
    state = {
        "arguments": spec["pytest"], "root": found["root"], "targets": found["targets"], "passing": passing,
        "seconds": {i: t["seconds"] for i, t in found["tests"].items()}, "texts": texts,
        "covers": {t: {p: n for p, n in f.items() if p in scores} for t, f in found.get("covers", {}).items()},
        "imports": {p: n for p, n in found["imports"].items() if p in scores}, "modules": found["modules"],
        "suspicion": scores,
    }  # fmt: skip
    with open(os.path.join(spec["home"], "state.json"), "w", encoding="utf-8") as stream:  # noqa: PTH118, PTH123
        json.dump(state, stream)
    top = sorted(((s, p, n) for p, lines in scores.items() for n, s in lines.items()), key=lambda x: (-x[0], x[1:]))
    return {
        "targets": len(found["targets"]), "passing": len(passing), "complete": found["complete"],
        "unreproduced": len(spec["failing"]) if not _same(spec["failing"], found["targets"]) else 0,
        "suspects": [[os.path.relpath(p, spec["root"]), n, round(s, 2)] for s, p, n in top[:_SHOWN]],
        "finished": not top,
    }  # fmt: skip


def _same(wanted: Sequence[str], targets: Sequence[str]) -> bool:
    return not wanted or any(w.endswith(t) or t.endswith(w) for w in wanted for t in targets)


def _problem(found: Mapping[str, Any]) -> str:
    if "collected" not in found:
        return "pytest could not collect the tests of this repository"
    if found["problems"]:
        return "a test file cannot be collected: " + str(found["problems"][0])
    if not found["collected"]:
        return "pytest collects no tests here"
    if not found.get("targets"):
        return "no test fails here, so there is nothing to search for"
    return ""


def _facts(state: Mapping[str, Any]) -> Facts:
    names = ("arguments", "root", "targets", "passing", "seconds", "covers", "imports", "texts")
    return Facts(**{name: state[name] for name in names})


def attempt(spec: Mapping[str, Any]) -> dict[str, Any]:
    path = os.path.join(spec["home"], "state.json")  # noqa: PTH118
    if not os.path.exists(path):  # noqa: PTH110  # a new sandbox: find the places again
        again = find(spec)
        if "targets" not in again:
            return {**again, "cursor": spec["cursor"]}
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        state = json.load(stream)
    facts = _facts(state)
    scores = {p: {int(n): s for n, s in lines.items()} for p, lines in state["suspicion"].items()}
    edits = ranked(facts.texts, scores)
    for name in state["modules"]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112  # only a head start; the tests import it themselves
            continue
    gc.collect()
    gc.freeze()
    search = _Search(facts, edits, spec)
    search.run()
    return search.result()


class _Search:
    """Deals edits to the slots until time, edits or interest run out."""

    def __init__(self, facts: Facts, edits: Sequence[Edit], spec: Mapping[str, Any]) -> None:
        self._facts, self._edits, self._spec = facts, edits, spec
        self._cursor = int(spec["cursor"])
        self._counts: Counter[str] = Counter()
        self._found: list[int] = []
        self._began = time.monotonic()
        self._until = self._began + float(spec["seconds"])

    def run(self) -> None:
        slots = [Slot(self._facts, self._edits) for _ in range(max(1, min(int(self._spec["processes"]), 8)))]
        busy: set[Slot] = set()
        try:
            while True:
                for slot in [s for s in slots if s not in busy]:
                    if self._more():
                        slot.give(self._cursor)
                        self._cursor += 1
                        busy.add(slot)
                if not busy:
                    return
                for slot in select.select(list(busy), [], [])[0]:
                    busy.discard(slot)
                    self._note(slot, slots)
        finally:
            for slot in slots:
                slot.close()

    def _note(self, slot: Slot, slots: list[Slot]) -> None:
        answer = slot.take()
        if answer is None:
            slots.remove(slot)
            slot.close()
            return
        index, word = answer
        self._counts[word] += 1
        if word != PLAUSIBLE or rejected(self._edits[index], self._facts.texts, self._spec):
            return
        self._found.append(index)
        now = time.monotonic()
        self._until = min(self._until, now + max(1.0, 0.3 * (now - self._began)))

    def _more(self) -> bool:
        """Whether another edit is worth its time: after a find, only for a while and only near equals."""
        return self._cursor < len(self._edits) and time.monotonic() < self._until and len(self._found) < _SHOWN

    def result(self) -> dict[str, Any]:
        root = self._spec["root"]
        found = [placed(self._edits[i], self._facts.texts, root) for i in sorted(self._found)]
        return {
            "cursor": self._cursor, "total": len(self._edits), "counts": dict(self._counts), "found": found,
            "exhausted": self._cursor >= len(self._edits),
        }  # fmt: skip
