"""`perstack doctor` on real sandboxes, a model server and the GitHub server: what it finds and exits with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from perstack.api import Host, Inside
from perstack.core.errors import ExitCode
from perstack.core.experts import Config, Expert, SkillSpec
from perstack.core.sandbox import SandboxSpec, SetupNetwork
from perstack.interface.doctor import machine
from perstack.interface.doctor.finding import State
from perstack.interface.main import run
from perstack.testing import ProjectBuilder
from tests.github_server import READ_ALL, GithubServer, Scene
from tests.github_server.openapi import PACKAGE
from tests.interface.model import model

pytestmark = pytest.mark.slow

Doctor = Callable[..., tuple[int, dict[str, Any]]]
TOML = '[signals.tests]\nkind = "test"\nrun = "python3 -m pytest -q"\n'
SKILLED = """
[experts.mine]
instruction = "Do it."
[experts.mine.skills.web]
type = "mcpStdioSkill"
command = "npx"
packageName = "web-of-mine"
"""
SECRET = "sk-not-a-real-key-000"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process environment that says nothing of GitHub or of models."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "PERSTACK_", "ANTHROPIC_", "OPENAI_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
async def repo(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    project = ProjectBuilder(tmp_path / "project")
    await project.commit("Start", {"perstack.toml": TOML, "tests/test_a.py": "def test_a(): pass\n"})
    return project.path


@pytest.fixture
def doctor(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Exit code, and state, message and hint of each finding by its name."""

    def ask(*arguments: object) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run(["doctor", "--format", "json", *map(str, arguments)])
        document = json.loads(capsys.readouterr().out)
        assert document["ok"] == (code == 0)
        return code, {each["check"]: each for each in document["findings"]}

    return ask


@pytest.mark.anyio
async def test_nothing_keeps_a_job_from_working_in_a_sound_checkout(repo: Path, doctor: Doctor) -> None:
    code, found = await _in_thread(doctor, "--repo", repo, "--sandbox", "bubblewrap")
    assert code == ExitCode.OK
    assert {name: each["state"] for name, each in found.items()} == dict.fromkeys(
        ("git", "configuration", "signals", "sandbox", "guarantees", "egress", "secrets", "model"), "ok"
    )
    assert "closed" in found["egress"]["message"]
    assert "no interface but loopback" in found["egress"]["message"]
    assert "configured: tests (python3 -m pytest -q)" in found["signals"]["message"]


