"""Put one bug into the demo project, at random by seed, and prove by running the suite that it shows."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import InvariantBroken
from perstack.core.signals import TestCase
from perstack.demo.bugs import Bug, as_bug, possible_slips

DEFAULT_SEED = 1
_DRAWS = 60
_MOST_FAILING = 12


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """One run of the suite. `broken` where tests could not even be collected, or the run never ended."""

    failing: tuple[TestCase, ...]
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Injection:
    """The bug that is now in the project, and the tests that show it."""

    bug: Bug
    failing: tuple[TestCase, ...]


RunTests = Callable[[Path], Awaitable[SuiteOutcome]]


async def inject_bug(project: Path, seed: int, run_tests: RunTests) -> Injection:
    """Draw places and slips until one makes some tests fail by their assertions, and leave it in the project.

    The same seed and suite give the same bug. A bug that breaks collection, never ends, or fails so many tests that
    nobody would have merged it is taken back and drawn again.
    Raises: InvariantBroken when no draw shows.
    """
    chance = random.Random(seed)  # noqa: S311  # a demo's dice, not a secret
    files = sorted(p for p in (project / "depot").glob("*.py") if possible_slips(p.read_text(encoding="utf-8")))
    for _ in range(_DRAWS):
        file = chance.choice(files)
        text = file.read_text(encoding="utf-8")
        slips = possible_slips(text)
        kind = chance.choice(sorted({slip.kind for slip in slips}))
        slip = chance.choice([s for s in slips if s.kind == kind])
        changed = text[: slip.start] + slip.text + text[slip.end :]
        if not _compiles(changed):
            continue
        file.write_text(changed, encoding="utf-8")
        outcome = await run_tests(project)
        if not outcome.broken and 0 < len(outcome.failing) <= _MOST_FAILING:
            return Injection(as_bug(file.relative_to(project).as_posix(), text, slip), outcome.failing)
        file.write_text(text, encoding="utf-8")
    raise InvariantBroken(f"the demo found no visible bug in {_DRAWS} draws for seed {seed}")


def _compiles(text: str) -> bool:
    try:
        compile(text, "candidate", "exec")
    except SyntaxError:
        return False
    return True
