"""Two skills of one expert with domains of their own: each has its own way out, and neither the other's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import perstack
from perstack.testing import Collect, done, reply
from tests.api.kit import options
from tests.infrastructure.egress.world import skip_without_tools

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SKILL = """
[experts."asker".skills."{name}"]
type = "mcpStdioSkill"
command = "python3"
args = ["asking_server.py", "{name}"]
allowedDomains = ["{name}.invalid"]
"""


@pytest.mark.threat("D13", "E6", on="bubblewrap")
async def test_neither_skill_goes_where_the_other_may(tmp_path: Path) -> None:
    skip_without_tools()
    shutil.copy(Path(__file__).with_name("asking_server.py"), tmp_path)
    text = '[experts."asker"]\ninstruction = "Ask."\n' + SKILL.format(name="one") + SKILL.format(name="two")
    (tmp_path / "perstack.toml").write_text(text)
    tried = [(skill, {"name": f"{name}.invalid"}) for skill in ("one", "two") for name in ("one", "two")]
    seen = Collect()
    given = options(
        tmp_path, reply(calls=tried), done(), sandbox="bubblewrap", config=tmp_path / "perstack.toml", on_event=seen
    )
    found = await perstack.run("asker", "Ask both.", **given)
    assert found.ok, found.error
    # No such name exists: an allowed one fails for that alone.
    told = [event.payload for event in seen.events if event.type == "proxyAccess"]
    assert {(each["skill"], each["domain"], each["action"]) for each in told} == {
        ("one", "one.invalid", "allowed"), ("one", "two.invalid", "blocked"),
        ("two", "two.invalid", "allowed"), ("two", "one.invalid", "blocked"),
    }  # fmt: skip
    assert str(seen.first("resolveToolResults").payload).count(" 403 ") == 2
