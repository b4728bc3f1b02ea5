"""Skills as they are in earnest: their servers in sandboxes of their own, with only what they may have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from perstack.core.contracts import Service
from perstack.core.experts import SkillSpec
from perstack.core.sandbox import Mount
from perstack.infrastructure.sandbox.ownership import given_back
from perstack.skills.mcp.making import Surroundings, skills_of
from perstack.testing import expert
from tests.infrastructure.sandboxes import all_gone, back_end, plain
from tests.skills.mcp.serving import HOSTILE, PATIENCE, Told, call, texts

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("name", ["bubblewrap", "docker"])
async def test_a_server_in_a_sandbox_works_crashes_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    sandbox = await back_end(name, tmp_path / "cache")
    made = await plain(sandbox, tmp_path)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    script = Mount(Path(HOSTILE[-1]), "/skill/hostile_server.py")
    word = f"marker-{name}-{tmp_path.name}"
    spec = SkillSpec("local", command="python3", args=(script.target, word), required_env=("API_TOKEN",))
    host = {"API_TOKEN": "t-1", "OPENAI_API_KEY": "sk-never"}

    def serve(spec: SkillSpec, env: Mapping[str, str]) -> AbstractAsyncContextManager[Service]:
        return sandbox.serve(made, workspace, ("python3", *spec.args), mounts=[script], env=env)

    with given_back(workspace):
        async with anyio.create_task_group() as tasks:
            around = Surroundings(tasks, serve, env=host, patience=PATIENCE)
            (skill,) = skills_of(expert(skills={"local": spec}), around)
            told = Told()
            await skill.open(told)
            seen = json.loads((await call(skill, "env")).text)
            assert seen["API_TOKEN"] == "t-1"
            assert not any("sk-never" in value for value in seen.values())
            killed = await call(skill, "die")
            assert killed.is_error
            assert "is gone: it was ended by signal 9" in killed.text
            assert texts(await call(skill, "echo", text="again")) == ["again"]
            assert len((await call(skill, "huge", size=3_000_000)).text) <= 30_000
            await skill.close()
            assert told.kinds().count("skillDisconnected") == 2
            assert await all_gone(word)
