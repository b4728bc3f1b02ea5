"""The kind `diff` through the verifier: generated code, golden files, formatters, and patches that cheat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import SignalKind, SignalSpec, SignalStatus
from perstack.core.verdict import Report, Verdict
from tests.signals.project import Project, codes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

GENERATOR = """\
import pathlib
names = pathlib.Path("names.txt").read_text().split()
pathlib.Path("gen").mkdir(exist_ok=True)
pathlib.Path("gen/names.py").write_text(
    "# generated\\n" + "".join(f"{n.upper()} = {i}\\n" for i, n in enumerate(names))
)
"""
UP_TO_DATE = "# generated\nRED = 0\nBLUE = 1\n"
STALE = "# generated\nRED = 0\n"
CODE = {"codegen.py": GENERATOR, "names.txt": "red blue\n", "gen/names.py": STALE, "README.md": "x\n"}
GENERATED = SignalSpec("gen", SignalKind.DIFF, ("python3", "codegen.py"), expect={"generated": ["gen/**"]})

PRINTER = """\
import pathlib
pathlib.Path("out").mkdir()
pathlib.Path("out/menu.txt").write_text("tea 2.50\\ncake 3\\nmade 2026-01-01\\n")
"""
MENU = "tea 2.50\ncake 3.00\nmade 1999-12-31\n"
PRINTED = {"menu.py": PRINTER, "expected/menu.txt": MENU, "README.md": "x\n"}
GOLDEN = SignalSpec(
    "menu",
    SignalKind.DIFF,
    ("python3", "menu.py"),
    expect={"golden": {"out/menu.txt": "expected/menu.txt"}, "replace": [[r"\d{4}-\d\d-\d\d", "DATE"]]},
)


async def judge(
    tmp_path: Path, files: dict[str, str], changes: dict[str, str | None], spec: SignalSpec, *, needs_red: bool = True
) -> Report:
    return await Project.make(tmp_path, files).verify(changes, spec, needs_red=needs_red)


def details(report: Report) -> str:
    return " | ".join(reason.detail for reason in report.reasons if reason.signal)


async def test_stale_generated_code_is_red_with_its_line_and_regenerated_code_passes(tmp_path: Path) -> None:
    project = Project.make(tmp_path, CODE)
    report = await project.verify({"gen/names.py": UP_TO_DATE}, GENERATED)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].baseline is SignalStatus.FAIL
    unchanged = await project.verify({"README.md": "y\n"}, GENERATED)
    assert codes(unchanged) == {"still-failing", "nothing-red"}
    (finding,) = unchanged.signals[0].diagnostics
    assert (finding.path, finding.line) == ("gen/names.py", 3)
    assert "+BLUE = 1" in unchanged.signals[0].output


async def test_a_generator_that_does_nothing_leaves_a_hole_instead_of_agreement(tmp_path: Path) -> None:
    report = await judge(tmp_path, CODE, {"codegen.py": "names = []\n"}, GENERATED)
    assert report.verdict is Verdict.FAIL
    assert "does not produce it" in details(report)


async def test_new_and_deleted_generated_files_and_links_are_differences(tmp_path: Path) -> None:
    fresh = {**CODE, "gen/names.py": UP_TO_DATE}
    project = Project.make(tmp_path, fresh)
    more = GENERATOR + 'pathlib.Path("gen/more.py").write_text("")\n'
    added = await project.verify({"codegen.py": more}, GENERATED, needs_red=False)
    assert "the command writes it" in details(added)
    link = GENERATOR.replace('pathlib.Path("gen/names.py").write_text(', "keep(").replace(
        "import pathlib\n", "import os, pathlib\ndef keep(_):\n    os.symlink('/workspace/README.md', 'gen/names.py')\n"
    )
    linked = await project.verify({"codegen.py": link}, GENERATED, needs_red=False)
    assert codes(linked) == {"command-failed"}
    honest = await project.verify(
        {"names.txt": "red blue green\n", "gen/names.py": UP_TO_DATE + "GREEN = 2\n"}, GENERATED, needs_red=False
    )
    assert honest.verdict is Verdict.PASS


async def test_what_is_written_must_equal_the_golden_file_of_the_base(tmp_path: Path) -> None:
    project = Project.make(tmp_path, PRINTED)
    fixed = await project.verify({"menu.py": PRINTER.replace("cake 3\\n", "cake 3.00\\n")}, GOLDEN)
    assert (fixed.verdict, codes(fixed)) == (Verdict.PASS, set())
    regenerated = MENU.replace("cake 3.00", "cake 3")
    golden = await project.verify({"expected/menu.txt": regenerated}, GOLDEN)
    assert golden.verdict is Verdict.FAIL
    assert "protected-path" in codes(golden)
    copying = PRINTER + "import shutil\nshutil.copy('expected/menu.txt', 'out/menu.txt')\n"
    copied = await project.verify({"menu.py": copying}, GOLDEN)
    assert copied.verdict is Verdict.FAIL
    assert "still-failing" in codes(copied)


async def test_update_variables_of_the_configuration_do_not_reach_the_command(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**PRINTED, "menu.py": PRINTER.replace("cake 3\\n", "cake 3.00\\n")})
    seen = "import os\nassert 'UPDATE_GOLDEN' not in os.environ and os.environ['STYLE'] == 'b'\n"
    request = await project.request(
        project.patch({"menu.py": seen + PRINTER.replace("cake 3\\n", "cake 3.00\\n")}), GOLDEN
    )
    snapshot = await project.sandbox.prepare(
        SandboxSpec(env=(("UPDATE_GOLDEN", "1"), ("STYLE", "b"))), project.root, lambda _line: None
    )
    report = await project.verifier().verify(replace(request, snapshot=snapshot, needs_red=False))
    assert "command-failed" not in codes(report)


FORMATTER = """\
import pathlib
for path in pathlib.Path("src").glob("*.py"):
    path.write_text("\\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\\n")
