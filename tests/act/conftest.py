"""A server, and a scene on it whose pull request is red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.act.runner import Act
from tests.github_server import GithubServer, Scene
from tests.github_server.openapi import PACKAGE
from tests.interface.scene import FILES, FIXED

MakeScene = Callable[..., Scene]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GithubServer]:
    """A server that ends without a violation of GitHub's description."""
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path / "git") as server:
        yield server
        assert server.state.violations == []


def _scene(server: GithubServer, **more: Any) -> Scene:
    return Scene(server, **{"base": {**FILES, "calc.py": FIXED}, "head": FILES, **more})


@pytest.fixture
def make_scene(server: GithubServer) -> MakeScene:
    """`main` is green, pull request 2 breaks it; give `base` and `head` for something else."""
    return partial(_scene, server)


@pytest.fixture
def scene(make_scene: MakeScene) -> Scene:
    return make_scene()


@pytest.fixture(scope="session")
def act(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Act:
    """act with one workspace of its own, and one tool cache for all processes of the session."""
    base = tmp_path_factory.getbasetemp()
    return Act(tmp_path_factory.mktemp("act"), (base if worker_id == "master" else base.parent) / "act-cache")
