"""A fix whose experts look things up: plan and build search, the build edits, and what it finds is the edited file."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import ExitCode
from perstack.core.json import JsonObject
from perstack.core.messages import ModelReply, ModelRequest, ToolMessage
from perstack.providers.scripted import ScriptedProvider
from perstack.testing import done, reply
from tests.interface.scene import FILES, FIXED, TOML, Scene

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_SKILLS = "".join(
    f'[experts."{expert}"]\ninstruction = "Work."\n'
    + "".join(
        f'[experts."{expert}".skills."@perstack/{skill}"]\ntype = "mcpStdioSkill"\ncommand = "npx"\n'
        f'packageName = "@perstack/{skill}"\n'
        for skill in ("base", "retrieval")
    )
    for expert in ("finder", "builder")
)
_PIPELINE = '[pipelines.fix]\nplan = "finder"\nbuild = "builder"\n'


class Searching:
    """A model that looks before it writes. `heard` are the results of tools in order, by tool."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self._steps: dict[str, list[tuple[str, JsonObject]]] = {
            "plan": [("searchRanked", {"query": "median of an even list"}), ("history", {"path": "calc.py"})],
            "build": [
                ("outline", {"path": "calc.py"}),
                ("readTextFile", {"path": "calc.py"}),
                ("writeTextFile", {"path": "calc.py", "text": FIXED}),
                ("searchText", {"pattern": "n // 2 - 1", "fixed": True}),
                ("failures", {}),
            ],
        }

    def __call__(self, request: ModelRequest) -> ModelReply:
        tools = {tool.name for tool in request.tools}
        role = "build" if "writeTextFile" in tools and "runSignals" not in tools else "plan"
        results = [part.text for each in request.messages if isinstance(each, ToolMessage) for part in each.results]
        steps = self._steps[role] if "searchRanked" in tools else []
        if results and len(results) <= len(steps):
            self.heard.append((steps[len(results) - 1][0], results[-1]))
        if len(results) < len(steps):
            return reply(calls=[steps[len(results)]])
        return done("The median of an even list takes one middle value.")


async def test_experts_of_a_fix_search_outline_edit_and_find_their_edit(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, files={**FILES, "perstack.toml": TOML + _PIPELINE + _SKILLS})
    model = Searching()
    result = await scene.run(arguments="the even case", host={"model_provider": ScriptedProvider(model)})
    assert result.exit_code == ExitCode.OK, scene.comment()
    heard = dict(model.heard)
    assert "calc.py:1" in heard["searchRanked"]
    assert "function median" in heard["outline"]
    assert "calc.py:6:" in heard["searchText"]
    assert "No signal has failed" in heard["failures"]
    assert "no commit" not in heard["history"]
    assert "ada" in heard["history"].lower() or scene.main[:7] in heard["history"] or "median" in heard["history"]
    indexes = list(tmp_path.rglob("retrieval/v1/*/lock"))
    assert len(indexes) == 1  # each expert has a copy of the files in another folder, all share one index