"""


async def test_without_expectations_the_whole_tree_must_stay_as_it_is(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"tools/fmt.py": FORMATTER, "src/a.py": "a = 1\n", "src/b.bin": "\0"})
    spec = SignalSpec("format", SignalKind.DIFF, ("python3", "tools/fmt.py"))
    report = await project.verify({"src/a.py": "a = 1\nb = 2  \n"}, spec, needs_red=False)
    assert codes(report) == {"command-failed"}
    assert (report.signals[0].diagnostics[0].path, report.signals[0].diagnostics[0].line) == ("src/a.py", 2)
    tidy = await project.verify({"src/a.py": "a = 1\nb = 2\n"}, spec, needs_red=False)
    assert tidy.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("script", "expect", "wanted"),
    [
        ("import time; time.sleep(60)", {}, "timed-out"),
        ("import sys; sys.exit(3)", {}, "command-failed"),
        ("import sys; sys.stdout.write('x' * 5_000_000)", {}, "output-limit"),
        ("import os; os.mkfifo('pipe')", {}, "command-failed"),
        ("import os\nfor i in range(21000): open(f'f{i}', 'w')", {}, "signal-error"),
        ("open('a.bin', 'wb').write(b'\\0\\xff')", {}, "command-failed"),
    ],
    ids=["never-ends", "fails", "floods", "special-file", "fills-the-tree", "binary"],
)
async def test_bad_commands_are_told_and_never_green(
    tmp_path: Path, script: str, expect: dict[str, list[str]], wanted: str
) -> None:
    project = Project.make(tmp_path, {"codegen.py": "", "README.md": "x\n"})
    limit = 6 if wanted == "timed-out" else 60
    spec = SignalSpec("g", SignalKind.DIFF, ("python3", "codegen.py"), repeat=1, timeout_s=limit, expect=expect)
    report = await project.verify({"codegen.py": script}, spec, needs_red=False)
    assert report.verdict is not Verdict.PASS
    assert wanted in codes(report)


async def test_patterns_that_match_nothing_prove_nothing(tmp_path: Path) -> None:
    spec = SignalSpec("g", SignalKind.DIFF, ("python3", "codegen.py"), repeat=1, expect={"generated": ["nowhere/**"]})
    report = await judge(tmp_path, CODE, {"README.md": "y\n"}, spec, needs_red=False)
    assert codes(report) == {"baseline-error", "signal-error"}
