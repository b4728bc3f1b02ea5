"""The published lock file definition: installed, run with the lock file, and run without it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import anyio
import pytest

from perstack.api.configuration import read_config
from perstack.core.experts import BASE_SKILL
from perstack.testing import done, reply
from tests.compat.bench import Bench
from tests.compat.published import text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCRIPT = {"e2e-lockfile": [reply(calls=[("healthCheck", {})]), done("lockfile-test-ok")]}


async def test_a_lock_file_is_written_and_used_and_not_needed(tmp_path: Path) -> None:
    file, lock = tmp_path / "perstack.toml", tmp_path / "perstack.lock"
    file.write_text(text_of("lockfile"))
    command = [sys.executable, "-m", "perstack", "install", "--sandbox", "host"]
    with anyio.fail_after(60):
        installed = await anyio.run_process(command, cwd=tmp_path)

    assert installed.stdout.decode().splitlines() == [
        "Resolving experts...",
        "Found 1 expert(s)",
        "Collecting tool definitions for e2e-lockfile...",
        "  Found 2 tool(s)",
        f"Generated {lock}",
    ]
    written = tomllib.loads(lock.read_text("utf-8"))
    assert (written["version"], written["configPath"]) == ("1", "perstack.toml")
    assert isinstance(written["generatedAt"], int)
    tools = written["experts"]["e2e-lockfile"]["toolDefinitions"]
    assert {tool["name"] for tool in tools} == {"attemptCompletion", "healthCheck"}
    assert {tool["skillName"] for tool in tools} == {BASE_SKILL}
    assert all(tool["inputSchema"]["type"] == "object" for tool in tools)

    locked = await Bench(tmp_path, read_config(file), SCRIPT).run("e2e-lockfile")
    lock.unlink()
    plain = await Bench(tmp_path, read_config(file), SCRIPT).run("e2e-lockfile")

    assert locked.outcome.text == plain.outcome.text == "lockfile-test-ok"
    assert locked.told.types() == plain.told.types()
