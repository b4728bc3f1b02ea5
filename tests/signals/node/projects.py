"""Small JavaScript projects as git repositories, one for each runner. Shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from perstack.core.contracts import Sandbox
from perstack.core.signals import SignalKind, SignalSpec
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.project import Project, git, write

MODULES = Path(__file__).parents[2] / "node" / "node_modules"

BUGGY = """\
function median(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = Math.floor(ordered.length / 2);
  return ordered[middle];
}

function mean(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

module.exports = { mean, median };
"""
RIGHT = (
    "  if (ordered.length % 2 === 0) {\n    return (ordered[middle - 1] + ordered[middle]) / 2;\n  }\n"
    "  return ordered[middle];\n"
)
FIXED = BUGGY.replace("  return ordered[middle];\n", RIGHT)

NODE_TESTS = """\
const { describe, it, test } = require('node:test');
const assert = require('node:assert/strict');
const { mean, median } = require('../src/stats.js');

test('mean', () => {
  assert.equal(mean([1, 2, 3]), 2);
});

describe('median', () => {
  it('is the middle one of an odd number', () => {
    assert.equal(median([3, 1, 2]), 2);
  });

  it('is between the middle ones of an even number', () => {
    assert.equal(median([1, 2, 3, 4]), 2.5);
  });
});
"""
OTHER_NODE_TEST = """\
import test from 'node:test';
import assert from 'node:assert';

test('adds', async () => {
  await null;
  assert.strictEqual(1 + 1, 2);
});
test('is to be done', { todo: true });
test('is left out', { skip: 'not here' }, () => assert.fail());
"""
NODE_TEST = {
    "package.json": '{"name": "stats", "version": "1.0.0", "scripts": {"test": "node --test"}}\n',
    "src/stats.js": BUGGY,
    "test/stats.test.js": NODE_TESTS,
    "test/other.test.mjs": OTHER_NODE_TEST,
}


def spec(run: str, framework: str, *, repeat: int = 1, cwd: str = ".") -> SignalSpec:
    return SignalSpec(
        "tests", SignalKind.TEST, tuple(run.split()), framework=framework, repeat=repeat, timeout_s=120, cwd=cwd
    )


NODE_TEST_SPEC = spec("node --test", "node:test")


def node_sandbox() -> Sandbox:
    return Bubblewrap((MODULES, MODULES / ".bin"))


def bare_sandbox() -> Sandbox:
    return Bubblewrap(())


needs_modules = pytest.mark.skipif(not (MODULES / "vitest").is_dir(), reason="needs `npm ci` in tests/node")


def make(folder: Path, files: Mapping[str, str]) -> Project:
    """A project that finds the packages of `tests/node` where set-up would have put its own."""
    root = folder / "project"
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    write(root, files)
    if ".gitignore" not in files:
        (root / "node_modules").symlink_to(MODULES)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "base")
    base = git(root, "rev-parse", "HEAD").strip()
    return Project(root, folder / "scratch", base, sandbox=node_sandbox())


JEST_TESTS = """\
const { mean, median } = require('./stats.js');

test('mean', () => {
  expect(mean([1, 2, 3])).toBe(2);
});

describe('median', () => {
  it('is the middle one of an odd number', () => {
    expect(median([3, 1, 2])).toEqual(2);
  });

  it('is between the middle ones of an even number', () => {
    expect(median([1, 2, 3, 4])).toBe(2.5);
  });
});
"""
OTHER_JEST_TEST = """\
test('adds', () => expect(1 + 1).toBe(2));
test.todo('is to be done');
test.skip('is left out', () => expect(1).toBe(2));
test.failing('is known to fail', () => expect(1).toBe(2));
"""
JEST = {
    "package.json": '{"name": "stats", "version": "1.0.0", "scripts": {"test": "jest"}, "jest": {"bail": true}}\n',
    "src/stats.js": BUGGY,
    "src/stats.test.js": JEST_TESTS,
    "__tests__/other.js": OTHER_JEST_TEST,
}
JEST_SPEC = spec("npx jest --ci", "jest")


TS_BUGGY = """\
export function median(values: number[]): number {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = Math.floor(ordered.length / 2);
  return ordered[middle];
}

export function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
"""
TS_FIXED = TS_BUGGY.replace("  return ordered[middle];\n", RIGHT)
VITEST_TESTS = """\
import { describe, expect, it, test } from 'vitest';
import { mean, median } from './stats';

test('mean', () => {
  expect(mean([1, 2, 3])).toBe(2);
});

describe('median', () => {
  it('is the middle one of an odd number', () => {
    expect(median([3, 1, 2])).toEqual(2);
  });

  it('is between the middle ones of an even number', () => {
    expect(median([1, 2, 3, 4])).toBe(2.5);
  });
});
"""
OTHER_VITEST_TEST = """\
import { expect, test } from 'vitest';

test('adds', () => expect(1 + 1).toBe(2));
test.todo('is to be done');
test.skip('is left out', () => expect(1).toBe(2));
test.fails('is known to fail', () => expect(1).toBe(2));
"""
VITEST = {
    "package.json": '{"name": "stats", "version": "1.0.0", "type": "module", "scripts": {"test": "vitest run"}}\n',
    "vitest.config.ts": "export default { test: { retry: 3, bail: 1, passWithNoTests: true } };\n",
    "src/stats.ts": TS_BUGGY,
    "src/stats.test.ts": VITEST_TESTS,
    "test/other.test.js": OTHER_VITEST_TEST,
}
VITEST_FILE, VITEST_FIXED = "src/stats.ts", TS_FIXED
VITEST_SPEC = spec("npx vitest run", "vitest")
