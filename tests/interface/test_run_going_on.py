"""`perstack run` on old jobs: questions and answers, continuing, branching; limits, files of variables, exit codes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interface.model import Turn, model
from tests.interface.scripts import READ, Desk

pytestmark = pytest.mark.slow
ASKS: Turn = [("askUser", {"question": "Shall I?"})]
Open = Callable[..., Desk]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Open]:
    """Opens a desk over a script."""
    with ExitStack() as stack:
        yield lambda **scripts: Desk(tmp_path, stack.enter_context(model(scripts)))


def test_a_question_stops_the_run_and_the_printed_command_answers_it(desk: Open) -> None:
    run = desk(APP=[[*READ, ("check", {"query": "Check."}), *ASKS], "Then I am done."], CHECK=["Right."])  # type: ignore[misc]
    asked = run("run", "app", "Do it.", "--job-id", "first")
    assert asked.code == 0, asked.err
    stop = asked.first("stopRunByInteractiveTool")["checkpoint"]
    assert (stop["status"], len(stop["partialToolResults"]), len(stop["pendingToolCalls"])) == (
        "stoppedByInteractiveTool", 2, 1,
    )  # fmt: skip
    assert asked.types("startRun", "completeRun", "resumeToolCalls", "callInteractiveTool") == [
        "startRun", "startRun", "completeRun", "startRun", "resumeToolCalls", "callInteractiveTool",
    ]  # fmt: skip
    assert "startToolCall" not in asked.types()
    assert "asks: [askUser] Shall I?" in asked.err
    line = shlex.split(asked.err.partition("answer with: ")[2])
    assert line[:7] == ["perstack", "run", "app", "YOUR ANSWER", "--continue-job", "first", "-i"]
    assert run.record("first")["status"] == "stoppedByInteractiveTool"

    done = run("run", "app", "Yes.", *line[4:])
    assert done.code == 0, done.err
    assert done.first("startRun")["initialCheckpoint"]["status"] == "stoppedByInteractiveTool"
    assert done.types("completeRun") == ["completeRun"]
    assert done.first("completeRun")["text"] == "Then I am done."
    said = run.model.requests[-1]["messages"]
    assert [message["role"] for message in said[-3:]] == ["tool", "tool", "tool"]
    assert said[-1]["content"] == "Yes."
    assert run.record("first")["status"] == "completed"
    assert run.jobs() == ["first"]
    again = run("replay", "first", "--rerun")
    assert (again.code, again.err) == (0, "")
    assert "Equal: all came out as recorded" in again.out
    toml = run.folder / "perstack.toml"
    toml.write_text(toml.read_text().replace("CHECK works.", "CHECK works otherwise."))
    changed = run("replay", "first", "--rerun")
    assert changed.code == 1
    assert "startRun: inputMessages" in changed.out
    assert changed.out.count("otherwise") == 1


def test_an_answer_may_name_its_call_and_is_refused_for_another(desk: Open) -> None:
    run = desk(APP=[ASKS, "Done."])
    asked = run("run", "app", "Do it.", "--job-id", "j")
    call = asked.first("callInteractiveTool")["toolCall"]
    answer = {"toolCallId": call["id"], "toolName": "askUser", "skillName": "ask", "text": "Indeed."}
    wrong = run("run", "app", json.dumps({**answer, "toolCallId": "x"}), "--continue", "-i")
    assert (wrong.code, wrong.out) == (2, "")
    assert f"It waits for: {call['id']} (askUser)" in wrong.err
    unspoken = run("run", "app", "And?", "--continue-job", "j")
    assert unspoken.code == 2
    assert "waits for the answer to `askUser`" in unspoken.err
    assert run.record("j")["status"] == "stoppedByInteractiveTool"
    done = run("run", "app", json.dumps(answer), "--continue", "-i")
    assert done.code == 0, done.err
    assert run.model.requests[-1]["messages"][-1]["content"] == "Indeed."
    stopped = asked.first("stopRunByInteractiveTool")["checkpoint"]["id"]
    other = run("run", "app", "Rather not.", "--continue-job", "j", "--resume-from", stopped, "-i")
    assert other.code == 0, other.err
    assert run.model.requests[-1]["messages"][-1]["content"] == "Rather not."
    again = run("run", "app", "More?", "--continue", "-i")
    assert (again.code, again.out) == (2, "")
    assert "has no open question (completed)" in again.err


def test_a_job_is_continued_in_its_own_history_and_branched_off_a_checkpoint(desk: Open) -> None:
    run = desk(APP=[READ, "One.", "Two.", "Three."])
    first = run("run", "app", "Begin.", "--job-id", "j")
    checkpoint = first.first("continueToNextStep")["nextCheckpoint"]["id"]
    second = run("run", "app", "Go on.", "--continue")
    assert second.code == 0, second.err
    assert second.first("completeRun")["text"] == "Two."
    assert [m["content"] for m in run.model.requests[-1]["messages"] if m["role"] == "user"] == ["Begin.", "Go on."]
    third = run("run", "app", "Otherwise.", "--continue-job", "j", "--resume-from", checkpoint)
    assert third.code == 0, third.err
    assert third.first("completeRun")["text"] == "One."
    assert [m["content"] for m in run.model.requests[-1]["messages"] if m["role"] == "user"] == [
        "Begin.", "Otherwise.",
    ]  # fmt: skip
    log = run("log", "--job", "j", "--json").document
    assert [(one["expertKey"], one.get("branched", False)) for one in log["runs"]] == [("app", False), ("app", True)]
    assert "app #2 (a branch after step 1)" in run("log").out


def test_the_end_of_a_run_decides_the_exit_code_and_says_what_can_be_done(desk: Open) -> None:
    run = desk(APP=[READ], OTHER=[400])
    limited = run("run", "app", "Do it.", "--max-steps", "2", "--job-id", "long")
    assert limited.code == 3
    assert limited.types("stopRunByExceededMaxSteps") == ["stopRunByExceededMaxSteps"]
    assert limited.first("initializeRuntime")["maxSteps"] == 2
    assert "used up its 2 steps" in limited.err
    assert "--continue-job long" in limited.err
    assert "--max-steps 4" in limited.err
    assert run.record("long")["status"] == "stoppedByMaxSteps"
    refused = run("run", "other", "Do it.", "--job-id", "bad")
    assert refused.code == 4
    assert refused.types("startRun", "stopRunByError") == ["startRun", "stopRunByError"]
    assert "expert `other` stopped: " in refused.err
    assert "perstack log --job bad" in refused.err
    assert run.record("bad")["status"] == "stoppedByError"


def test_options_reach_the_run(desk: Open, tmp_path: Path) -> None:
    run = desk(APP=["One."])
    place = tmp_path / "work"
    place.mkdir()
    done = run(
        "run", "app", "Do it.", "--max-steps", "7", "--max-retries", "2", "--timeout", "45000", "--reasoning-budget",
        "none", "--workspace", str(place), "--storage", str(tmp_path / "kept"), "--filter",
        "initializeRuntime,completeRun", "--verbose",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.types() == ["initializeRuntime", "completeRun"]
    told = done.first("initializeRuntime")
    assert (told["maxSteps"], told["maxRetries"], told["timeout"]) == (7, 2, 45_000)
    assert "sandbox: bubblewrap" in done.err
    (job,) = (tmp_path / "kept" / "jobs").iterdir()
    assert json.loads((job / "job.json").read_text())["workspace"] == str(place)
    assert not (run.folder / "perstack").exists()


def test_files_of_variables_add_to_the_environment_and_never_replace_it(desk: Open) -> None:
    run = desk(APP=["One."])
    url = run.model.url
    (run.folder / ".env").write_text("OPENAI_COMPATIBLE_BASE_URL=http://127.0.0.1:9/never\n")
    assert run("run", "app", "x").code == 0
    (run.folder / "a.env").write_text(f'export OPENAI_COMPATIBLE_BASE_URL="{url}" # here\n')
    (run.folder / "b.env").write_text("OPENAI_COMPATIBLE_BASE_URL=http://127.0.0.1:9/never\n")
    named = run(
        "run", "app", "x", "--env-path", "a.env", "--env-path", "b.env", OPENAI_COMPATIBLE_BASE_URL=""
    )  # an empty value is none
    assert named.code == 0, named.err
