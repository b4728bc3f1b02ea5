"""Plans of JavaScript suites: what of a command and a configuration is kept, and which files take part in tests."""

from __future__ import annotations

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.node.plan import is_configuration, named_files, plan_node_test, plan_runner


def spec(run: str, cwd: str = ".") -> SignalSpec:
    return SignalSpec("tests", SignalKind.TEST, tuple(run.split()), cwd=cwd)


PATHS = ("a.js", "a.test.js", "test/b.mjs", "test/data.json", "lib/c_test.cjs", "lib/test-d.ts", "lib/latest.js",
         "node_modules/x/test/e.js", "packages/p/test/f.js", "types.test.d.ts")  # fmt: skip


@pytest.mark.parametrize(
    ("run", "cwd", "wanted"),
    [
        ("node --test", ".", ["a.test.js", "lib/c_test.cjs", "lib/test-d.ts", "packages/p/test/f.js", "test/b.mjs"]),
        ("node --test", "packages/p", ["test/f.js"]),
        ("node --test test/", ".", ["test/b.mjs"]),
        ("node --test a.js lib/c_test.cjs", ".", ["a.js", "lib/c_test.cjs"]),
        ("node --test **/*.test.js", ".", ["a.test.js"]),
        ("npm test", ".", ["lib/c_test.cjs", "lib/test-d.ts"]),
    ],
)
def test_the_files_of_node_test_are_those_node_would_run(run: str, cwd: str, wanted: list[str]) -> None:
    package = b'{"scripts": {"test": "cross-env TZ=UTC node --import tsx --test lib && echo done"}}'
    plan = plan_node_test(spec(run, cwd), {"package.json": package}, PATHS)
    assert list(plan.test_files(PATHS)) == wanted


def test_what_node_needs_to_load_tests_is_kept_and_what_reports_or_selects_is_not() -> None:
    run = (
        "env A=1 node --import tsx --enable-source-maps --test --test-only --test-name-pattern x --test-reporter=tap "
        "--experimental-test-coverage -r ./hook.cjs test"
    )
    plan = plan_node_test(spec(run), {}, PATHS)
    assert plan.arguments == ("--import", "tsx", "--enable-source-maps", "-r", "./hook.cjs")
    assert plan.selection == ("test",)
    assert plan.environment == {"A": "1"}


def test_of_a_jest_command_only_place_and_selection_are_kept() -> None:
    plan = plan_runner("jest", spec("npx jest --ci -u --bail --config conf/jest.js -t median src/a"), {})
    assert plan.options == {"config": "conf/jest.js", "modules": False}
    assert "src/a" in plan.selection
    assert not {"-u", "--bail", "-t"} & set(plan.selection)


def test_of_a_script_the_words_after_the_tool_are_read() -> None:
    files = {"package.json": b'{"scripts": {"test": "NODE_OPTIONS=--experimental-vm-modules jest src"}}'}
    plan = plan_runner("jest", spec("npm test"), files)
    assert plan.options == {"modules": True}
    assert plan.selection == ("src",)


def test_files_that_a_configuration_makes_part_of_tests_are_found_and_product_code_is_not() -> None:
    files = {
        "package.json": b'{"main": "./src/index.js", "jest": {"setupFiles": ["<rootDir>/src/env"], "preset": "x"}}',
        "web/vite.config.ts": b"import helper from './build/helper';\nimport { x } from './src/index';\n"
        b"export default { build: { lib: { entry: './src/index.ts' } }, test: { setupFiles: './src/ready.ts',\n"
        b" environment: 'jsdom' } };\n",
    }
    paths = {*files, "src/env.js", "src/index.js", "web/src/ready.ts", "web/src/index.ts", "web/build/helper.ts"}
    assert named_files(files, paths) == {"src/env.js", "web/src/ready.ts", "web/build/helper.ts"}


def test_a_narrowed_plan_names_the_files_of_its_targets() -> None:
    plan = plan_runner("vitest", spec("npx vitest run"), {}).narrowed(["a.test.ts::x::y", "a.test.ts::z", "b.test.ts"])
    assert plan.only == ("a.test.ts", "b.test.ts")


@pytest.mark.parametrize("path", ["jest.config.ts", "p/package.json", "web/vite.config.mts", "tsconfig.test.json"])
def test_configuration_is_known_by_its_name(path: str) -> None:
    assert is_configuration(path)
    assert not is_configuration(f"node_modules/{path}")
    assert not is_configuration(f"{path}.notes/a.js")
