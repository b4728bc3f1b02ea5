"""Jobs as files of the public layout: written from a log, and read back, also as its own runtime writes them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.storage import LogContents
from perstack.runtime.fold import JobState, fold
from perstack.runtime.public_export import export
from perstack.runtime.public_layout import read, record
from perstack.runtime.replay_record import Lineage
from perstack.runtime.state import RunStatus
from perstack.runtime.store import JobStore
from perstack.runtime.wire import message_json
from perstack.testing import done, reply
from tests.runtime.histories import PLOTS, Plot, play

STORY = Plot(
    [reply("Looking.", [("look", {"path": "x"}), ("write", {"n": 1})]), reply("", [("b", {"query": "q"})]),
     reply("", [("look", {"path": "y"})]), done("B"), reply("", [("b", {"query": "q"}), ("c", {"query": "r"})]),
     done("B"), done("C"), reply("", [("askUser", {"q": 1})]), reply("The end.")],
    ["yes"],
)  # fmt: skip


def stored(plot: Plot) -> LogContents:
    return LogContents(tuple(play(plot)[0].stored))


def ends(state: JobState) -> list[Any]:
    """How the runs of a job ended."""
    return [
        (run.status, run.expert_key, run.system, run.text, run.usage, run.step, run.pending, run.error,
         [message_json(message) for message in run.history])
        for run in state.runs.values()
    ]  # fmt: skip


def test_a_job_is_written_as_the_layout_has_it(tmp_path: Path) -> None:
    contents = stored(STORY)
    export(contents, tmp_path / "job")
    job = json.loads((tmp_path / "job" / "job.json").read_text())
    assert (job["status"], job["coordinatorExpertKey"]) == ("completed", "a")
    checkpoints = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "job" / "checkpoints").iterdir()}
    state = fold(contents.events)
    last = checkpoints[max(checkpoints, key=lambda key: checkpoints[key]["stepNumber"])]
    run = state.latest_run()
    assert run is not None
    assert last["status"] == "completed"
    assert last["messages"][0]["type"] == "instructionMessage"
    assert last["messages"][1:] == [message_json(message) for message in run.history]
    delegating = next(c for c in checkpoints.values() if c["status"] == "stoppedByDelegate")
    assert delegating["delegateTo"][0]["query"] == "q"
    names = [path.name for path in (tmp_path / "job" / "runs").glob("*/event-*.json")]
    assert len(names) == len(set(names)) == sum(event.type[0] != "i" for event in contents.events if event.expert_key
                                                and event.type != "startToolCall")  # fmt: skip
    assert len({name.split("-")[1] for name in names}) == len(names), "two events have one time"
    settings_of = json.loads(next((tmp_path / "job" / "runs").glob("*/run-setting.json")).read_text())
    assert settings_of["env"] == {}
    assert settings_of["model"] == "m"


@settings(max_examples=15, deadline=None)
@given(PLOTS)
def test_what_is_written_reads_back_as_the_same_job(plot: Plot) -> None:
    contents = stored(plot)
    with TemporaryDirectory() as folder:
        export(contents, Path(folder))
        found = read(Path(folder))
    assert found.problem == ""
    assert ends(fold(found.events)) == ends(fold(contents.events))


def without_links(folder: Path) -> None:
    """As the public runtime leaves it: nothing says which segment goes on with which."""
    for path in folder.glob("runs/*/event-*-startRun.json"):
        data = json.loads(path.read_text())
        data["initialCheckpoint"].pop("metadata", None)
        path.write_text(json.dumps(data))


def test_segments_find_the_run_they_go_on_with_by_its_messages(tmp_path: Path) -> None:
    contents = stored(STORY)
    export(contents, tmp_path)
    without_links(tmp_path)
    found = read(tmp_path)
    assert found.problem == ""
    assert ends(fold(found.events)) == ends(fold(contents.events))


def test_a_branch_is_known_by_its_messages(tmp_path: Path) -> None:
    contents = stored(Plot([reply("", [("look", {})]), reply("One end."), reply("Another.")], [""]))
    assert len(fold(contents.events).runs) == 2
    export(contents, tmp_path)
    without_links(tmp_path)
    found = fold(read(tmp_path).events)
    assert ends(found) == ends(fold(contents.events))
    assert found.usage == fold(contents.events).usage


def test_a_segment_whose_beginning_is_gone_starts_with_the_history_it_brings(tmp_path: Path) -> None:
    contents = stored(Plot([reply("First."), reply("Second.")], ["And now?"]))
    export(contents, tmp_path)
    without_links(tmp_path)
    shutil.rmtree(tmp_path / "runs" / contents.events[1].run_id)
    found = read(tmp_path)
    assert found.problem == ""
    whole, rest = fold(contents.events).latest_run(), fold(found.events).latest_run()
    assert whole is not None
    assert rest is not None
    assert [message_json(message) for message in rest.history] == [message_json(m) for m in whole.history]
    assert rest.text == "Second."


def test_a_store_shows_such_a_job_like_any_other(tmp_path: Path) -> None:
    export(stored(STORY), tmp_path / "jobs" / "old")
    store = JobStore(tmp_path, str)
    assert fold(store.read("old").events).latest_run() is not None
    assert store.load("old").status == "completed"
    (tmp_path / "jobs" / "old" / "job.json").unlink()
    derived = store.load("old")
    assert (derived.id, derived.coordinator_expert_key, derived.status) == ("old", "a", "completed")
    assert derived.total_steps == fold(stored(STORY).events).steps
    assert [found.id for found in store.jobs()] == ["old"]
    with pytest.raises(UserError, match="kept in the layout of the TypeScript runtime"):
        store.open_log("old")


def test_a_file_that_is_no_event_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    export(stored(STORY), tmp_path)
    whole = len(read(tmp_path).events)
    (next((tmp_path / "runs").iterdir()) / "event-1-1-callTools.json").write_text("{")
    found = read(tmp_path)
    assert "event-1-1-callTools.json: not a readable event" in found.problem
    assert len(found.events) == whole


def test_an_event_that_is_missing_ends_what_is_read(tmp_path: Path) -> None:
    export(stored(STORY), tmp_path)
    next((tmp_path / "runs").glob("*/event-*-1-callTools.json")).unlink()
    found = read(tmp_path)
    assert "resolveToolResults" in found.problem
    assert [event.type for event in found.events] == ["startRun", "startGeneration"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        export(stored(STORY), tmp_path)
    with pytest.raises(InfrastructureError, match="cannot be written"):
        export(stored(STORY), tmp_path / "mine" / "below")


@pytest.mark.parametrize("identifier", ["../../outside", "a/b", "", ".hidden"])
def test_no_id_of_a_log_leads_out_of_the_directory(tmp_path: Path, identifier: str) -> None:
    events = stored(STORY).events
    first = next(event for event in events if event.type == "startRun")
    with pytest.raises(UserError, match="cannot be the name of a file"):
        export(LogContents((replace(first, run_id=identifier),)), tmp_path / "job")
    assert not list(tmp_path.rglob("event-*"))


class Typescript:
    """Files as the public runtime writes them: no link between segments, no job.json, times that coincide."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def event(self, kind: str, run: str, step: int, ms: int, /, **payload: Any) -> None:
        data = {"type": kind, "id": f"{kind}{ms}", "expertKey": "app", "timestamp": ms, "jobId": "j", "runId": run,
                "stepNumber": step, **payload}  # fmt: skip
        path = self._folder / "runs" / run / f"event-{ms}-{step}-{kind}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))

    def checkpoint(self, status: str, step: int, messages: list[Any], **more: Any) -> dict[str, Any]:
        usage = {"inputTokens": 9 * step, "outputTokens": step, "reasoningTokens": 0, "totalTokens": 10 * step,
                 "cachedInputTokens": 0}  # fmt: skip
        data = {"id": f"cp{step}{status}", "jobId": "j", "runId": "r", "status": status, "stepNumber": step,
                "messages": messages, "expert": {"key": "app", "name": "app", "version": "1.0.0"}, "usage": usage,
                **more}  # fmt: skip
        path = self._folder / "checkpoints" / f"{data['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
        return data


