"""A GitHub for tests that fails the test when its official API description objects to anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge.bench import Bench
from tests.github_server import GithubServer, Scene
from tests.github_server.openapi import PACKAGE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GithubServer]:
    """An empty server; the test fails on any violation of GitHub's description."""
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path / "github") as running:
        yield running
    assert running.state.violations == []


@pytest.fixture
def bench(server: GithubServer, tmp_path: Path) -> Bench:
    """A forge with all permissions on a repository with a pull request and an issue."""
    return Bench(Scene(server), tmp_path)


@pytest.fixture
def fork_bench(server: GithubServer, tmp_path: Path) -> Bench:
    """The same with a pull request from a fork."""
    return Bench(Scene(server, fork=True), tmp_path)
