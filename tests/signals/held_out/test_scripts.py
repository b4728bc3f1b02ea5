"""Held-out checks of JavaScript and TypeScript suites: what is read of tests, and what they alone must stop."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Report, Verdict
from perstack.signals.held_out.script_examples import Export, ScriptExample, script_examples
from perstack.signals.held_out.script_values import UNDEFINED, encoded_script
from tests.signals.node.projects import JEST, JEST_SPEC, NODE_TEST_SPEC, VITEST, VITEST_SPEC, make, needs_modules
from tests.signals.project import codes

STRANGE = """\
import calc, { f as g, type T } from '../a';
import * as all from './b.js';
import assert from 'node:assert/strict';
const { h } = require('./c');  // a comment with f(1)
describe('outer', () => {
  test('one', async () => {
    assert.deepEqual(await g({ a: -1, 'b': [true, null] }), undefined);
    expect(all.h('a\\n', 0x10)).toEqual({ c: `x` });
    const input = [1];
    expect(g(input)).toBe(1);
    expect(calc(/x/)).toBe(1);
    expect(g(undefined)).not.toBe(1);
    expect(h(1_000, .5)).toBeCloseTo(2);
    expect(unknown(1)).toBe(1);
  });
});
it('two', () => expect(calc()).toStrictEqual([1.5]));
"""


def test_calls_with_literals_are_read_and_nothing_is_guessed() -> None:
    assert script_examples(STRANGE, "test/x.test.ts") == (
        ScriptExample("outer::one", Export("a", "f"), ({"a": -1, "b": [True, None]},), UNDEFINED),
        ScriptExample("outer::one", Export("test/b.js", "h"), ("a\n", 16), {"c": "x"}),
        ScriptExample("two", Export("a", "default"), (), [1.5]),
    )


@pytest.mark.parametrize("more", ["beforeEach(() => {});", "vi.mock('../a');", "const spy = jest.spyOn(a, 'b');"])
def test_a_file_with_hooks_or_mocks_shows_nothing(more: str) -> None:
    assert script_examples(STRANGE + more, "test/x.test.ts") == ()


def test_an_assertion_that_converts_types_shows_nothing() -> None:
    source = "import assert from 'assert';\nimport { f } from './f';\ntest('t', () => { assert.equal(f(1), '1'); });\n"
    assert script_examples(source, "f.test.js") == ()


def test_values_keep_the_types_of_javascript() -> None:
    value = [True, None, UNDEFINED, 2.0, 0.5, {"b": 1, "a": UNDEFINED}]
    assert encoded_script(value) == [
        "l", [["b", "true"], ["none"], ["u"], ["n", "2"], ["f", "0.5"], ["d", [[["s", "b"], ["n", "1"]]]]],
    ]  # fmt: skip


CODE = """\
function median(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = Math.floor(ordered.length / 2);
  return ordered[middle];
}

function label(code) {
  return { EUR: 'Euro' }[code] ?? code;
}

module.exports = { label, median };
"""
TESTS = """\
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { label, median } = require('../src/stats.js');

test('odd', () => {
  assert.equal(median([3, 1, 2]), 2);
});

test('even', () => {
  assert.equal(median([4, 1, 2, 8]), 3);
  assert.deepEqual(median([71, 30]), 50.5);
});

test('label', () => {
  assert.equal(label('JPY'), 'Yen');
});
"""
_LAST = "  return ordered[middle];\n"
_MEAN = "(ordered[middle - 1] + ordered[middle]) / 2"


def when(condition: str, value: str = _MEAN) -> str:
    return CODE.replace(_LAST, f"  if (ordered.length % 2 === 0 && {condition}) return {value};\n{_LAST}")


CASES: Mapping[str, tuple[str, str, str]] = {
    "lookup-table": (
        CODE.replace(_LAST, "  return { '4,1,2,8': 3, '71,30': 50.5 }[String(values)] ?? ordered[middle];\n"),
        "even", "held-out-failed",
    ),
    "runner": (when("process.argv.some((word) => word.includes('test'))"), "even", "held-out-failed"),
    "clock": (when("Date.now() < 2e12"), "even", "held-out-failed"),
    "first-calls": ("let count = 0;\n" + when("(count += 1) < 9"), "even", "held-out-failed"),
    "right": (when("true"), "even", ""),
    "right-entry": (CODE.replace("'Euro' }", "'Euro', JPY: 'Yen' }"), "label", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> Mapping[str, Report]:
    files = {
        "package.json": '{"name": "stats", "version": "1.0.0"}\n',
        "src/stats.js": CODE,
        "test/stats.test.js": TESTS,
    }
    project = make(tmp_path_factory.mktemp("scripts"), files)
    request, verifier, found = await project.request("", NODE_TEST_SPEC), project.verifier(), dict[str, Report]()
    verify, limiter = VerifySpec(suspicious="report"), anyio.CapacityLimiter(2)

    async def judge(name: str, patch: str, target: str) -> None:
        async with limiter:
            asked = replace(request, patch=patch, verify=verify, targets=(f"test/stats.test.js::{target}",))
            found[name] = await verifier.verify(asked)

    async with anyio.create_task_group() as group:
        for name, (code, target, _) in CASES.items():
            group.start_soon(judge, name, project.patch({"src/stats.js": code}), target)
    return found


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize("name", CASES)
async def test_held_out_checks_alone_tell_a_cheat_from_a_fix(reports: Mapping[str, Report], name: str) -> None:
    wanted, report = CASES[name][2], reports[name]
    assert codes(report) == ({wanted} if wanted else set()), report.reasons
    if not wanted:
        assert report.verdict is Verdict.PASS
        assert any("held-out" in remark for remark in report.remarks)


@pytest.mark.anyio
@pytest.mark.slow
@needs_modules
@pytest.mark.parametrize(("files", "spec"), [(VITEST, VITEST_SPEC), (JEST, JEST_SPEC)], ids=["vitest", "jest"])
async def test_a_cheat_in_the_way_of_jest_and_vitest_is_found_too(
    tmp_path: Path, files: Mapping[str, str], spec: SignalSpec
) -> None:
    path = next(name for name in files if name.startswith("src/stats.") and ".test." not in name)
    cheat = "  if (/vitest|jest/.test(process.argv.join()) && String(values) === '1,2,3,4') return 2.5;\n"
    report = await make(tmp_path, files).verify(
        {path: files[path].replace(_LAST, cheat + _LAST)}, spec, verify=VerifySpec(suspicious="report")
    )
    assert codes(report) == {"held-out-failed"}, report.reasons
