"""`perstack log` and `perstack replay` as commands: selection, JSON, what is missing, what is damaged."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from perstack.core.events import Event
from perstack.interface.main import run
from tests.interface.log_stories import STARTED, record, stored, told


@pytest.fixture(scope="module")
def story() -> list[Event]:
    return anyio.run(told)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: list[Event]) -> Path:
    """`perstack/` of the current directory, with the job `job`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSTACK_STORAGE_PATH", raising=False)
    stored(tmp_path / "perstack", story)
    return tmp_path / "perstack"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def log_file(storage: Path) -> Path:
    return storage / "jobs" / "job" / "events.jsonl"


def test_json_has_the_public_shape(storage: Path, say: Any, story: list[Event]) -> None:
    code, out, err = say("log", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    data = json.loads(out)
    assert data["job"]["id"] == "job"
    assert data["job"]["coordinatorExpertKey"] == "app"
    assert data["summary"] == {
        "totalEvents": 40, "errorCount": 2, "toolCallCount": 3, "delegationCount": 4, "stepRange": {"min": 1, "max": 9},
    }  # fmt: skip
    assert [run["expertKey"] for run in data["runs"]] == [
        "app",
        "@app/plan",
        "@app/plan/deep",
        "@app/check",
        "@app/check",
    ]
    assert data["runs"][2]["delegatedBy"] == {"runId": data["runs"][1]["runId"], "expertKey": "@app/plan"}
    assert (data["isLatestJob"], data["storagePath"]) == (True, str(storage))
    assert (data["totalEventsBeforeLimit"], data["matchedAfterPagination"], len(data["events"])) == (40, 40, 40)
    known = {event.id: event.to_json() for event in story}
    assert all(event == json.loads(json.dumps(known[event["id"]])) for event in data["events"])
    named = json.loads(say("log", "--job", "job", "--format", "json", "--pretty", "--take", "1", "--tools")[1])
    assert (named["isLatestJob"], named["matchedAfterPagination"]) == (False, 1)
    assert [one["status"] for one in named["checkpoints"]][:2] == ["proceeding", "stoppedByDelegate"]
    assert all("messages" not in one for one in named["checkpoints"])
    assert "events" not in json.loads(say("log", "--json", "--summary")[1])


def test_a_checkpoint_is_shown_with_what_the_model_had_been_told(storage: Path, say: Any, story: list[Event]) -> None:
    stop: Any = next(event for event in story if event.type == "stopRunByDelegate").payload["checkpoint"]
    data = json.loads(say("log", "--checkpoint", stop["id"], "--json")[1])
    assert {event["expertKey"] for event in data["events"]} == {"app"}
    assert data["events"][-1]["type"] == "stopRunByDelegate"
    assert data["checkpoint"]["id"] == stop["id"]
    kinds = [message["type"] for message in data["checkpoint"]["messages"]]
    assert kinds == ["instructionMessage", "userMessage", "expertMessage", "toolMessage", "expertMessage"]
    text = say("log", "--checkpoint", stop["id"], "--messages", "--summary")[1]
    assert f"Checkpoint: {stop['id']}\nStatus: stoppedByDelegate\nStep: 2\nExpert: app\nMessages: 5\n" in text
    assert "  [userMessage] Do the <U+202E>thing.\n" in text
    assert "  [expertMessage] → read, break\n" in text
    assert "  [toolMessage] contents of a.txt Error calling tool break: it broke\n" in text
    latest = say("log", "--messages", "--summary")[1]
    assert "Status: stoppedByInteractiveTool\nStep: 9\nExpert: app\n" in latest


def test_a_run_is_shown_by_the_beginning_of_its_id(storage: Path, say: Any, story: list[Event]) -> None:
    run = next(event.run_id for event in story if event.type == "completeRun" and event.step_number == 4)
    code, out, _ = say("log", "--run", run)
    assert code == 0
    assert f"Run: {run}\n" in out
    assert "[Step 4] completeRun             " in out
    assert "[Step 3]" not in out
    assert say("log", "--run", "e")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--job", "nope", "--errors", "--tools", "--delegations", "--step", "1-2", "--json"],
        ["--job", "../job"],
        ["--checkpoint", "nope"],
        ["--run", "nope"],
        ["--storage", "elsewhere"],
        ["--storage", "elsewhere", "--jobs"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_no_error(storage: Path, say: Any, arguments: list[str]) -> None:
    code, out, _ = say("log", *arguments)
    assert (code, out) == (0, "No data found\n")


def test_the_storage_is_the_option_then_the_environment_then_the_folder(
    storage: Path, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: list[Event]
) -> None:
    stored(tmp_path / "a", story, record(story, id="in-a"))
    stored(tmp_path / "b", story, record(story, id="in-b"))
    monkeypatch.setenv("PERSTACK_STORAGE_PATH", str(tmp_path / "a"))
    assert "Job: in-a " in say("log")[1]
    assert "Job: in-b " in say("log", "--storage", str(tmp_path / "b"))[1]
    monkeypatch.delenv("PERSTACK_STORAGE_PATH")
    assert "Job: job " in say("log")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--step", "x"], "Invalid step filter: x"),
        (["--step", "3-1"], "Invalid step range: 3-1 (min 3 > max 1)"),
        (["--filter", "x"], "Invalid filter expression: x"),
        (["--take", "many"], 'Invalid value for --take: "many" is not a valid number'),
        (["--context", "-1"], 'Invalid value for --context: "-1" must be non-negative'),
    ],
)
def test_a_wrong_option_is_told_even_where_there_is_no_job(
    say: Any, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, out, err = say("log", "--storage", str(tmp_path), *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_the_intact_part_of_a_damaged_log_is_shown_and_the_damage_told(storage: Path, say: Any) -> None:
    lines = log_file(storage).read_bytes().splitlines(keepends=True)
    lines[9] = lines[9].replace(b"@app", b"@abb", 1).replace(b'"app"', b'"apq"', 1)
    log_file(storage).write_bytes(b"".join(lines))
    code, out, err = say("log", "--verbose")
    assert code == 4
    assert "  Events: 8\n" in out
    assert f"{log_file(storage)}:10: the line was changed" in err
    code, out, err = say("log", "--json")
    assert code == 4
    assert ":10:" in json.loads(out)["problem"]
    code, out, err = say("replay", "job")
    assert code == 4
    assert "Equal up to the damage" in out
    assert ":10:" in err
    code, out, err = say("resume", "job", "--provider", "search")
    assert code == 4
    assert "perstack resume job --drop-damaged" in err


def test_a_copied_job_goes_by_the_name_of_its_folder(storage: Path, say: Any) -> None:
    shutil.copytree(storage / "jobs" / "job", storage / "jobs" / "copy")
    assert "Job: copy " in say("log", "--job", "copy")[1]
    (storage / "jobs" / "copy" / "events.jsonl").write_text("nonsense\n")
    code, out, _ = say("log", "--job", "copy")
    assert (code, "  Events: 0\n" in out) == (4, True)
    code, _, err = say("resume", "copy")
    assert code == 4
    assert "copy/events.jsonl:1:" in err
    assert "start a new job" in err


def test_a_cut_last_line_is_told_and_no_error(storage: Path, say: Any) -> None:
    data = log_file(storage).read_bytes()
    log_file(storage).write_bytes(data[:-20])
    code, out, err = say("log")
    assert code == 0
    assert "Job: job " in out
    assert "the last line is cut off" in err


def test_a_job_without_a_record_is_read_from_its_log(storage: Path, say: Any, story: list[Event]) -> None:
    (storage / "jobs" / "job" / "job.json").unlink()
    data = json.loads(say("log", "--json")[1])["job"]
    ended = "stoppedByInteractiveTool"
    assert (data["status"], data["coordinatorExpertKey"], data["totalSteps"]) == (ended, "app", 9)
    assert data["startedAt"] == STARTED
    assert data["usage"]["totalTokens"] == 105
    assert "\njob  asks    app " in say("log", "--jobs")[1]
    cut = stored(storage, story[:20], record(story, id="cut"))
    (storage / "jobs" / cut / "job.json").unlink()
    assert json.loads(say("log", "--job", cut, "--json")[1])["job"]["status"] == "running"
    assert "\ncut  interrupted  app " in say("log", "--jobs")[1]
    (storage / "jobs" / "job" / "job.json").write_text("{nonsense")
    assert json.loads(say("log", "--job", "job", "--json")[1])["job"]["totalSteps"] == 9


def test_an_empty_or_foreign_folder_among_the_jobs_does_no_harm(storage: Path, say: Any) -> None:
    (storage / "jobs" / "empty").mkdir()
    (storage / "jobs" / "a file").write_text("x")
    (storage / "jobs" / "not.an.id").mkdir()
    code, out, _ = say("log", "--jobs")
    assert code == 0
    assert "\nempty " in out
    assert say("log", "--job", "empty")[0] == 0
    assert say("log")[0] == 0


def test_a_job_that_is_worked_on_is_running_and_others_are_interrupted(
    storage: Path, say: Any, story: list[Event]
) -> None:
    stored(storage, story[:20], record(story, id="live", status="running", finished_at=0))
    assert "interrupted" in say("log", "--job", "live")[1]
    assert "Next: perstack resume live\n" in say("log", "--job", "live")[1]
    with (storage / "jobs" / "live" / "events.jsonl").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        out = say("log", "--job", "live")[1]
        assert "Job: live (running)" in out
        assert "Next:" not in out
        code, _, err = say("resume", "live")
        assert code == 2
        assert "another process" in err


def test_an_exported_job_is_shown_as_the_log_is(storage: Path, say: Any, tmp_path: Path) -> None:
    code, out, err = say("log", "--export", "other/jobs/job")
    assert (code, err) == (0, "")
    assert "Job job is in other/jobs/job" in out
    mine, theirs = (json.loads(say("log", "--json", "--storage", str(root))[1]) for root in (storage, "other"))
    assert theirs["job"] == mine["job"]
    # The public layout knows the events of runs; what a job used is one of ours.
    kept = [event for event in mine["events"] if event["type"] != "reportUsage"]
    assert len(kept) == len(mine["events"]) - 1
    assert theirs["summary"] == {**mine["summary"], "totalEvents": len(kept)}
    assert [e["id"] for e in theirs["events"]] == [e["id"] for e in kept]
    assert [(r["runId"], r["status"], r["usage"]) for r in theirs["runs"]] == [
        (r["runId"], r["status"], r["usage"]) for r in mine["runs"]
    ]
    assert say("log", "--export", "other/jobs/job")[0] == 2  # never over what is there
    (tmp_path / "other" / "jobs" / "job" / "job.json").unlink()
    fallback = json.loads(say("log", "--json", "--storage", "other")[1])["job"]
    assert (fallback["status"], fallback["coordinatorExpertKey"], fallback["totalSteps"]) == ("running", "app", 9)
    assert "interrupted" not in say("log", "--jobs", "--storage", "other")[1]
    broken = next((tmp_path / "other" / "jobs" / "job" / "runs").glob("*/event-*-2-callTools.json"))
    broken.write_text("{")
    code, out, err = say("log", "--storage", "other")
    assert (code, "Job: job" in out) == (4, True)
    assert broken.name in err
    assert say("replay", "job", "--storage", "other")[0] == 2


def test_replay_compares_a_job_with_what_it_says_of_itself(storage: Path, say: Any, story: list[Event]) -> None:
    code, out, err = say("replay")
    assert (code, err) == (0, "")
    assert out.startswith("Job: job\nFolded: ")
    assert "Equal" in out
    data = json.loads(say("replay", "job", "--format", "json")[1])
    assert (data["equal"], data["runs"], data["difference"]) == (True, 5, None)
    changed = [event for event in story if event.type != "retry"]
    stored(storage, changed, record(story, id="changed"))
    code, out, err = say("replay", "changed")
    assert code == 1
    assert "Different at line " in out
    found = json.loads(say("replay", "changed", "--format", "json")[1])
    assert (found["equal"], found["difference"]["event"]) == (False, "continueToNextStep")
    assert found["difference"]["line"] > 10
    assert say("replay", "nope")[0] == 2
    assert say("replay", "--storage", "elsewhere")[0] == 2


def test_a_rerun_needs_the_experts_of_the_job(storage: Path, say: Any, tmp_path: Path) -> None:
    code, _, err = say("replay", "job", "--rerun")
    assert code == 2
    assert "perstack.toml not found" in err
    (tmp_path / "perstack.toml").write_text('[experts.other]\ninstruction = "x"\n')
    code, _, err = say("replay", "job", "--rerun")
    assert code == 2
    assert "`app`" in err


def test_a_reader_that_leaves_early_is_no_error(storage: Path) -> None:
    line = [sys.executable, "-m", "perstack", "log", "--verbose", "--take", "0"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PERSTACK_STORAGE_PATH": str(storage)}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_help_says_what_everything_is_for(say: Any) -> None:
    code, out, _ = say("log", "--help")
    assert code == 0
    for words in ("View execution history", "--job", "--run", "--checkpoint", "--errors", "--tools", "--json"):
        assert words in out
