"""Compilers and linters through the whole protocol, with the real tools of this machine: honest fixes pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.json import Json
from perstack.core.signals import SignalKind, SignalSpec, SignalStatus
from perstack.core.verdict import HunkNecessity, Verdict
from perstack.signals.evidence import rederive
from tests.signals.project import Project, codes


def spec(run: str, *, tool: str = "", repeat: int = 1, **expect: Json) -> SignalSpec:
    return SignalSpec("build", SignalKind.COMPILER, tuple(run.split()), repeat=repeat, tool=tool, expect=expect)


MYPY = spec("python3 -m mypy --strict .")
RUFF = spec("ruff check --isolated .")
GCC = spec("gcc -Wall -c src/a.c src/b.c")
PYTHON = {
    "calc.py": "def total(values: list[int]) -> int:\n    return str(sum(values))\n",
    "old.py": "def name() -> str:\n    return 1\n",
    "fine.py": "LIMIT = 3\n",
}
FIXED_CALC = 'def total(values: list[int]) -> int:\n    """The sum."""\n    return sum(values)\n'
C = {
    "src/a.c": '#include "a.h"\n\nint total(int a, int b)\n{\n    int unused;\n    return a + c;\n}\n',
    "src/a.h": "int total(int a, int b);\n",
    "src/b.c": '#include "a.h"\n\nint twice(int a)\n{\n    return total(a, a);\n}\n',
    "Makefile": "all: a.o b.o\n%.o: src/%.c\n\t@$(CC) -c -o $@ $<\n",
}
FIXED_A = '#include "a.h"\n\nint total(int a, int b)\n{\n    return a + b;\n}\n'
JAVA = {"src/Calc.java": 'class Calc {\n    int total(int a) {\n        return "a" + missing;\n    }\n}\n'}
FIXED_JAVA = "class Calc {\n    int total(int a) {\n        return a;\n    }\n}\n"


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_type_error_that_is_fixed_passes_beside_old_ones_that_nobody_asked_about(tmp_path: Path) -> None:
    project = Project.make(tmp_path, PYTHON)
    report = await project.verify({"calc.py": FIXED_CALC}, replace(MYPY, repeat=2))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    (signal,) = report.signals
    assert signal.changes is not None
    assert [(d.path, d.line, d.code) for d in signal.changes.fixed] == [("calc.py", 2, "return-value")]
    assert (signal.changes.new, signal.changes.gone, signal.changes.unchanged) == ((), (), 1)
    assert [(d.path, d.line) for d in signal.diagnostics] == [("old.py", 2)]
    assert (signal.baseline, signal.status) == (SignalStatus.FAIL, SignalStatus.FAIL)


@pytest.mark.anyio
@pytest.mark.slow
async def test_an_error_that_is_typed_away_is_for_a_person_to_see(tmp_path: Path) -> None:
    project = Project.make(tmp_path, PYTHON)
    silenced = {"calc.py": PYTHON["calc.py"].replace("-> int", "").replace("str(sum(values))", "str(1)")}
    report = await project.verify(silenced, spec("python3 -m mypy ."))
    assert (report.verdict, codes(report)) == (Verdict.INCONCLUSIVE, {"types-loosened"})


LINTED = {"calc.py": "import os\nSTEP = 1\n", "old.py": "\nimport sys\n", "fine.py": "LIMIT = 3\n"}


@pytest.mark.anyio
async def test_a_new_error_is_refused_and_shown_first(tmp_path: Path) -> None:
    project = Project.make(tmp_path, LINTED)
    report = await project.verify({"calc.py": "STEP = 1\n", "fine.py": "LIMIT = missing\n"}, RUFF)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"new-diagnostic"})
    assert [(d.path, d.line) for d in report.signals[0].diagnostics] == [("fine.py", 1), ("old.py", 2)]
    shown = report.to_json()["signals"]
    assert isinstance(shown, list)
    assert isinstance(shown[0], dict)
    assert isinstance(shown[0]["changes"], dict)
    assert shown[0]["changes"]["unchanged"] == 1


@pytest.mark.anyio
async def test_a_target_that_stays_is_refused_whatever_else_is_fixed(tmp_path: Path) -> None:
    project = Project.make(tmp_path, LINTED)
    report = await project.verify({"calc.py": "STEP = 1\n"}, RUFF, targets=("old.py:2",))
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"still-failing"})


@pytest.mark.anyio
async def test_a_change_that_only_moves_an_error_fixes_nothing(tmp_path: Path) -> None:
    project = Project.make(tmp_path, LINTED)
    report = await project.verify({"calc.py": "# moved\n\n" + LINTED["calc.py"]}, RUFF)
    assert (report.verdict, codes(report)) == (Verdict.INCONCLUSIVE, {"nothing-red"})
    pull = await project.verify({"fine.py": "LIMIT = 4\n"}, RUFF, needs_red=False)
    assert pull.verdict is Verdict.PASS


@pytest.mark.anyio
@pytest.mark.parametrize("changes", [{"calc.py": "STEP = 1\n"}, {"calc.py": None}, {"fine.py": "LIMIT = missing\n"}])
async def test_the_verdict_of_a_linter_is_derived_again_from_evidence(
    tmp_path: Path, changes: dict[str, str | None]
) -> None:
    project = Project.make(tmp_path, LINTED)
    report = await project.verify(changes, RUFF, out=tmp_path / "out")
    statement = json.loads((tmp_path / "out" / "evidence.json").read_bytes())
    verdict, reasons = rederive(statement, lambda path: (tmp_path / "out" / path).read_bytes())
    assert (verdict, reasons) == (report.verdict, report.reasons)


@pytest.mark.anyio
async def test_a_hunk_that_no_diagnostic_needs_is_told(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"a.py": "import os\n", "b.py": "LIMIT = 1\n"})
    report = await project.verify({"a.py": "LIMIT = 2\n", "b.py": "LIMIT = 3\n"}, RUFF)
    assert report.verdict is Verdict.PASS
    assert [(n.path, n.verified) for n in report.necessity] == [("a.py", True), ("b.py", False)]


@pytest.mark.anyio
async def test_a_linter_is_asked_for_json_and_its_whole_set_may_turn_green(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"a.py": "import os\n", "b.py": "LIMIT = 1\n"})
    report = await project.verify({"a.py": "LIMIT = 2\n"}, replace(RUFF, repeat=2))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    assert [d.code for d in report.signals[0].changes.fixed] == ["F401"]
    runs = [payload["tree"] for kind, payload in project.events if kind == "startSignal"]
    assert "candidate with an error planted in a.py" in runs
    assert report.necessity == (HunkNecessity("a.py", 1, verified=True),)


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_c_compiler_is_read_in_json_and_locales_make_no_difference(tmp_path: Path) -> None:
    project = Project.make(tmp_path, C)
    report = await project.verify({"src/a.c": FIXED_A}, replace(GCC, repeat=3))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    (fixed,) = report.signals[0].changes.fixed
    assert (fixed.path, fixed.line, fixed.column) == ("src/a.c", 6, 16)


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_warning_gates_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    project = Project.make(tmp_path, C)
    warned = FIXED_A.replace("    return", "    int spare;\n    return")
    assert (await project.verify({"src/a.c": warned}, GCC)).verdict is Verdict.PASS
    other = Project.make(tmp_path / "other", {**C, "src/a.c": FIXED_A})
    strict = replace(GCC, expect={"new": "warning"})
    report = await other.verify({"src/a.c": warned}, strict, needs_red=False)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"new-diagnostic"})


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_build_behind_make_is_recognised_by_its_output(tmp_path: Path) -> None:
    project = Project.make(tmp_path, C)
    report = await project.verify({"src/a.c": FIXED_A}, spec("make all"))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    assert [d.path for d in report.signals[0].changes.fixed] == ["src/a.c"]


@pytest.mark.anyio
@pytest.mark.slow
async def test_in_text_an_old_error_that_stays_red_proves_no_fix(tmp_path: Path) -> None:
    files = {**C, "src/b.c": C["src/b.c"].replace("total(a, a)", "total(a, d)")}
    project = Project.make(tmp_path, files)
    report = await project.verify({"src/a.c": FIXED_A}, spec("make -k all"))
    assert report.verdict is Verdict.FAIL
    assert codes(report) == {"still-failing", "nothing-red"}


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_header_fixed_for_every_file_that_includes_it_passes(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**C, "src/a.c": FIXED_A, "src/a.h": "int total(int a, intt b);\n"})
    report = await project.verify({"src/a.h": C["src/a.h"]}, GCC)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())


@pytest.mark.anyio
@pytest.mark.slow
async def test_javac_is_read_from_its_text(tmp_path: Path) -> None:
    project = Project.make(tmp_path, JAVA)
    javac = spec("javac -d /tmp/classes src/Calc.java")
    report = await project.verify({"src/Calc.java": FIXED_JAVA}, javac)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    (fixed,) = report.signals[0].changes.fixed
    assert (fixed.line, fixed.column) == (3, 22)
    assert "missing" in fixed.message


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_tool_that_cannot_run_is_an_error_of_the_base(tmp_path: Path) -> None:
    project = Project.make(tmp_path, PYTHON)
    report = await project.verify({"calc.py": FIXED_CALC}, spec("python3 -m mypy --no-such-option ."))
    assert report.verdict is Verdict.ERROR
    assert "baseline-error" in codes(report)