def text(message_id: str, kind: str, words: str) -> dict[str, Any]:
    return {"id": message_id, "type": kind, "contents": [{"id": "p", "type": "textPart", "text": words}]}


def call(message_id: str, call_id: str, tool: str) -> dict[str, Any]:
    part = {"id": "p", "type": "toolCallPart", "toolCallId": call_id, "toolName": tool, "args": {}}
    return {"id": message_id, "type": "expertMessage", "contents": [part]}


def answered(message_id: str, call_id: str, tool: str, words: str) -> dict[str, Any]:
    contents = [{"id": "q", "type": "textPart", "text": words}]
    part = {"id": "p", "type": "toolResultPart", "toolCallId": call_id, "toolName": tool, "contents": contents}
    return {"id": message_id, "type": "toolMessage", "contents": [part]}


def result(call_id: str, tool: str, words: str) -> dict[str, Any]:
    contents = [{"id": "q", "type": "textPart", "text": words}]
    return {"id": call_id, "skillName": "@perstack/base", "toolName": tool, "result": contents}


def test_a_job_of_2025_is_read_as_its_runtime_wrote_it(tmp_path: Path) -> None:
    files = Typescript(tmp_path)
    usage = {"inputTokens": 9, "outputTokens": 1, "reasoningTokens": 0, "totalTokens": 10, "cachedInputTokens": 0}
    system, query = text("s", "instructionMessage", "I am."), text("u", "userMessage", "Go.")
    asked, told = call("m1", "t1", "readTextFile"), answered("m2", "t1", "readTextFile", "content")
    claim, accepted = call("m3", "t2", "attemptCompletion"), answered("m4", "t2", "attemptCompletion", "{}")
    last = text("m5", "expertMessage", "It is done.")
    init = files.checkpoint("init", 1, [])
    first = files.checkpoint("proceeding", 1, [system, query, asked, told])
    files.event("startRun", "r", 1, 1000, initialCheckpoint=init, inputMessages=[system, query])
    files.event("startGeneration", "r", 1, 1000, messages=[system, query])
    files.event("startStreamingReasoning", "r", 1, 1001)
    files.event("callTools", "r", 1, 1002, newMessage=asked, toolCalls=[], usage=usage)
    files.event("resolveToolResults", "r", 1, 1003, toolResults=[result("t1", "readTextFile", "content")])
    files.event("finishToolCall", "r", 1, 1003, newMessages=[told])
    following = {**first, "id": "n", "stepNumber": 2}
    files.event("continueToNextStep", "r", 1, 1003, checkpoint=first, step={}, nextCheckpoint=following)
    files.event("startGeneration", "r", 2, 1003, messages=[system, query, asked, told])
    files.event("callTools", "r", 2, 1004, newMessage=claim, toolCalls=[], usage=usage)
    files.event("attemptCompletion", "r", 2, 1005, toolResult=result("t2", "attemptCompletion", "{}"))
    everything = [system, query, asked, told, claim, accepted, last]
    final = files.checkpoint("completed", 2, everything)
    files.event("completeRun", "r", 2, 1006, checkpoint=final, step={}, text="It is done.", usage=usage)
    again = {**final, "id": "again", "stepNumber": 3, "runId": "r2"}
    more, answer = text("u2", "userMessage", "And?"), text("m6", "expertMessage", "Nothing.")
    files.event("startRun", "r2", 3, 2000, initialCheckpoint=again, inputMessages=[more])
    files.event("startGeneration", "r2", 3, 2001, messages=[*everything, more])
    end = files.checkpoint("completed", 3, [*everything, more, answer])
    files.event("completeRun", "r2", 3, 2002, checkpoint=end, step={}, text="Nothing.", usage=usage)

    found = read(tmp_path)
    assert found.problem == ""
    state = fold(found.events)
    run = state.latest_run()
    assert run is not None
    assert (run.status, run.text, run.step) == (RunStatus.COMPLETED, "Nothing.", 3)
    assert [message.id for message in run.history] == ["u", "m1", "m2", "m3", "m4", "m5", "u2", "m6"]
    assert len(state.runs) == 1, "the second segment goes on with the first run"
    lineage = Lineage()
    assert len({lineage.path(event) for event in found.events}) == 1
    assert record(tmp_path).total_steps == 3


def test_a_claim_that_is_followed_by_an_empty_reply_is_read(tmp_path: Path) -> None:
    files = Typescript(tmp_path)
    query, claim = text("u", "userMessage", "Go."), call("m1", "t1", "attemptCompletion")
    files.event("startRun", "r", 1, 1, initialCheckpoint=files.checkpoint("init", 1, []), inputMessages=[query])
    files.event("startGeneration", "r", 1, 2, messages=[query])
    files.event("callTools", "r", 1, 3, newMessage=claim, toolCalls=[], usage={})
    files.event("attemptCompletion", "r", 1, 4, toolResult=result("t1", "attemptCompletion", "{}"))
    note = text("n", "userMessage", "You must generate.")
    files.event("retry", "r", 1, 5, reason="{}", newMessages=[answered("m2", "t1", "attemptCompletion", "{}"), note],
                usage={})  # fmt: skip
    found = read(tmp_path)
    assert found.problem == ""
    run = fold(found.events).latest_run()
    assert run is not None
    assert [message.id for message in run.history] == ["u", "m1", "m2", "n"]
