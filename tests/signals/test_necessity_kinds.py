"""What a patch fixes for a command or a golden file is taken back in parts as well, and by all signals in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import HunkNecessity, Verdict
from tests.signals.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

ONE = SignalSpec("one", SignalKind.COMMAND, ("python3", "-c", "import one; assert one.X == 1"), repeat=1)
MADE = SignalSpec(
    "made", SignalKind.DIFF, ("python3", "make.py"), expect={"generated": ["made.txt"]}, repeat=1
)  # fmt: skip
FILES = {
    "one.py": "X = 0\n",
    "make.py": "open('made.txt', 'w').write('new\\n')\n",
    "made.txt": "old\n",
    "notes.txt": "",
}


async def test_each_part_is_missed_by_the_signal_that_needs_it_or_by_none(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"one.py": "X = 1\n", "made.txt": "new\n", "notes.txt": "more\n"}, ONE, MADE)
    assert report.verdict is Verdict.PASS, report.reasons
    assert report.necessity == (
        HunkNecessity("made.txt", 1, verified=True),
        HunkNecessity("notes.txt", 1, verified=False),
        HunkNecessity("one.py", 1, verified=True),
    )


async def test_parts_beyond_the_budget_are_told(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    more = {f"more{number}.txt": "text\n" for number in range(9)}
    report = await project.verify({"one.py": "X = 1\n", **more}, ONE)
    assert report.verdict is Verdict.PASS, report.reasons
    assert len(report.necessity) == 8
    assert "2 of 10 parts of the patch were not taken back" in report.remarks
