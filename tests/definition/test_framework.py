"""A test runner is recognised from the words of a command."""

from __future__ import annotations

import shlex

import pytest

from perstack.definition.framework import recognise


@pytest.mark.parametrize(
    ("command", "framework"),
    [
        ("pytest -q", "pytest"),
        ("python3 -m pytest -q", "pytest"),
        ("/usr/bin/python3.12 -P -m pytest", "pytest"),
        ("python -m coverage run -m pytest", "pytest"),
        ("coverage run -m pytest", "pytest"),
        ("uv run pytest tests", "pytest"),
        ("uv run --frozen pytest", "pytest"),
        ("poetry run python -m pytest", "pytest"),
        ("env CI=1 pytest", "pytest"),
        (".venv/bin/pytest", "pytest"),
        ("python -m unittest discover", "unittest"),
        ("npx --no-install jest --ci", "jest"),
        ("pnpm exec vitest run", "vitest"),
        ("go test ./...", "go"),
        ("cargo nextest run", "cargo"),
        ("./mvnw -B test", "maven"),
        ("./gradlew check", "gradle"),
        ("ctest --output-on-failure", "ctest"),
        ("make test", ""),
        ("go build ./...", ""),
        ("python -m ruff check", ""),
        ("python run_pytest.py", ""),
        ("ruff check", ""),
        ("python -m", ""),
        ("npx", ""),
        ("uv run", ""),
        ("", ""),
    ],
)
def test_a_command_is_recognised(command: str, framework: str) -> None:
    assert recognise(shlex.split(command)) == framework
