"""The builder with the real base tools in a real sandbox: the same calls as in a job, nothing of ours in between."""

import shutil
import sys
from pathlib import Path

import pytest

from perstack.core.messages import ExpertMessage, Message, ModelRequest, TextPart, ToolCall, ToolMessage, UserMessage
from perstack.core.sandbox import Snapshot
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from perstack.infrastructure.workspace import Workspace
from perstack.providers.search import SearchProvider
from perstack.skills.base import BaseSkill
from tests.search.loop import pytest_run, query
from tests.search.test_build import SHAPES, UNIT, project

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]


async def test_a_bug_is_fixed_through_the_base_tools_inside_bubblewrap(tmp_path: Path) -> None:
    files, guilty = SHAPES[UNIT]
    root = project(tmp_path / "work", files)
    text = query("build", ["test_chunks.py::test_the_rest_comes_last"], run=["python3", "-m", "pytest", "-q"])
    messages: list[Message] = [UserMessage("u", (TextPart(text),))]
    provider = SearchProvider()
    result = ""
    async with Bubblewrap((Path(sys.executable).parent,)).open(Snapshot("", ""), root) as session:
        skill = BaseSkill(Workspace(root, seen_as=session.workspace), session)
        tools = tuple(await skill.definitions())
        for step in range(12):
            reply = await provider.generate(ModelRequest("m", "", tuple(messages), tools), lambda _: None)
            calls = [part for part in reply.contents if isinstance(part, ToolCall)]
            if calls[0].tool_name == "attemptCompletion":
                result = str(calls[0].args["result"])
                break
            results = tuple([await skill.call(call) for call in calls])
            messages += [ExpertMessage(f"e{step}", reply.contents), ToolMessage(f"t{step}", results)]
    assert f"Changed {guilty}:" in result
    assert pytest_run(root).returncode == 0
    assert sorted(p.name for p in root.iterdir() if p.name != "__pycache__") == sorted(files)
