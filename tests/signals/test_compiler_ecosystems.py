"""cargo, tsc, eslint, go and pyright through the whole protocol."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.project import Project, codes
from tests.signals.test_compiler import spec

NODE = Path(__file__).parents[1] / "node" / "node_modules" / ".bin"


@dataclass(frozen=True)
class Case:
    """A project with an error, the change that repairs it, and changes that only make it silent."""

    program: str
    run: str
    files: Mapping[str, str]
    fix: Mapping[str, str | None]
    code: str
    attacks: tuple[tuple[Mapping[str, str | None], str], ...]


RUST_BAD = "pub fn total(a: u64) -> u64 {\n    a + missing\n}\n"
CARGO = Case(
    program="cargo",
    run="cargo check --offline",
    files={
        "Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n',
        "src/lib.rs": "pub mod calc;\npub mod old;\n",
        "src/calc.rs": RUST_BAD,
        "src/old.rs": "pub fn old() -> u8 {\n    1\n}\n",
    },
    fix={"src/calc.rs": RUST_BAD.replace("missing", "1")},
    code="E0425",
    attacks=(
        ({"src/lib.rs": "pub mod old;\n"}, "stage-vanished"),
        ({"src/lib.rs": "#[cfg(any())]\npub mod calc;\npub mod old;\n"}, "suspicious-construct"),
        ({"src/calc.rs": None, "src/lib.rs": "pub mod old;\n"}, "stage-vanished"),
        ({"build.rs": "fn main() {\n    std::process::exit(0);\n}\n"}, "protected-path"),
        ({"src/calc.rs": RUST_BAD.replace("missing", '"1"')}, "new-diagnostic"),
    ),
)
TS_BAD = "export function total(a: number): string {\n  return a + 1;\n}\n"
TSC = Case(
    program="tsc",
    run="tsc --noEmit -p .",
    files={
        "tsconfig.json": '{"compilerOptions": {"strict": true, "lib": ["es2020"], "types": []}, "include": ["src"]}',
        "src/total.ts": TS_BAD,
        "src/fine.ts": "export const limit = 3;\n",
    },
    fix={"src/total.ts": TS_BAD.replace("string", "number")},
    code="TS2322",
    attacks=(
        ({"src/total.ts": "// @ts-nocheck\n" + TS_BAD}, "suppression-added"),
        ({"src/total.ts": TS_BAD.replace("a + 1", "(a + 1) as any")}, "suppression-added"),
        ({"src/total.ts": None, "src/total.js": "export const total = 1;\n"}, "stage-vanished"),
        ({"src/total.ts": None, "lib/total.ts": TS_BAD}, "stage-vanished"),
        ({"tsconfig.json": '{"include": ["src/fine.ts"]}'}, "protected-path"),
        ({"src/total.ts": TS_BAD, "src/fine.ts": "export const limit: string = 3;\n"}, "new-diagnostic"),
    ),
)
JS_BAD = "export function total(a) {\n  return a + missing;\n}\n"
ESLINT = Case(
    program="eslint",
    run="eslint .",
    files={
        "eslint.config.mjs": 'export default [{ rules: { "no-undef": "error", "no-unused-vars": "warn" } }];\n',
        "src/total.mjs": JS_BAD,
        "src/old.mjs": "export const old = gone;\n",
    },
    fix={"src/total.mjs": JS_BAD.replace("missing", "1")},
    code="no-undef",
    attacks=(
        ({"src/total.mjs": "/* eslint-disable */\n" + JS_BAD}, "suppression-added"),
        ({"src/total.mjs": "/* global missing */\n" + JS_BAD}, "suppression-added"),
        ({"src/total.mjs": None, "src/total.txt": JS_BAD}, "stage-vanished"),
        ({"src/total.mjs": None, "node_modules/total/total.mjs": JS_BAD}, "protected-path"),
        ({"eslint.config.mjs": "export default [];\n"}, "protected-path"),
        ({"src/total.mjs": "export function total(a {\n"}, "new-diagnostic"),
    ),
)
GO_BAD = "package demo\n\nfunc Total(a int) int {\n\treturn a + missing\n}\n"
GO = Case(
    program="go",
    run="env GOCACHE=/tmp/go GOFLAGS=-mod=mod GOTOOLCHAIN=local go build ./...",
    files={
        "go.mod": "module example.com/demo\n\ngo 1.21\n",
        "total.go": GO_BAD,
        "fine.go": "package demo\n\nconst Limit = 3\n",
    },
    fix={"total.go": GO_BAD.replace("missing", "1")},
    code="",
    attacks=(
        ({"total.go": "//go:build ignore\n\n" + GO_BAD}, "suppression-added"),
        ({"total.go": None, "total_windows.go": GO_BAD}, "stage-vanished"),
        ({"total.go": None}, "stage-vanished"),
        ({"total.go": None, "testdata/total.go": GO_BAD}, "stage-vanished"),
    ),
)
PY_BAD = "def total(a: int) -> str:\n    return a + 1\n"
PYRIGHT = Case(
    program="pyright",
    run="pyright .",
    files={"total.py": PY_BAD, "fine.py": "LIMIT = 3\n", "pyrightconfig.json": "{}"},
    fix={"total.py": PY_BAD.replace("str", "int")},
    code="reportReturnType",
    attacks=(
        ({"total.py": "# pyright: basic, reportReturnType=false\n" + PY_BAD}, "suppression-added"),
        ({"total.py": None, "total.txt": PY_BAD}, "stage-vanished"),
        ({"pyrightconfig.json": '{"exclude": ["total.py"]}'}, "protected-path"),
    ),
)
CASES = (CARGO, TSC, ESLINT, GO, PYRIGHT)


def folder_of(program: str) -> Path | None:
    """Where a tool is: beside the test tools of Node, on the path, or in Rust's own folder behind its launcher."""
    if (NODE / program).exists():
        return NODE
    found = shutil.which(program)
    if found is None:
        return None
    if program == "cargo":
        rustc = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=False)
        return Path(rustc.stdout.strip()) / "bin" if rustc.returncode == 0 else None
    return Path(found).parent


def project_for(case: Case, folder: Path) -> Project:
    tools = folder_of(case.program)
    assert tools is not None, f"{case.program} is not installed: run scripts/set-up test"
    project = Project.make(folder, case.files)
    project.sandbox = Bubblewrap((tools, Path(sys.executable).parent))
    return project


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.program)
async def test_an_honest_fix_passes(case: Case, tmp_path: Path) -> None:
    project = project_for(case, tmp_path)
    report = await project.verify(case.fix, spec(case.run))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert report.signals[0].changes is not None
    assert [d.code for d in report.signals[0].changes.fixed] == [case.code]
    assert [(n.path, n.verified) for n in report.necessity] == [(path, True) for path in case.fix]


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "number"),
    [(case, number) for case in CASES for number in range(len(case.attacks))],
    ids=lambda value: value.program if isinstance(value, Case) else str(value),
)
async def test_a_patch_that_only_makes_it_silent_is_refused(case: Case, number: int, tmp_path: Path) -> None:
    project = project_for(case, tmp_path)
    files, code = case.attacks[number]
    report = await project.verify(files, spec(case.run))
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)
