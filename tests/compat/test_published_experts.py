"""Every expert of every published definition runs to its end, whatever its skills and delegates are."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from perstack.core.experts import BASE_SKILL
from perstack.testing import done
from tests.compat.bench import Bench
from tests.compat.published import FILES, text_of

pytestmark = pytest.mark.anyio

EXPERTS = [
    (file.stem, key, table)
    for file in FILES
    for key, table in tomllib.loads(file.read_text("utf-8"))["experts"].items()
    if "nonexistent-expert" not in table.get("delegates", [])
]
SERVERS = [
    any(skill.get("command") and name != BASE_SKILL for name, skill in table["skills"].items()) for *_, table in EXPERTS
]


@pytest.mark.parametrize(
    ("file", "key"),
    [
        pytest.param(file, key, id=key, marks=[pytest.mark.slow] if server else [])
        for (file, key, _), server in zip(EXPERTS, SERVERS, strict=True)
    ],
)
async def test_an_expert_connects_its_skills_and_completes(tmp_path: Path, file: str, key: str) -> None:
    bench = Bench.of(tmp_path, text_of(file), {key: [done("OK")]}).stand_in_for_all()
    expert = bench.config.experts[key]

    ended = await bench.run(key)

    assert (ended.outcome.status, ended.outcome.text) == ("completed", "OK")
    started = {name for name, spec in expert.skills.items() if spec.type != "interactiveSkill" and not spec.lazy_init}
    assert started <= {event["skillName"] for event in ended.payloads("skillConnected")}
    offered = set(bench.tools_of())
    assert {delegate.rpartition("/")[2] for delegate in expert.delegates} <= offered
    assert {tool for spec in expert.skills.values() for tool in spec.tools} <= offered
    base = expert.skills[BASE_SKILL]
    assert set(base.pick) - {"think"} <= offered
    assert not set(base.omit) & offered
