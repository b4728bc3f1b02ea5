"""The parts without a server: cutting lines, cleaning words, bounding noise, the environment, who gets made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from perstack.core.contracts import Service
from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, SkillSpec
from perstack.core.messages import ToolDefinition
from perstack.skills.mcp.environment import command_line, environment, missing_variables
from perstack.skills.mcp.lines import Lines, LineTooLong
from perstack.skills.mcp.making import Surroundings, skills_of
from perstack.skills.mcp.noise import Noise
from perstack.skills.mcp.skill import AbsentSkill, HttpSkill, StdioSkill
from perstack.skills.mcp.words import plain, plain_json, result_text
from perstack.testing import expert
from tests.skills.mcp.serving import Told, call


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_the_bytes_come(size: int) -> None:
    data = b'{"a":1}\n\n{"b":2}\r\n{"c":3}\nrest'
    lines = Lines(20)
    found = [line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size])]
    assert found == [b'{"a":1}', b"", b'{"b":2}', b'{"c":3}']
    assert lines.rest() == b"rest"
    assert lines.rest() == b""


def test_a_line_over_the_limit_is_not_kept() -> None:
    lines = Lines(10)
    assert list(lines.feed(b"x" * 5)) == []
    with pytest.raises(LineTooLong):
        list(lines.feed(b"x" * 6))
    assert lines.rest() == b""


def test_words_of_a_server_lose_what_people_do_not_see() -> None:
    assert plain("a\x1b[31mred\x1b[0m \x1b]0;title\x07b\u200b\u202ec\U000e0041\x00\x9b", 100) == "ared bc"
    assert plain("  long enough  ", 5) == "long…"
    assert result_text("a\tb\r\n\u200dc\x1b\x00\U000e0041\U000e0101") == "a\tb\r\n\u200dc"
    assert plain_json({"ti\u200btle": ["a\x07", 1, None, True]}, 10) == {"title": ["a", 1, None, True]}


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: object = {}
    for _ in range(40):
        schema = {"properties": schema}
    with pytest.raises(ValueError, match="nested deeper"):
        plain_json(schema, 10)  # type: ignore[arg-type]


def test_noise_is_told_at_a_bounded_rate_and_the_rest_is_counted() -> None:
    said: list[str] = []
    now = 0.0
    noise = Noise(said.append, lambda: now)
    for number in range(500):
        noise.line(f"line {number}")
    assert said == [f"line {number}" for number in range(100)]
    now = 1.0
    noise.line("later")
    assert said[100:] == ["[400 lines left out]", "later"]
    assert noise.last_words().splitlines()[-2:] == ["line 499", "later"]
    noise.remark("we say this anyway")
    noise.line("\x1b[2K  ")
    assert said[-1] == "we say this anyway"


def test_noise_ends_for_good_after_some_thousand_lines() -> None:
    said: list[str] = []
    now = 0.0
    noise = Noise(said.append, lambda: now)
    for number in range(5_000):
        now = float(number)
        noise.line("again")
    noise.flush()
    assert said == ["again"] * 2_000 + ["[3,000 lines left out]"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (SkillSpec("s", command="npx", package_name="exa-mcp-server"), ("npx", "-y", "exa-mcp-server")),
        (SkillSpec("s", command="npx", args=("-y", "p", "--flag")), ("npx", "-y", "p", "--flag")),
        (SkillSpec("s", command="npx", args=("p",)), ("npx", "-y", "p")),
        (SkillSpec("s", command="uvx", package_name="mcp-server-git"), ("uvx", "mcp-server-git")),
        (SkillSpec("s", command="python", args=("-m", "server")), ("python", "-m", "server")),
    ],
)
def test_the_command_is_the_written_one_and_npx_never_asks(spec: SkillSpec, words: tuple[str, ...]) -> None:
    assert command_line(spec) == words


@pytest.mark.threat("K3")
def test_a_server_gets_the_values_it_names_and_none_that_steers_a_process() -> None:
    spec = SkillSpec("search", required_env=("EXA_KEY", "Path", "LD_PRELOAD", "NODE_OPTIONS", "https_proxy"))
    host = {"EXA_KEY": "k", "Path": "/evil", "LD_PRELOAD": "x.so", "OPENAI_API_KEY": "secret"}
    assert environment(spec, host) == {"EXA_KEY": "k"}
    assert missing_variables(spec, host) == ()


@pytest.mark.parametrize("env", [{}, {"EXA_KEY": ""}])
def test_a_missing_value_is_named(env: Mapping[str, str]) -> None:
    with pytest.raises(UserError, match="Skill search requires environment variable EXA_KEY"):
        environment(SkillSpec("search", required_env=("EXA_KEY",)), env)


def never(spec: SkillSpec, env: Mapping[str, str]) -> AbstractAsyncContextManager[Service]:
    raise AssertionError(f"{spec.name} was started")


SKILLS = {
    BASE_SKILL: SkillSpec(BASE_SKILL),
    "local": SkillSpec("local", command="python", args=("-m", "server")),
    "search": SkillSpec("search", command="npx", package_name="exa", required_env=("EXA_KEY",)),
    "remote": SkillSpec("remote", "mcpSseSkill", endpoint="https://tools.example.com/mcp"),
    "person": SkillSpec("person", "interactiveSkill", tools={"ask": ("", "{}")}),
}


@pytest.mark.anyio
async def test_an_expert_s_skills_are_made_without_starting_anything() -> None:
    known = {
        "local": [ToolDefinition("echo", "Says it.", {"type": "object"}, "local")],
        "search": [],
        "remote": [],
    }
    async with anyio.create_task_group() as tasks:
        around = Surroundings(tasks, never, env={"EXA_KEY": "k"})
        skills = skills_of(expert(skills=SKILLS), around, known)
        assert [type(skill) for skill in skills] == [StdioSkill, StdioSkill, HttpSkill]
        assert [skill.name for skill in skills] == ["local", "search", "remote"]
        for skill in skills:
            await skill.open(Told())
        assert [len(await skill.definitions()) for skill in skills] == [1, 0, 0]


@pytest.mark.anyio
async def test_a_skill_without_its_value_is_left_out_and_says_so() -> None:
    async with anyio.create_task_group() as tasks:
        skill = skills_of(expert(skills=SKILLS), Surroundings(tasks, never))[1]
        assert isinstance(skill, AbsentSkill)
        told = Told()
        await skill.open(told)
        assert told.said() == ["left out: it requires environment variable EXA_KEY, which has no value"]
        assert await skill.definitions() == ()
        assert (await call(skill, "search")).is_error
        with pytest.raises(UserError, match="Skill search requires environment variable EXA_KEY"):
            skills_of(expert(skills=SKILLS), Surroundings(tasks, never, missing="error"))
