"""`perstack prune`: what goes, what would go, and words that are no amount."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner

from perstack.infrastructure.sandbox.snapshot_store import Made, SnapshotStore
from perstack.interface.commandline import group


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one snapshot that was last used long ago."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")  # nothing of this machine's goes
    root = tmp_path / "perstack" / "snapshots"

    async def make(draft: Path) -> Made:
        (draft / "x").write_bytes(b"x" * 5000)
        return Made()

    anyio.run(SnapshotStore(root).obtain, "bubblewrap-1", "make all", make)
    os.utime(root / "bubblewrap-1.lock", (1, 1))
    return root


def test_a_dry_run_says_what_would_go_and_the_next_one_removes_it(cache: Path) -> None:
    done = CliRunner().invoke(group, ["prune", "--dry-run", "--format", "json"])
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads(done.stdout)
    assert [(one["name"], one["setup"]) for one in told["removed"]] == [("bubblewrap-1", "make all")]
    assert (told["dryRun"], told["kept"], told["freed"] >= 5000) == (True, [], True)
    assert (cache / "bubblewrap-1").is_dir()
    kept = CliRunner().invoke(group, ["prune", "--max-age", "99999d"])
    assert "1 kept" in kept.output
    assert "removed bubblewrap-1" in CliRunner().invoke(group, ["prune"]).output
    assert not (cache / "bubblewrap-1").exists()


@pytest.mark.parametrize("words", [["--max-age", "soon"], ["--max-size", "-1g"], ["--max-size", "5"]])
def test_what_is_no_amount_is_refused(words: list[str], cache: Path) -> None:
    assert "is no" in str(CliRunner().invoke(group, ["prune", *words]).exception)
    assert (cache / "bubblewrap-1").is_dir()
