"""The lines of the base commit that red signals name, for the experts' queries. Reads git objects, parses nothing."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.context.retrieval.slices import Place, places, render
from perstack.core.signals import Measurement
from perstack.infrastructure.git import Repository
from perstack.runtime.baseline import failing_tests, first_output

BUDGET = 1500
"""Tokens: a few functions. What is further away the expert finds with its tools."""

_MOST_FILES = 12
_MOST_BYTES = 1_000_000


async def named_source(repository: Repository, base: str, red: Sequence[Measurement]) -> str:
    """The lines that traces and diagnostics of red signals name, with some around; "" where they name none.

    Advice for a model: nothing gates on it. Its text is untrusted.
    """
    files = frozenset(
        entry.path
        for entry in await repository.list_files(base)
        if entry.mode.startswith("100") and entry.size <= _MOST_BYTES
    )
    diagnostics = [each for measured in red for run in measured.runs[:1] for each in run.diagnostics]
    wanted = places(failing_tests(red), diagnostics, first_output(red), files)
    texts = {path: await repository.read_file(base, path) for path in _first_paths(wanted)}
    return render(wanted, texts.get, {}, budget=BUDGET)


def _first_paths(wanted: Sequence[Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(place.path for place in wanted))[:_MOST_FILES]
