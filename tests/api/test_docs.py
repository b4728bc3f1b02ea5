"""The documentation of the API runs: every block of its page, and every example with the output it promises."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import perstack
from perstack.api.asking import RunOptions
from perstack.testing import ProjectBuilder
from tests.interface.scene import FILES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
READER = '\n[experts."reader"]\ninstruction = "Read."\n'
# Executes the blocks of its standard input one after the other, as a reader would type them, each on its own.
RUNNER = """
import ast, asyncio, inspect, json, sys, types

async def run(code, names):
    waiting = types.FunctionType(code, names)()
    if inspect.isawaitable(waiting):
        await waiting

for number, block in enumerate(json.load(sys.stdin), 1):
    names = {}
    code = compile(block, f"block {number} of docs/api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    asyncio.run(run(code, names))
    ends = [names[name] for name in ("result", "first", "more") if name in names]
    ends += [names["nightly"]()] if "nightly" in names else []
    assert all(end.ok for end in ends), (number, ends)
    if "outcome" in names:
        assert (names["report"].verdict, names["outcome"].verdict) == ("fail", "pass"), names
    print(f"block {number} ran")
"""


def python(*arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh interpreter without Docker, where bubblewrap is chosen and starts at once; and without any key."""
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(cwd),
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "PERSTACK_PROVIDER": "search",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_every_block_of_the_page_runs(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "project")
    files = {**FILES, "perstack.toml": FILES["perstack.toml"] + READER, ".gitignore": "perstack/\n"}
    asyncio.run(project.commit("Start", files))
    done = python("-c", RUNNER, cwd=project.path, stdin=json.dumps(BLOCKS))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ran\n") == len(BLOCKS) >= 8


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_it_promises(tmp_path: Path, example: Path) -> None:
    words = ast.get_docstring(ast.parse(example.read_text("utf-8"))) or ""
    promised = inspect.cleandoc(words.partition("Prints:\n")[2])
    done = python(str(example), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert promised
    assert done.stdout == f"{promised}\n"


def test_every_option_and_every_function_is_described() -> None:
    for option in RunOptions.__optional_keys__:
        assert f"`{option}`" in PAGE, option
    for name in perstack.__all__:
        if inspect.isfunction(getattr(perstack, name)) and name != "record_from":
            assert re.search(rf"\b{name}\b", PAGE), name


def test_every_example_is_linked_or_in_the_folder_that_is() -> None:
    assert "(../examples)" in PAGE
    assert len(EXAMPLES) >= 7
