"""Text in encodings other than UTF-8 is judged by its lines; what no text is stays refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report, Verdict
from perstack.signals.audit import audit
from tests.signals.project import PYTEST, Project, codes, git

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

LATIN = "# -*- coding: latin-1 -*-\n# Für Größen\n\n\ndef size(text):\n    return len(text) + 1\n"
FIXED = LATIN.replace(" + 1", "").replace("Für", "Nur für")
TEST = "from sizes import size\n\n\ndef test_size():\n    assert size('ab') == 2\n"
GREEN = SignalSpec("look", SignalKind.COMMAND, ("true",), repeat=1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.make(tmp_path, {"tests/test_sizes.py": TEST})
    (made.root / "sizes.py").write_bytes(LATIN.encode("latin-1"))
    (made.root / ".gitattributes").write_text("*.py text\nlogo.* linguist-generated\n")
    (made.root / "logo.bin").write_bytes(b"\x89P\x1a\xff" * 20)
    git(made.root, "add", "-A")
    git(made.root, "commit", "-q", "-m", "odd")
    return replace(made, base=git(made.root, "rev-parse", "HEAD").strip())


async def judged(project: Project, spec: SignalSpec, out: Path | None = None, **files: bytes) -> Report:
    for name, data in files.items():
        (project.root / name.replace("_D", ".")).write_bytes(data)
    repository = await project.repository()
    _, patch = await repository.tree_of_worktree(project.base, project.root)
    request = replace(await project.request(patch.text, spec), needs_red=spec is PYTEST, out=out)
    return await project.verifier().verify(request)


async def test_a_fix_inside_a_latin_1_file_passes_and_its_evidence_holds(project: Project, tmp_path: Path) -> None:
    report = await judged(project, PYTEST, tmp_path / "out", sizes_Dpy=FIXED.encode("latin-1"))
    assert (report.verdict, report.reasons) == (Verdict.PASS, ())
    assert report.necessity[0].verified
    assert audit(tmp_path / "out" / "evidence.json").verdict is Verdict.PASS


async def test_rules_see_the_lines_of_a_latin_1_file_and_quote_them_printably(project: Project, tmp_path: Path) -> None:
    cheat = FIXED + "\n\nimport os\nos._exit(0)  # type: ignore[größe]\n"
    report = await judged(project, PYTEST, tmp_path / "out", sizes_Dpy=cheat.encode("latin-1"))
    assert report.verdict is Verdict.FAIL
    assert "suspicious-construct" in codes(report)
    assert "binary-file" not in codes(report)
    assert (tmp_path / "out" / "evidence.json").is_file()


async def test_what_no_text_is_stays_refused_and_what_forges_fold_away_is_pointed_out(project: Project) -> None:
    report = await judged(project, GREEN, logo_Dbin=b"\x89P\x1a\xfe" * 20, icon_Dbin=b"\x00\xff" * 9)
    refused = {finding.path for finding in report.policy if finding.code.value == "binary-file" and finding.blocks}
    assert refused == {"logo.bin", "icon.bin"}
    folded = [finding.path for finding in report.policy if "forges fold its change away" in finding.detail]
    assert folded == ["logo.bin"]
    assert not any(finding.blocks for finding in report.policy if "forges fold" in finding.detail)
