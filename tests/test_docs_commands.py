"""Shell blocks whose world is the reader's own: each line is run as it stands, in a world made for it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from perstack.interface.main import run
from tests.infrastructure.gitkit import checkout, git
from tests.interface.model import model
from tests.interface.test_create_expert import PLANNER, TOML, WRITER, counts, plans, writes

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parent.parent / "docs"
EXPERT = '[experts."{name}"]\ndescription = "Looks."\ninstruction = "Look."\n'


def commands(page: str) -> list[list[str]]:
    """The words of every line, without `perstack`."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert all(line[0] == "perstack" for line in lines)
    return [line[1:] for line in lines]


def test_the_commands_of_reuse_take_update_and_remove_experts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = checkout(tmp_path / "acme", {"review/perstack.toml": EXPERT.format(name="review")})
    git(acme, "tag", "v1.2.0")
    team = checkout(tmp_path / "team", {"lint/perstack.toml": EXPERT.format(name="lint")})
    checkout(tmp_path / "experts", {"perstack.toml": EXPERT.format(name="local")})
    own = tmp_path / "own"
    own.mkdir()
    (own / "perstack.toml").write_text("# mine\n")
    monkeypatch.chdir(own)
    real = {
        "github:acme/experts": f"git+file://{acme}",
        "git+https://git.example.com/team/experts": f"git+file://{team}",
    }
    for words in commands("reuse.md"):
        told = [word.replace(name, place) for word in words for name, place in real.items() if name in word]
        asked = [told[0] if any(name in word for name in real) else word for word in words]
        yes = [] if {"--check", "--remove"} & set(words) else ["--yes"]
        assert run([*asked, *yes]) == 0, (words, capsys.readouterr().err)
    assert set(re.findall(r"^([\w-]+) = ", (own / "perstack.toml").read_text(), re.MULTILINE)) == {"lint", "local"}
    assert run(["validate", "perstack.toml"]) == 0


def test_the_commands_of_the_lock_file_write_it_and_find_it_fresh(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT.format(name="own"))
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path / "home")}
    for words in commands("lock-file.md"):
        line = [sys.executable, "-m", "perstack", *words, "--sandbox", "bubblewrap"]
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stderr)
    assert "own" in (tmp_path / "perstack.lock").read_text()


def test_the_commands_that_make_experts_add_one_and_write_one_as_a_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSTACK_STORAGE_PATH", raising=False)
    Path("perstack.toml").write_text("# mine\n")
    machine = ["--provider", "openai-compatible", "--model", "test-1", "--sandbox", "host"]
    for words, key in zip(commands("experts.md"), ("counter", "changelog"), strict=True):
        definition = TOML.replace("counter", key)
        with model({PLANNER: plans(key=key), WRITER: writes(definition), "COUNTER": counts("lines: 3\n")}) as served:
            for name, value in served.env().items():
                monkeypatch.setenv(name, value)
            assert run([*words, *machine]) == 0, (words, capsys.readouterr().err)
    assert '[experts."counter"]' in Path("perstack.toml").read_text()
    assert '+[experts."changelog"]' in Path("changelog.patch").read_text()
