"""A checker of the project's own that prints SARIF and always ends with 0: judged by what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from tests.signals.project import Project, codes
from tests.signals.test_compiler import spec

CHECKER = """\
import ast, json, pathlib

results = []
for path in sorted(pathlib.Path("app").rglob("*.py")):
    try:
        tree = ast.parse(path.read_text())
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        found = [(n.lineno, "no-print") for n in calls if n.func.id == "print"]
    except SyntaxError as error:
        found = [(error.lineno, "syntax")]
    for line, rule in found:
        place = {"artifactLocation": {"uri": str(path)}, "region": {"startLine": line}}
        where = [{"physicalLocation": place}]
        results.append({"ruleId": rule, "level": "error", "message": {"text": rule}, "locations": where})
print(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "own"}}, "results": results}]}))
"""
FILES = {"tools/lint.py": CHECKER, "app/a.py": "print(1)\n", "app/b.py": "print(2)\nLIMIT = 1\n"}
LINT = spec("python3 tools/lint.py", tool="sarif")


@pytest.mark.anyio
async def test_an_error_that_is_gone_passes_though_the_exit_code_never_changes(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"app/a.py": "LIMIT = 1\n"}, LINT)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    assert [(d.path, d.code) for d in report.signals[0].changes.fixed] == [("app/a.py", "no-print")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app/b.py": "LIMIT = 1\nprint(2)\n"}, "nothing-red"),
        ({"app/a.py": "print(1)\nprint(1)\n"}, "new-diagnostic"),
        ({"app/a.py": None}, "stage-vanished"),
        ({"app/a.py": None, "other/a.py": "print(1)\n"}, "stage-vanished"),
        ({"tools/lint.py": "print('{}')\n"}, "protected-path"),
        ({"ast.py": "def parse(text): return None\n"}, "shadowed-module"),
        ({"tools/json.py": "def dumps(value): return '{\"version\": \"2.1.0\", \"runs\": []}'\n"}, "shadowed-module"),
    ],
    ids=["moved", "more", "deleted", "moved-away", "checker", "shadow", "shadow-beside"],
)  # fmt: skip
async def test_an_error_that_is_only_not_said_is_refused(
    tmp_path: Path, changes: dict[str, str | None], code: str
) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify(changes, LINT)
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)


@pytest.mark.anyio
async def test_output_without_the_document_is_an_error_and_not_a_clean_bill(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"app/a.py": "LIMIT = 1\n"}, spec("true", tool="sarif"))
    assert report.verdict is Verdict.ERROR
    assert "baseline-error" in codes(report)