@pytest.mark.anyio
async def test_a_network_that_is_open_is_seen_by_reaching_through_it(
    repo: Path, doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    """The host back end is open, and the attempt gets through; of a sandbox that would be a problem."""
    code, found = await _in_thread(doctor, "--repo", repo, "--sandbox", "host")
    assert code == ExitCode.OK
    assert (found["sandbox"]["state"], found["egress"]["state"]) == ("warning", "warning")
    open_one = machine._egress(Inside("docker", reached=True, probe="python3"))
    assert (open_one.state, open_one.code) == (State.PROBLEM, ExitCode.INFRASTRUCTURE)
    untold = machine._egress(Inside("docker", interfaces=("eth0",)))
    assert (untold.state, "eth0" in untold.message) == (State.NOTE, True)
    leaking = machine._secrets(Inside("docker", leaked=("ANTHROPIC_API_KEY",)))
    assert (leaking.state, "ANTHROPIC_API_KEY" in leaking.message) == (State.PROBLEM, True)


@pytest.mark.anyio
async def test_a_program_that_no_sandbox_has_is_named_before_a_job_fails_on_it(repo: Path, doctor: Doctor) -> None:
    (repo / "perstack.toml").write_text(f'[signals.build]\nkind = "command"\nrun = "no-such-tool"\n{SKILLED}')
    code, found = await _in_thread(doctor, "--repo", repo, "--sandbox", "bubblewrap")
    assert code == ExitCode.USAGE
    assert "no-such-tool" in found["programs"]["message"]
    assert found["proxy"]["state"] == "ok", "a skill of their own has to be fetched; what is built in has not"
    there = SkillSpec("there", "mcpStdioSkill", command="node", args=("server.js",))
    own = Config(experts={"mine": Expert("mine", "Do it.", skills={"there": there})})
    host = Host(env={}, path=(), scratch=repo, storage=repo)
    assert machine._proxy(host, Inside("docker"), own, SandboxSpec()) == (), "a program that is there is not fetched"
    (excused,) = machine._programs(
        Inside("docker", missing=("x",)), Config(sandbox=SandboxSpec(setup=("make x",))), SandboxSpec()
    )
    assert excused.state is State.NOTE


@pytest.mark.parametrize(("inside", "open_", "told"), [("docker", True, 1), ("docker", False, 0), ("host", True, 0)])
def test_a_build_over_the_network_of_the_engine_is_warned_of(inside: str, open_: bool, told: int) -> None:
    config = Config(sandbox=SandboxSpec(build="ci/Dockerfile", network=SetupNetwork(open=open_)))
    found = machine._builds(Inside(inside), config)
    assert [each.state for each in found] == [State.WARNING] * told
    assert all("ci/Dockerfile" in each.message and "not through the proxy" in each.message for each in found)


@pytest.mark.anyio
async def test_a_configuration_is_told_with_its_line(repo: Path, doctor: Doctor) -> None:
    (repo / "perstack.toml").write_text("[signals.tests]\nkind = 3\n")
    code, found = await _in_thread(doctor, "--repo", repo, "--sandbox", "bubblewrap")
    assert code == ExitCode.USAGE
    assert "perstack.toml:2" in found["configuration"]["message"]


@pytest.mark.anyio
async def test_a_model_is_asked_and_its_refusal_told_without_the_key(
    repo: Path, doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    options = ("--repo", repo, "--sandbox", "bubblewrap", "--provider", "openai-compatible", "--model", "test-1")
    with model({"reached": ["ok"]}) as server:
        for name, value in server.env().items():
            environment.setenv(name, value)
        code, found = await _in_thread(doctor, *options)
        assert (code, found["model"]["state"]) == (ExitCode.OK, "ok")
        assert len(server.requests) == 1
        limits = {server.requests[0].get(name) for name in ("max_completion_tokens", "max_tokens")}
        assert 64 in limits, "a few tokens, and no more"
    with model({"reached": [401]}) as server:
        environment.setenv("OPENAI_COMPATIBLE_BASE_URL", server.url)
        environment.setenv("OPENAI_COMPATIBLE_API_KEY", SECRET)
        code, found = await _in_thread(doctor, *options)
    assert (code, found["model"]["state"]) == (ExitCode.INFRASTRUCTURE, "problem")
    assert SECRET not in json.dumps(found)


def test_a_missing_key_is_a_matter_of_configuration_and_asks_nobody(doctor: Doctor) -> None:
    code, found = doctor("--quick", "--provider", "anthropic", "--sandbox", "bubblewrap")
    assert code == ExitCode.USAGE
    assert found["model"]["message"] == "ANTHROPIC_API_KEY is not set"
    assert found["model"]["hint"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path / "git") as server:
        yield Scene(server, base={"perstack.toml": TOML})
        assert server.state.violations == []


def on_runner(environment: pytest.MonkeyPatch, scene: Scene, tmp_path: Path, payload: Any, token: str) -> None:
    (tmp_path / "event.json").write_text(json.dumps(payload))
    values = {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "issue_comment", "GITHUB_REPOSITORY": scene.name,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_API_URL": scene.server.url,
        "GITHUB_SERVER_URL": scene.server.url, "PERSTACK_GITHUB_TOKEN": token, "PERSTACK_SANDBOX": "bubblewrap",
    }  # fmt: skip
    for name, value in values.items():
        environment.setenv(name, value)
    environment.chdir(tmp_path)


def test_on_a_runner_the_token_is_tried_by_reading_and_nothing_is_written(
    scene: Scene, doctor: Doctor, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    payload = scene.comment("/perstack fix")[1]
    on_runner(environment, scene, tmp_path, payload, scene.server.token(READ_ALL))
    code, found = doctor()
    assert code == ExitCode.OK
    assert "fix of #2" in found["event"]["message"]
    assert "contents" in found["permissions"]["message"]
    assert "the token reads contents, issues, pull-requests, checks" in found["repository"]["message"]
    assert found["configuration"]["message"] == "perstack.toml is valid"
    assert {request["method"] for request in scene.server.state.requests} == {"GET"}


def test_what_a_token_lacks_is_named_with_the_permission_to_add(
    scene: Scene, doctor: Doctor, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacks_checks = scene.server.token({"contents": "read", "issues": "read", "pull-requests": "read"})
    lacks_pulls = scene.server.token({"contents": "read", "checks": "read"})
    for token, code, name, words in (
        (lacks_checks, 0, "token: checks", "checks: write"),
        (lacks_pulls, 2, "token: pull-requests", "pull-requests: write"),
        ("ghs_expired_long_ago", 4, "repository", "token"),
    ):
        on_runner(environment, scene, tmp_path, scene.comment("/perstack fix")[1], token)
        told, found = doctor()
        assert (told, words in found[name]["hint"]) == (code, True), found
        assert token not in json.dumps(found)


def test_at_the_start_of_a_job_only_what_matters_is_said(
    scene: Scene, environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_runner(environment, scene, tmp_path, scene.comment("Nice work")[1], "ghs_x")
    assert run(["doctor", "--quick"]) == ExitCode.OK
    assert capsys.readouterr().out == "", "an event that asks for nothing"
    on_runner(environment, scene, tmp_path, scene.comment("/perstack fix")[1], "ghp_somebody")
    environment.setenv("PERSTACK_PROVIDER", "anthropic")
    assert run(["doctor", "--quick"]) == ExitCode.USAGE
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("perstack: git ")
    assert [line.partition("::")[2].partition("::")[0] for line in said[1:]] == [
        "warning title=Perstack%3A token", "warning title=Perstack%3A model",
    ]  # fmt: skip
    assert scene.server.state.requests == []


async def _in_thread(doctor: Doctor, *arguments: object) -> tuple[int, dict[str, Any]]:
    """The command has an event loop of its own."""
    return await to_thread.run_sync(lambda: doctor(*arguments))
