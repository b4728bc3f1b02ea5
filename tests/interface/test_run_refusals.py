"""`perstack run` and `perstack resume` refuse what cannot go on, before a sandbox starts or anything is printed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from perstack.interface.main import run
from perstack.testing import done
from tests.interface.log_stories import record, stored, told
from tests.interface.scripts import TOML


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A definition, one job `j` of the expert `app` that has completed, one `q` that asks, one `f` that
    fixes, one `p` in the public layout, and one `x` of nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSTACK_STORAGE_PATH", raising=False)
    (tmp_path / "perstack.toml").write_text(TOML)
    (tmp_path / "bad.env").write_text("A=1\nnot a line\n")
    completed, asking = anyio.run(told, {"APP": [done("One.")]}), anyio.run(told)
    stored(tmp_path / "perstack", asking, record(asking, id="q"))
    stored(tmp_path / "perstack", completed, record(completed, id="j", status="completed"))
    stored(tmp_path / "perstack", completed[:5], record(completed, id="f", status="running", extra={"kind": "fix"}))
    assert run(["log", "--job", "j", "--export", "perstack/jobs/p"]) == 0
    stored(tmp_path / "perstack", completed[:1], record(completed, id="x", status="stoppedByError"))
    capsys.readouterr()
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "app", "x", "--resume-from", "c"], "--resume-from requires --continue-job"),
        (["run", "app", "x", "--continue", "--resume-from", "c"], "--resume-from requires --continue-job"),
        (["run", "app", "x", "--continue", "--continue-job", "j"], "exclude each other"),
        (["run", "app", "x", "-i"], "requires --continue or --continue-job"),
        (["run", "app", "x", "--continue-job", "nope"], "No checkpoints found for job nope"),
        (["run", "app", "x", "--continue-job", "../etc"], "No checkpoints found for job ../etc"),
        (["run", "app", "x", "--continue-job", "j", "--resume-from", "c"], "Checkpoint c not found in job j"),
        (
            ["run", "other", "x", "--continue-job", "j"],
            "Checkpoint expert key app does not match input expert key other",
        ),
        (["run", "app", "x", "--job-id", "j"], "job j already exists"),
        (["run", "app", "x", "--runtime", "sun"], "Invalid runtime: sun"),
        (["run", "app", "x", "--runtime", "gemini"], "not part of this version"),
        (["run", "app", "  "], "Input message is undefined"),
        (["run", "nobody", "x"], 'Failed to resolve expert "nobody"'),
        (["run", "app", "x", "--max-steps", "0"], "--max-steps"),
        (["run", "app", "x", "--timeout", "soon"], "--timeout"),
        (["run", "app", "x", "--reasoning-budget", "much"], "neither a level nor a number"),
        (["run", "app", "x", "--env-path", "no.env"], "no.env: no such file"),
        (["run", "app", "x", "--env-path", "bad.env"], "bad.env:2: not a `NAME=value` line"),
        (["run", "app", "x", "--continue-job", "q"], "waits for the answer to `askUser`"),
        (["run", "app", "x", "--continue-job", "x"], "No checkpoints found for job x"),
        (["run", "app", "x", "--continue", "-i"], "has no open question (completed)"),
        (
            ["run", "app", '{"toolCallId":"c","toolName":"t","skillName":"s","text":"x"}', "--continue-job", "q", "-i"],
            "It waits for: call_1 (askUser)",
        ),
        (["resume"], "was interrupted: nothing to resume"),
        (["resume", "j"], "job j has ended (completed): nothing to resume"),
        (["resume", "q"], "--continue-job q -i"),
        (["resume", "x"], "nothing ran in job x"),
        (["resume", "f"], "job f is a `perstack fix`"),
        (["run", "app", "x", "--continue-job", "f"], "only a `perstack run` can go on"),
        (["resume", "p"], "kept in the public layout"),
        (["run", "app", "x", "--continue-job", "p"], "kept in the public layout"),
        (["resume", "nope"], "job nope not found"),
        (["resume", "--drop-damaged"], "needs a JOB"),
        (["run", "app", "x", "--config", "no.toml"], 'Given config path "no.toml" is not found'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_go_on_is_refused_before_anything_is_printed(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run([*arguments, "--provider", "search"])
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert words in printed.err
    assert len(printed.err.splitlines()) <= 6


def test_with_no_job_there_is_nothing_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "perstack.toml").write_text(TOML)
    assert run(["run", "app", "x", "--continue", "--storage", "kept"]) == 2
    assert "No checkpoint found" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


def test_why_a_job_never_began_is_on_record_without_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", "sesame-open-42")
    assert run(["run", "app", "x", "--provider", "sesame-open-42", "--job-id", "new"]) == 2
    assert run(["log", "--job", "new"]) == 0
    shown = capsys.readouterr().out
    assert "[redacted]" in shown.partition("Error: ")[2].partition("\n")[0]
    assert "sesame" not in (folder / "perstack" / "jobs" / "new" / "job.json").read_text()


def test_a_job_goes_on_at_its_place_however_that_is_spelled(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = anyio.run(told, {"APP": [done("One.")]})
    extra = {"kind": "run", "workspace": str(folder), "config": f"{folder}/../{folder.name}/perstack.toml"}
    stored(folder / "perstack", events[:4], record(events, id="i", status="running", extra=extra))
    (folder / "other").mkdir()
    for arguments, words in (
        (["--workspace", "other"], f"was started with --workspace {folder}, not {folder}/other"),
        (["--provider", "oracle"], "unknown provider"),  # as far as it gets, being at the right place
    ):
        assert run(["resume", "i", *arguments]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_options_of_2025_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "nobody", "x", "--runtime", "local", "--env", "HOME"]) == 2
    told = capsys.readouterr().err
    assert "--runtime local has no effect" in told
    assert "--env has no effect" in told
    assert "Failed to resolve expert" in told
