"""`perstack install` as a process, with real servers: its lines, the file, `--check`, and what must not happen."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from perstack.definition.lock_file import parse_lock

pytestmark = pytest.mark.slow

CLOCK = """
[experts."clock"]
instruction = "Tell the time."
delegates = ["@clock/helper"]
[experts."clock".skills."time"]
type = "mcpStdioSkill"
command = "mcp-server-time"
args = ["--local-timezone", "UTC"]
pick = ["get_current_time"]
[experts."clock".skills."ask"]
type = "interactiveSkill"
[experts."clock".skills."ask".tools."askUser"]
inputJsonSchema = '{"type":"object"}'
[experts."@clock/helper"]
instruction = "Help."
[experts."@clock/helper".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["attemptCompletion"]
"""
LINES = """Resolving experts...
Found 2 expert(s)
Collecting tool definitions for clock...
  Found {tools} tool(s)
Collecting tool definitions for @clock/helper...
  Found 1 tool(s)
Generated {path}
"""


def perstack(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd / "home"), **env}
    return subprocess.run(
        [sys.executable, "-m", "perstack", *arguments],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def install(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return perstack("install", "--sandbox", "bubblewrap", "--config", "perstack.toml", *arguments, cwd=cwd, **env)


def test_it_prints_the_public_lines_and_writes_a_file_that_check_accepts_and_a_change_makes_stale(
    tmp_path: Path,
) -> None:
    (tmp_path / "perstack.toml").write_text(CLOCK)
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "perstack.lock").read_text()
    tools = tomllib.loads(text)["experts"]["clock"]["toolDefinitions"]
    assert done.stdout == LINES.format(tools=len(tools), path="perstack.lock")
    assert [tool["name"] for tool in tools if tool["skillName"] == "time"] == ["get_current_time"], "pick is applied"
    assert [tool["name"] for tool in tools if tool["skillName"] == "ask"] == ["askUser"]
    assert "readTextFile" in {tool["name"] for tool in tools if tool["skillName"] == "@perstack/base"}

    assert install(tmp_path).returncode == 0
    assert (tmp_path / "perstack.lock").read_text() == text, "the same lock is the same file"
    checked = install(tmp_path, "--check")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "Up to date perstack.lock")

    (tmp_path / "perstack.toml").write_text(CLOCK.replace('pick = ["get_current_time"]\n', ""))
    stale = install(tmp_path, "--check")
    assert stale.returncode == 1
    assert 'skill "time": its definition changed' in stale.stderr
    assert 'tool "convert_time" is new' in stale.stderr
    assert (tmp_path / "perstack.lock").read_text() == text, "--check writes nothing"


def test_a_server_that_does_not_start_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(CLOCK.replace("mcp-server-time", "no-such-server"))
    (tmp_path / "perstack.lock").write_text("the old one")
    done = install(tmp_path)
    assert done.returncode == 4
    assert 'skill "time" of expert "clock"' in done.stderr
    assert "no-such-server" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "perstack.lock").read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["perstack.lock", "perstack.toml"]


def test_values_of_a_dotenv_file_count_and_a_missing_one_leaves_its_skill_out(tmp_path: Path) -> None:
    needs = CLOCK.replace('pick = ["get_current_time"]', 'requiredEnv = ["CLOCK_TOKEN"]')
    (tmp_path / "perstack.toml").write_text(needs)
    without = install(tmp_path)
    assert without.returncode == 0
    assert "CLOCK_TOKEN" in without.stderr
    lock = parse_lock((tmp_path / "perstack.lock").read_text())
    assert lock.experts["clock"].skills["time"].tools is None
    (tmp_path / "some.env").write_text("CLOCK_TOKEN=sesame\n")
    assert install(tmp_path, "--env-path", "some.env").returncode == 0
    text = (tmp_path / "perstack.lock").read_text()
    assert len(parse_lock(text).experts["clock"].skills["time"].tools or ()) == 2
    assert "sesame" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--config", "https://example.com/perstack.toml"], "belongs to a local perstack.toml"),
        (["--env-path", "nowhere.env"], "nowhere.env"),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "perstack.toml").write_text(CLOCK)
    done = perstack("install", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "perstack.lock").exists()


def test_servers_do_not_see_the_jobs_of_the_folder(tmp_path: Path) -> None:
    job = tmp_path / "perstack" / "jobs" / "secret-job"
    job.mkdir(parents=True)
    look = "ls perstack/jobs >&2; exec mcp-server-time --local-timezone UTC"
    skill = f'type = "mcpStdioSkill"\ncommand = "sh"\nargs = ["-c", "{look}"]\n'
    (tmp_path / "perstack.toml").write_text(f'[experts.a]\ninstruction = "x"\n[experts.a.skills.time]\n{skill}')
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "secret-job" not in done.stderr
    assert job.is_dir()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text('[experts."a"]\ninstruction = "x"\n')
    (tmp_path / "perstack.lock").mkdir()
    done = install(tmp_path)
    assert done.returncode == 4
    assert "perstack.lock: cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".perstack")] == []
