"""Honest changes to JavaScript projects through the protocol, and what the base's configuration may and may not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalSpec
from perstack.core.verdict import Report, Verdict
from tests.signals.node import projects
from tests.signals.node.projects import FIXED, JEST, JEST_SPEC, NODE_TEST, NODE_TEST_SPEC, TS_FIXED, VITEST, VITEST_SPEC
from tests.signals.project import codes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
EVEN = "median::is between the middle ones of an even number"


async def verify(folder: Path, files: Mapping[str, str], changes: Mapping[str, str | None], spec: SignalSpec) -> Report:
    return await projects.make(folder, files).verify(changes, spec)


def fixed(report: Report) -> tuple[str, ...]:
    assert report.verdict is Verdict.PASS, (report.reasons, [signal.output for signal in report.signals])
    delta = report.signals[0].tests
    assert delta is not None
    assert not delta.vanished
    return delta.fail_to_pass


async def test_a_fix_of_a_node_test_project_passes_in_two_orders(tmp_path: Path) -> None:
    own = "require('node:test')('own', () => {});\n"
    changes = {"src/stats.js": FIXED, "test/own.test.js": own}
    report = await verify(tmp_path, NODE_TEST, changes, replace(NODE_TEST_SPEC, repeat=2))
    assert f"test/stats.test.js::{EVEN}" in fixed(report)


@projects.needs_modules
async def test_a_fix_of_a_jest_project_passes_in_two_orders(tmp_path: Path) -> None:
    report = await verify(tmp_path, JEST, {"src/stats.js": FIXED}, replace(JEST_SPEC, repeat=2))
    assert fixed(report) == (f"src/stats.test.js::{EVEN}",)


@projects.needs_modules
async def test_a_fix_of_a_vitest_project_passes_in_two_orders(tmp_path: Path) -> None:
    report = await verify(tmp_path, VITEST, {"src/stats.ts": TS_FIXED}, replace(VITEST_SPEC, repeat=2))
    assert fixed(report) == (f"src/stats.test.ts::{EVEN}",)


@projects.needs_modules
async def test_a_workspace_folder_with_an_own_jest_and_modules_passes(tmp_path: Path) -> None:
    """ES modules, a setup file that the configuration names, `.only` in a file of the base, hooks that fail."""
    body = projects.JEST_TESTS.replace(
        "const { mean, median } = require('./stats.js');", "import { mean, median } from './stats.js';"
    )
    code = {
        name: text.replace("module.exports =", "export") for name, text in (("bad", projects.BUGGY), ("good", FIXED))
    }
    configured = '{"setupFiles": ["./env.cjs"], "transform": {}}'
    files = {
        "package.json": '{"private": true, "workspaces": ["packages/*"]}\n',
        "packages/a/package.json": f'{{"name": "a", "type": "module", "jest": {configured}}}\n',
        "packages/a/env.cjs": "globalThis.ready = true;\n",
        "packages/a/src/stats.js": code["bad"],
        "packages/a/src/stats.test.js": body + "test('ready', () => expect(globalThis.ready).toBe(true));\n",
        "packages/a/src/only.test.js": "test.only('one', () => {});\ntest('two', () => { throw new Error('x'); });\n",
        "packages/a/src/hook.test.js": "beforeEach(() => { throw new Error('no'); });\ntest('never', () => {});\n",
    }
    spec = projects.spec("env NODE_OPTIONS=--experimental-vm-modules npx jest", "jest", cwd="packages/a")
    changes = {"packages/a/src/stats.js": code["good"], "packages/a/env.cjs": "globalThis.ready = false;\n"}
    target = f"packages/a/src/stats.test.js::{EVEN}"
    report = await projects.make(tmp_path, files).verify(changes, spec, targets=(target,))
    assert target in fixed(report)
    delta = report.signals[0].tests
    assert delta is not None
    assert delta.pass_to_pass == 4  # `env.cjs` is as on the base; `.only` leaves one of two
    assert delta.still_failing == ("packages/a/src/hook.test.js::never",)


@projects.needs_modules
async def test_a_vitest_file_that_cannot_be_loaded_is_no_red_that_proves_anything(tmp_path: Path) -> None:
    files = {**VITEST, "src/stats.test.ts": VITEST["src/stats.test.ts"].replace("./stats", "./missing")}
    report = await verify(tmp_path, files, {"src/missing.ts": TS_FIXED}, VITEST_SPEC)
    assert "red-not-behavioural" in codes(report)


@projects.needs_modules
async def test_a_project_without_its_runner_is_an_error_that_says_so(tmp_path: Path) -> None:
    project = projects.make(tmp_path, {**JEST, ".gitignore": "node_modules\n"})
    project.sandbox = projects.bare_sandbox()
    report = await project.verify({"src/stats.js": FIXED}, JEST_SPEC)
    assert "baseline-error" in codes(report)
    assert any("not installed" in reason.detail for reason in report.reasons)


TRANSFORM = """\
const ts = require({typescript});
const options = {{ module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 }};
module.exports = {{
  process: (text) => ({{ code: ts.transpileModule(text, {{ compilerOptions: options }}).outputText }}),
}};
"""


@projects.needs_modules
async def test_a_fix_of_a_jest_project_in_typescript_passes_and_is_asked_without_jest_too(tmp_path: Path) -> None:
    typescript = json.dumps(str(projects.MODULES / "typescript"))
    files = {
        "package.json": '{"name": "stats", "jest": {"transform": {"[.]ts$": "<rootDir>/transform.cjs"}}}\n',
        "transform.cjs": TRANSFORM.format(typescript=typescript),
        "src/stats.ts": VITEST["src/stats.ts"],
        "src/stats.test.ts": VITEST["src/stats.test.ts"].replace(
            "import { describe, expect, it, test } from 'vitest';\n", ""
        ),
    }
    report = await verify(tmp_path, files, {"src/stats.ts": TS_FIXED}, JEST_SPEC)
    assert fixed(report) == (f"src/stats.test.ts::{EVEN}",)
    assert any("held-out checks asked" in remark for remark in report.remarks)
