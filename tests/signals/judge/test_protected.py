"""Which paths are protected, per ecosystem and by configuration."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.policy_metadata import only_metadata
from perstack.signals.protected import Protection

BASE = (
    "pkg/core.py",
    "tests/test_core.py",
    "tests/data/a.json",
    "tests/helpers.py",
    "scripts/check.sh",
    "app.py",
    "django/test/client.py",
)


def protection(verify: VerifySpec | None = None, *specs: SignalSpec) -> Protection:
    return Protection.of(verify or VerifySpec(), specs, BASE)


@pytest.mark.parametrize(
    "path",
    [
        "conftest.py", "a/b/conftest.py", "tests/new/conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml",
        "sitecustomize.py", "lib/x.pth", "Makefile", ".github/workflows/ci.yml", ".gitattributes", "sub/.gitattributes",
        "uv.lock", "requirements.txt", "package.json", "web/jest.config.ts", "vitest.config.mts", "tsconfig.build.json",
        "eslint.config.js", ".npmrc", "Cargo.toml", "build.rs", ".cargo/config.toml", "go.mod", "go.work", "pom.xml",
        ".mvn/maven.config", "gradle/wrapper/gradle-wrapper.properties", "src/CMakeLists.txt", "Dockerfile", "Dockerfile.ci",
        ".devcontainer/devcontainer.json", "compose.yaml", ".env", ".env.test", "perstack.toml", "mypy.ini", ".flake8",
        "ruff.toml", ".pre-commit-config.yaml", "tests/test_core.py", "tests/data/a.json", "tests/helpers.py",
        ".prettierignore", "web/.stylelintrc.json", ".shellcheckrc", ".editorconfig", ".clang-format", "ty.toml", "Shop.csproj",
        "x/__pycache__/a.cpython-311.pyc", ".pytest_cache/v/lastfailed", "node_modules/jest/index.js", "justfile",
    ],
)  # fmt: skip
def test_what_decides_red_and_green_is_protected(path: str) -> None:
    assert protection().is_protected(path), path


@pytest.mark.parametrize(
    "path",
    [
        "pkg/core.py", "pkg/new.py", "README.md", "docs/usage.md", "CHANGELOG.rst", "tests/test_new.py", "tests/data/b.json",
        "tests/sample/pyproject.toml", "django/test/client.py", "pkg/testing.py", "pkg/test_support/x.py", ".github/README.md",
        "pkg/config.json", "src/index.ts", "app.py", "web/next.config.js", "src/lint.py", ".zshrc", "docs/editorconfig.md",
    ],
)  # fmt: skip
def test_product_documents_and_new_tests_are_free(path: str) -> None:
    assert not protection().is_protected(path), protection().why(path)


def test_allow_wins_over_defaults_and_not_over_what_decides_everything() -> None:
    allowed = protection(VerifySpec(allow=("pyproject.toml", "tests/data/**", ".gitattributes", "perstack.toml")))
    assert not allowed.is_protected("pyproject.toml")
    assert not allowed.is_protected("tests/data/a.json")
    assert allowed.is_protected("tests/test_core.py")
    assert allowed.is_protected(".gitattributes")
    assert allowed.is_protected("perstack.toml")


def test_protect_adds_and_wins_over_allow() -> None:
    spec = SignalSpec("t", SignalKind.COMMAND, ("true",), protect=("schema/*.sql",))
    added = protection(VerifySpec(protect=("pkg/core.py",), allow=("pkg/**",)), spec)
    assert added.is_protected("pkg/core.py")
    assert added.is_protected("schema/a.sql")


def test_a_script_that_a_signal_runs_is_part_of_the_signal_and_the_product_is_not() -> None:
    specs = (
        SignalSpec("c", SignalKind.COMMAND, ("bash", "scripts/check.sh")),
        SignalSpec("p", SignalKind.COMMAND, ("python3", "app.py")),
    )
    guarded = protection(None, *specs)
    assert guarded.is_protected("scripts/check.sh")
    assert not guarded.is_protected("app.py")


PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["a"]\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.parametrize(
    ("path", "before", "after", "harmless"),
    [
        ("pyproject.toml", PROJECT, PROJECT.replace('"1"', '"2"') + "# note\n", True),
        ("pyproject.toml", PROJECT, PROJECT.replace('["a"]', '["a", "b"]'), False),
        ("pyproject.toml", PROJECT, PROJECT.replace('"-q"', '"-k x"'), False),
        ("pyproject.toml", PROJECT, PROJECT + "[tool.ruff]\nignore = ['E']\n", False),
        ("pyproject.toml", PROJECT, "not toml [", False),
        ("package.json", '{"version": "1", "scripts": {"test": "jest"}}', '{"version": "2", "scripts": {"test": "jest"}}', True),
        ("package.json", '{"version": "1", "scripts": {"test": "jest"}}', '{"version": "2", "scripts": {"test": "true"}}', False),
        ("package.json", '{"scripts": {"test": "jest"}}', '{"scripts": {"test": "true"}, "scripts": {"test": "jest"}}', False),
        ("setup.cfg", "[metadata]\nversion = 1\n[tool:pytest]\naddopts=-q\n", "[metadata]\nversion = 2\n[tool:pytest]\naddopts=-q\n", True),
        ("setup.cfg", "[metadata]\nversion = 1\n", "[metadata]\nversion = 2\n[tool:pytest]\naddopts=-x\n", False),
        ("Cargo.toml", '[package]\nversion = "1"\n', '[package]\nversion = "2"\n', True),
        ("Cargo.toml", '[package]\nversion = "1"\n', '[package]\nversion = "1"\n[lib]\ntest = false\n', False),
        ("setup.py", "setup(name='x', version='1')", "setup(name='x', version='2')", True),
        ("setup.py", "setup(name='x', version='1')", "setup(name='x', version=open('v').read())", False),
        ("tox.ini", "a=1", "a=2", False),
    ],
)  # fmt: skip
def test_only_what_people_read_may_change_in_a_manifest(path: str, before: str, after: str, harmless: bool) -> None:
    assert only_metadata(path, before, after) is harmless
