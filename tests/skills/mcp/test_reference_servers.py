"""Public reference servers do their real work as skills: files, everything, git, time. None is written here."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from perstack.testing import ProjectBuilder
from tests.skills.mcp.serving import EVERYTHING, FILESYSTEM, PATIENCE, call, connected, images, names, texts

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GIT = ("mcp-server-git",)
TIME = ("mcp-server-time", "--local-timezone", "UTC")


async def test_the_filesystem_server_reads_and_writes_within_the_workspace_only(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "secret.txt").write_text("not yours")
    async with connected((*FILESYSTEM, str(workspace)), cwd=workspace) as (skill, told):
        assert {"read_text_file", "write_file", "list_directory"} <= await names(skill)
        file = workspace / "notes.txt"
        written = await call(skill, "write_file", path=str(file), content="one\ntwo\n")
        assert not written.is_error
        assert file.read_text() == "one\ntwo\n"
        assert (await call(skill, "read_text_file", path=str(file))).text == "one\ntwo\n"
        outside = await call(skill, "read_text_file", path=str(tmp_path / "secret.txt"))
        assert outside.is_error
        assert "not yours" not in outside.text
        read_only = {tool.name for tool in await skill.definitions() if tool.read_only}
        assert "read_text_file" in read_only
        assert "write_file" not in read_only
        durations = told.first("skillConnected")
        assert {"spawnDurationMs", "handshakeDurationMs", "toolDiscoveryDurationMs", "totalDurationMs"} < set(durations)


async def test_the_everything_server_shows_every_kind_of_result() -> None:
    async with connected(EVERYTHING, env={"API_TOKEN": "t-1"}) as (skill, told):
        assert texts(await call(skill, "echo", message="hello")) == ["Echo: hello"]
        image = await call(skill, "get-tiny-image")
        assert [part.mime_type for part in images(image)] == ["image/png"]
        annotated = await call(skill, "get-annotated-message", messageType="error", includeImage=True)
        assert len(images(annotated)) == 1
        structured = await call(skill, "get-structured-content", location="New York")
        assert set(json.loads(structured.text)) == {"temperature", "conditions", "humidity"}
        assert len(texts(structured)) == 1
        links = await call(skill, "get-resource-links", count=2)
        assert links.text.count("not read]") == 2
        embedded = await call(skill, "get-resource-reference", resourceType="Text", resourceId=1)
        assert "plaintext resource" in embedded.text
        env = json.loads((await call(skill, "get-env")).text)
        assert env["API_TOKEN"] == "t-1"
        assert "HOME" not in env
        # Offered only to clients that can be asked for something, which we cannot.
        assert not {name for name in await names(skill) if "sampling" in name or "elicitation" in name}
        await told.until_said("simulate-research-query is left out")


async def test_the_everything_server_answers_while_another_call_takes_long_and_is_cancelled() -> None:
    async with connected(EVERYTHING) as (skill, _):
        long = await call(skill, "trigger-long-running-operation", duration=0.2, steps=2)
        assert "completed" in long.text
        finished: list[str] = []

        async def wait() -> None:
            finished.append((await call(skill, "trigger-long-running-operation", duration=60, steps=1)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            assert texts(await call(skill, "echo", message="meanwhile")) == ["Echo: meanwhile"]
            tasks.cancel_scope.cancel()
        assert finished == []
        assert texts(await call(skill, "echo", message="after")) == ["Echo: after"]


async def test_wrong_arguments_come_back_to_the_model_as_an_error() -> None:
    async with connected(EVERYTHING) as (skill, _):
        result = await call(skill, "get-sum", a="one")
        assert result.is_error
        assert "get-sum" in result.text


async def test_the_git_server_shows_a_real_repository(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "project")
    sha = await project.commit("Begin with a greeting", {"hello.txt": "hello\n"})
    project.write({"hello.txt": "hello, world\n"})
    async with connected((*GIT, "--repository", str(project.path)), cwd=project.path) as (skill, _):
        repo = str(project.path)
        assert "hello.txt" in (await call(skill, "git_status", repo_path=repo)).text
        assert "+hello, world" in (await call(skill, "git_diff_unstaged", repo_path=repo)).text
        log = (await call(skill, "git_log", repo_path=repo, max_count=1)).text
        assert sha in log
        assert "Begin with a greeting" in log
        outside = await call(skill, "git_status", repo_path=str(tmp_path))
        assert outside.is_error


async def test_the_time_server_converts() -> None:
    async with connected(TIME, patience=PATIENCE) as (skill, _):
        result = await call(
            skill, "convert_time", source_timezone="Asia/Tokyo", time="09:30", target_timezone="Europe/Paris"
        )
        answer = json.loads(result.text)
        assert answer["source"]["timezone"] == "Asia/Tokyo"
        assert "+09:00" in answer["source"]["datetime"]
        assert answer["source"]["datetime"][11:16] == "09:30"
        wrong = await call(skill, "get_current_time", timezone="Mars/Olympus")
        assert "Mars/Olympus" in wrong.text
