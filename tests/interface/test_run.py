"""`perstack run` and bad command lines: real processes, a real sandbox, the model-free provider."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perstack.api.choice import attempts
from perstack.core.sandbox import SandboxSpec

EXPERT = '[experts."reader"]\ninstruction = "Look at the workspace."\n'


def perstack(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(cwd), **env}
    return subprocess.run(
        [sys.executable, "-m", "perstack", *arguments],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_prints_every_event_as_a_json_line_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT)
    owner = tmp_path.stat().st_uid
    done = perstack("run", "reader", "hello", "--provider", "search", "--sandbox", "bubblewrap", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    types = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert types.index("startRun") < types.index("startGeneration") < types.index("completeRun")
    assert (tmp_path / "perstack.toml").stat().st_uid == owner
    (record,) = (tmp_path / "perstack" / "jobs").glob("*/job.json")
    assert json.loads(record.read_text())["status"] == "completed"


def test_a_filter_leaves_only_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT)
    done = perstack(
        "run",
        "reader",
        "hello",
        "--provider",
        "search",
        "--sandbox",
        "bubblewrap",
        "--filter",
        "completeRun",
        cwd=tmp_path,
    )
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["completeRun"]


@pytest.mark.parametrize(
    ("arguments", "toml", "code", "words"),
    [
        (["run", "nobody", "x"], EXPERT, 2, "nobody"),
        (["run", "reader", "x"], "", 2, "reader"),
        (["run", "reader", "x"], None, 2, "perstack.toml not found"),
        (["run", "reader", "x", "--provider", "anthropic"], EXPERT, 2, "ANTHROPIC_API_KEY is not set"),
        (["run", "reader", "x", "--provider", "oracle"], EXPERT, 2, "unknown provider"),
        (["run", "reader"], EXPERT, 2, "Missing argument"),
        (["run", "reader", "x"], "[experts.reader]\ninstruction = 3\n", 2, "perstack.toml:2"),
        (["verify"], EXPERT, 2, "not a git repository"),
        (["verify", "--patch", "a", "--head", "b"], EXPERT, 2, "exclude each other"),
        (["frobnicate"], EXPERT, 2, "No such command"),
        (["validate", "missing.toml"], EXPERT, 2, "missing.toml"),
        (["action"], EXPERT, 2, "GITHUB_EVENT_NAME"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_clear_message_without_a_traceback(
    tmp_path: Path, arguments: list[str], toml: str | None, code: int, words: str
) -> None:
    if toml is not None:
        (tmp_path / "perstack.toml").write_text(toml)
    done = perstack(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 6


def test_an_engine_that_does_not_answer_is_infrastructure_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT)
    arguments = ["run", "reader", "x", "--provider", "search", "--sandbox", "docker"]
    done = perstack(*arguments, cwd=tmp_path, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 4
    assert "no sandbox can be used" in done.stderr
    assert "bubblewrap" in done.stderr
    assert "Traceback" not in done.stderr


def test_host_is_never_chosen_without_asking_and_warns_loudly(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT)
    done = perstack("run", "reader", "x", "--provider", "search", "--sandbox", "host", cwd=tmp_path)
    assert "NO isolation" in done.stderr
    chosen = attempts("auto", SandboxSpec(), SandboxSpec(image="python:3.12-slim"))
    assert [name for name, _ in chosen] == ["docker", "docker", "bubblewrap"]


def test_a_configured_image_is_never_replaced_by_something_weaker() -> None:
    chosen = attempts("auto", SandboxSpec(image="ours:1"), SandboxSpec(image="python:3.12-slim"))
    assert [(name, spec.image) for name, spec in chosen] == [("docker", "ours:1")]
