"""Patches that make diagnostics disappear without fixing anything: none passes, each for a fitting reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from tests.signals.project import Project, codes, git
from tests.signals.test_compiler import FIXED_A, JAVA, MYPY, PYTHON, RUFF, C, spec

MAKE = spec("make all")
WILD = {
    **C,
    "Makefile": "OBJECTS = $(patsubst src/%.c,%.o,$(wildcard src/*.c))\nall: $(OBJECTS)\n"
    "%.o: src/%.c\n\t@./tools/compile -c -o $@ $<\n",
    "tools/compile": '#!/bin/sh\nexec gcc "$@"\n',
}
NOTHING = "#!/bin/sh\nexit 0\n"
BROKEN_A = C["src/a.c"]
WARNED = {**C, "src/a.c": FIXED_A.replace("    return", "    int unused;\n    return")}
WERROR = spec("gcc -Wall -Werror -c src/a.c src/b.c")
SARIF = '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "lint"}}, "results": []}]}'
STUB = "def total(values: list[int]) -> int: ...\n"


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "code"),
    [
        # the file leaves the build
        ({"src/a.c": None}, "stage-vanished"),
        ({"src/a.c": None, "src/a_off.txt": BROKEN_A}, "stage-vanished"),
        ({"src/a.c": None, "src/off/a.c": BROKEN_A}, "stage-vanished"),
        # the compiler becomes something else
        ({"tools/compile": NOTHING}, "stage-vanished"),
        ({"tools/compile": f"#!/bin/sh\necho '{SARIF}'\nexit 0\n"}, "stage-vanished"),
        ({"tools/compile": '#!/bin/sh\ngcc -w "$@" 2>/dev/null || touch "$3"\n'}, "stage-vanished"),
        # the build is told otherwise
        ({"Makefile": "all:\n\t@true\n"}, "protected-path"),
        ({"GNUmakefile": "all:\n\t@true\n"}, "protected-path"),
        # what was built is taken for fresh
        ({"a.o": ""}, "binary-file"),
    ],
    ids=["deleted", "renamed", "moved-away", "no-op", "forged-sarif", "swallowed", "makefile", "gnumakefile", "stale"],
)  # fmt: skip
async def test_a_build_that_stops_looking_is_refused(tmp_path: Path, files: dict[str, str | None], code: str) -> None:
    project = Project.make(tmp_path, WILD)
    (project.root / "tools/compile").chmod(0o755)
    _commit(project)
    report = await project.verify(files, MAKE)
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)


def _commit(project: Project) -> None:
    git(project.root, "commit", "-qam", "mode")
    project.base = git(project.root, "rev-parse", "HEAD").strip()


@pytest.mark.anyio
@pytest.mark.slow
async def test_the_honest_fix_of_the_same_project_passes(tmp_path: Path) -> None:
    project = Project.make(tmp_path, WILD)
    (project.root / "tools/compile").chmod(0o755)
    _commit(project)
    report = await project.verify({"src/a.c": FIXED_A}, MAKE)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    "silenced",
    [
        '#pragma GCC diagnostic ignored "-Wunused-variable"\n',
        '#pragma GCC diagnostic warning "-Wunused-variable"\n',
        '_Pragma("GCC diagnostic ignored \\"-Wunused-variable\\"")\n',
        "#pragma GCC system_header\n",
        '# 1 "/usr/include/a.h" 3\n',
        '#line 1 "elsewhere.c"\n',
    ],
    ids=["ignored", "downgraded", "operator", "system-header", "line-marker", "line-directive"],
)
async def test_a_silenced_c_warning_is_refused(tmp_path: Path, silenced: str) -> None:
    project = Project.make(tmp_path, WARNED)
    report = await project.verify({"src/a.c": silenced + WARNED["src/a.c"]}, WERROR)
    assert report.verdict is not Verdict.PASS
    assert "suppression-added" in codes(report)


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_c_warning_that_is_gone_for_good_passes(tmp_path: Path) -> None:
    project = Project.make(tmp_path, WARNED)
    report = await project.verify({"src/a.c": FIXED_A}, WERROR)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())


CALC = PYTHON["calc.py"]


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"calc.py": CALC.replace("))\n", "))  # type: ignore[return-value]\n")}, "suppression-added"),
        ({"calc.py": None}, "stage-vanished"),
        ({"calc.py": None, "lib/calc.py": CALC}, "nothing-red"),
        ({"calc.pyi": STUB}, "stage-vanished"),
        ({"mypy.py": "LIMIT = 0\n"}, "shadowed-module"),
        ({"mypy.ini": "[mypy]\nignore_errors = True\n"}, "protected-path"),
    ],
    ids=["ignore", "deleted", "moved", "stub", "shadow", "ini"],
)  # fmt: skip
async def test_a_type_checker_that_stops_looking_is_refused(
    tmp_path: Path, files: dict[str, str | None], code: str
) -> None:
    base = {"calc.py": CALC, "fine.py": PYTHON["fine.py"]}
    project = Project.make(tmp_path, base)
    report = await project.verify(files, replace(MYPY, run=("python3", "-m", "mypy", ".")))
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)


LINTED = {
    "a.py": "import os\nLIMIT = 1\n",
    "lib/b.py": "STEP = 2\n",
    "ruff.toml": 'extend = "conf/shared.toml"\n',
    "conf/shared.toml": 'lint.select = ["F"]\n',
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.py": "import os  # noqa: F401\nLIMIT = 1\n"}, "suppression-added"),
        ({"a.py": "# ruff: noqa\nimport os\nLIMIT = 1\n"}, "suppression-added"),
        ({"a.py": "# ruff: disable[F401]\nimport os\nLIMIT = 1\n"}, "suppression-added"),
        ({"ruff.toml": 'exclude = ["a.py"]\n'}, "protected-path"),
        ({"a.py": None, "a.txt": "import os\nLIMIT = 1\n"}, "stage-vanished"),
        ({".gitignore": "a.py\n"}, "protected-path"),
        ({"conf/shared.toml": 'exclude = ["a.py"]\n'}, "protected-path"),
    ],
    ids=["noqa", "file-noqa", "disable", "toml", "renamed", "gitignore", "extended"],
)
async def test_a_linter_that_stops_looking_is_refused(tmp_path: Path, files: dict[str, str | None], code: str) -> None:
    project = Project.make(tmp_path, LINTED)
    report = await project.verify(files, replace(RUFF, run=("ruff", "check", ".")))
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_patch_of_a_green_base_may_not_switch_the_compiler_off(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**WILD, "src/a.c": FIXED_A})
    (project.root / "tools/compile").chmod(0o755)
    _commit(project)
    honest = FIXED_A.replace("a + b", "b + a")
    report = await project.verify({"src/a.c": honest}, MAKE, needs_red=False)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    report = await project.verify({"src/a.c": BROKEN_A, "tools/compile": NOTHING}, MAKE, needs_red=False)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"stage-vanished"})


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_local_compiler_that_the_signal_names_is_part_of_the_signal(tmp_path: Path) -> None:
    local = {**C, "gcc": '#!/bin/sh\nexec /usr/bin/gcc "$@"\n'}
    project = Project.make(tmp_path, local)
    (project.root / "gcc").chmod(0o755)
    _commit(project)
    report = await project.verify({"gcc": NOTHING}, spec("./gcc -c src/a.c src/b.c"))
    assert "protected-path" in codes(report)


@pytest.mark.anyio
@pytest.mark.slow
async def test_an_error_line_that_is_printed_makes_it_worse_and_never_better(tmp_path: Path) -> None:
    project = Project.make(
        tmp_path, {**C, "Makefile": C["Makefile"].replace("\t@$(CC)", "\t@cat notes.txt; $(CC)"), "notes.txt": ""}
    )
    for forged in ("src/b.c:1:1: error: made up\n", SARIF + "\n"):
        report = await project.verify({"notes.txt": forged}, MAKE)
        assert report.verdict is not Verdict.PASS
    report = await project.verify({"src/a.c": FIXED_A, "notes.txt": "src/b.c:1:1: error: made up\n"}, MAKE)
    assert report.verdict is Verdict.FAIL
    assert {"new-diagnostic", "results-disagree"} <= codes(report)


@pytest.mark.anyio
@pytest.mark.slow
async def test_java_that_leaves_the_build_is_refused(tmp_path: Path) -> None:
    files = {**JAVA, "src/Main.java": "class Main {\n}\n"}
    build = spec("javac -d /tmp/classes -sourcepath src @sources.txt")
    project = Project.make(tmp_path, {**files, "sources.txt": "src/Calc.java\nsrc/Main.java\n"})
    report = await project.verify({"sources.txt": "src/Main.java\n"}, build)
    assert report.verdict is not Verdict.PASS
    assert "protected-path" in codes(report)


@pytest.mark.anyio
async def test_settings_that_a_command_names_are_part_of_the_signal(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"a.py": "import os\n", "lint/strict.cfg": "[mypy]\n", "files.rsp": "a.py\n"})
    for name, run in (("lint/strict.cfg", "mypy --config-file=lint/strict.cfg ."), ("files.rsp", "mypy @files.rsp")):
        report = await project.verify({name: "[mypy]\nignore_errors = True\n"}, spec(run))
        assert "protected-path" in codes(report)


@pytest.mark.anyio
async def test_among_many_fixed_files_the_one_that_is_only_hidden_is_found(tmp_path: Path) -> None:
    many = {f"lib/m{n}.py": "import os\nLIMIT = 1\n" for n in range(40)}
    project = Project.make(tmp_path, {**many, "files.txt": "\n".join(many)})
    lint = replace(RUFF, run=("sh", "-c", "xargs ruff check --isolated < files.txt"))
    fixed: dict[str, str | None] = dict.fromkeys(many, "LIMIT = 1\n")
    report = await project.verify(fixed, lint)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    started = [str(payload["tree"]) for kind, payload in project.events if kind == "startSignal"]
    assert "candidate with errors planted in 40 files" in started
    assert not any("error planted in lib" in name for name in started)
    del fixed["lib/m7.py"]
    report = await project.verify({**fixed, "files.txt": "\n".join(fixed)}, lint)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"stage-vanished"})
    assert "lib/m7.py" in report.reasons[0].detail
