"""Constructs in JavaScript product code that a patch has no honest use for, and honest ones that read alike."""

from __future__ import annotations

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.verdict import PolicyFinding
from perstack.signals.protected import Protection
from perstack.signals.suspicious import Changed, Project, find_suspicious


def blocking(line: str, path: str = "src/a.ts") -> tuple[PolicyFinding, ...]:
    project = Project((), lambda path: "", lambda path: False)
    found = find_suspicious([Changed(path, "", line, frozenset({1}))], project, certain_blocks=True)
    return tuple(finding for finding in found if finding.blocks)


@pytest.mark.parametrize(
    "line",
    [
        "process.exit(0);",
        "process.reallyExit(0)",
        "process.on('exit', () => { process.exitCode = 0; });",
        "if (process.env.JEST_WORKER_ID) return 2.5;",
        "const inTest = process.env.NODE_ENV === 'test';",
        "if (process.env.VITEST) return 2.5;",
        "if (process.env.CI) return 2.5;",
        "if (typeof describe === 'function') return 2.5;",
        "const { setFn } = await import('@vitest/runner');",
        "const circus = require('jest-circus');",
        "globalThis.__vitest_worker__.current.fails = true;",
        "globalThis[Symbol.for('EVENT_HANDLERS')].push(forgive);",
        "const i = require('node:inspector');",
        "const memory = fs.openSync('/proc/self/mem');",
        "expect.extend({ toBe: () => ({ pass: true }) });",
        "Array.prototype.push = function () {};",
        "const text = fs.readFileSync('src/a.test.ts', 'utf8');",
        "new Function('return process')().exit();",
        "eval(code);",
        "const cache = require.cache;",
        "vm.runInThisContext('process')",
        "globalThis['pro' + 'cess'].exit(0)",
        "const f = require('node:' + 'test');",
    ],
)
def test_what_only_a_cheat_needs_blocks(line: str) -> None:
    assert blocking(line)


@pytest.mark.parametrize(
    "line",
    [
        "if (values.length % 2 === 0) return (a + b) / 2;",
        "const name = require('./locales/' + language);",
        "import { expectType } from './types';",
        "process.send?.({ ready: true });",
        "const { deserialize } = require('node:v8');",
        "const path = '/api/' + 'v2';",
        "import { inspect } from 'node:util';",
        "export const test = /even/.test(value);",
        "const assert = require('node:assert');",
        "process.on('SIGTERM', () => server.close());",
        "logger.info('exit code ' + code);",
        "if (process.env.NODE_ENV === 'production') minify();",
        "this.items.push(item);",
    ],
)
def test_what_honest_code_does_passes(line: str) -> None:
    assert not blocking(line)


@pytest.mark.parametrize(
    "path",
    [
        "jest.config.ts", "packages/a/jest.config.mjs", "jest.unit.config.js", "src/setupTests.ts", "vitest.setup.ts",
        "test/jest-environment.js", "vitest.workspace.ts", "node_modules/expect/index.js", "babel.config.js",
        ".babelrc", "tsconfig.test.json", "src/__snapshots__/a.snap", "src/a.test.tsx", "src/__mocks__/b.js",
    ],
)  # fmt: skip
def test_what_decides_over_tests_is_protected(path: str) -> None:
    assert Protection.of(VerifySpec(), (), {path, "src/a.ts"}).is_protected(path)


@pytest.mark.parametrize("path", ["src/setup.ts", "src/testing-library.ts", "src/environment.js", "src/jest-like.ts"])
def test_product_code_with_such_a_name_is_not(path: str) -> None:
    assert not Protection.of(VerifySpec(), (), {path, "src/a.ts"}).is_protected(path)
