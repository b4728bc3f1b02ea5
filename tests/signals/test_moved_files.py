"""A file that is moved with its fix did not vanish, as long as what was said of it would be said in its new place."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Verdict
from perstack.signals.audit import audit
from perstack.signals.moved import moves
from perstack.signals.sections import cut
from tests.signals.project import Project, codes

RUFF = SignalSpec("lint", SignalKind.COMPILER, ("ruff", "check", "."), repeat=1)
BAD = "import os\n\nSTEP = 1\nLIMIT = 3\nSIZE = 4\nWIDTH = 5\n"
GOOD = BAD.replace("import os\n\n", "")
FILES = {"calc.py": BAD, "legacy/old.py": "X = 1\n", "ruff.toml": '[lint.per-file-ignores]\n"legacy/*" = ["F401"]\n'}


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_fix_that_moves_its_file_passes_and_its_evidence_holds(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"calc.py": None, "sums.py": GOOD}, RUFF, out=tmp_path / "out")
    assert report.verdict is Verdict.PASS, report.reasons
    changes = report.signals[0].changes
    assert changes is not None
    assert [d.path for d in changes.fixed] == ["sums.py"]
    assert audit(tmp_path / "out" / "evidence.json").verdict is Verdict.PASS


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_file_that_moves_to_where_nobody_minds_is_not_fixed(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"calc.py": None, "legacy/calc.py": BAD + "# moved\n"}, RUFF)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"stage-vanished"})
    assert "legacy/calc.py: what was said of calc.py is not said there" in report.reasons[0].detail


def test_only_files_that_are_alike_and_of_one_kind_are_moved(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"a.py": GOOD, "b.py": GOOD.lower(), "c.txt": GOOD})
    patch = project.patch(
        {"a.py": None, "b.py": None, "c.txt": None, "new.py": GOOD + "Y = 2\n", "other.py": "no = 1\n"}
    )
    assert moves(cut(patch)) == {"a.py": "new.py"}
