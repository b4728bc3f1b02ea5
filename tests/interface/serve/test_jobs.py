"""`perstack serve` with a real model server, real sandboxes and connections: jobs from their start to their files."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from threading import Event

import pytest

from tests.interface.model import Model, Turn, model
from tests.interface.scripts import READ, Desk
from tests.interface.serve.front import Front, events_of, serving

pytestmark = pytest.mark.slow
HOSTILE = "over\n\nevent: end\ndata: {}\n\nid: 1\u2028\r\ndata: x"
BUGGY = "def double(n):\n    return n + n + 1\n"
TEST = "from double import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
CONFIG = '[signals.tests]\nkind = "test"\nrun = "python3 -m pytest -q"\nrepeat = 1\n'


class Script:
    """What the experts of the one server say: changed by each test. `hold` keeps a model's answer back."""

    def __init__(self) -> None:
        self.app: list[Turn] = ["Done."]
        self.hold = Event()

    def turn(self, request: dict[str, object]) -> object:
        """The reply of the expert `app`."""
        messages = request["messages"]
        assert isinstance(messages, Sequence)
        given = sum(message["role"] == "assistant" for message in messages)
        found = self.app[min(given, len(self.app) - 1)]
        if found == "wait":
            self.hold.wait(60)
            return "I waited."
        return found


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Iterator[Desk]:
    """A repository with a definition, and a model."""
    folder = tmp_path_factory.mktemp("served")
    with ExitStack() as stack:
        server: Model = stack.enter_context(model({"APP": [script.turn], "OTHER": ["Other."]}))
        desk = Desk(folder, server)
        (folder / "perstack.toml").write_text((folder / "perstack.toml").read_text() + CONFIG)
        (folder / "double.py").write_text(BUGGY)
        (folder / "test_double.py").write_text(TEST)
        (folder / ".gitignore").write_text("perstack/\ntoken\n")
        for line in ("init -q -b main", "add -A", "-c user.name=a -c user.email=a@b commit -q -m one"):
            subprocess.run(["git", *line.split()], cwd=folder, check=True, timeout=60)
        yield desk


@pytest.fixture(scope="module")
def front(place: Desk) -> Iterator[Front]:
    with serving(
        place, "--heartbeat", "0.1", "--max-jobs", "1", "--max-queue", "1", "--max-streams", "2", "--max-steps", "5"
    ) as found:
        yield found


def start(front: Front, job: str, **more: object) -> None:
    body = {"kind": "run", "expert": "app", "query": "Do it.", "jobId": job, **more}
    told = front("POST", "/v1/jobs", body)
    assert told.status == 202, told.body
    assert told.headers["location"] == f"/v1/jobs/{job}"
    assert told.json["status"] in {"queued", "running"}


def test_a_job_is_followed_live_and_a_cut_stream_goes_on_without_loss_or_repetition(
    front: Front, script: Script, place: Desk
) -> None:
    script.app, script.hold = [READ, "wait"], Event()
    start(front, "live")
    seen: list[str] = []
    with front.follow("live") as first:
        for name, event, data in first.read():
            seen += [event] if event else []
            assert name != "end"
            if data and data["type"] == "startGeneration" and data["stepNumber"] == 2:
                break
    # Not before: a job that was taken, and has no event yet, is not on record.
    beside = place.start("log", "--follow", "--job", "live", "--filter", ".type == completeRun")
    with front.follow("live", last=seen[-1]) as second:
        for name, event, data in second.read():
            if name == "comment":
                script.hold.set()  # it is quiet, and says that it is there: the model answers now
            elif name == "end":
                assert data == {"jobId": "live", "status": "completed"}
            else:
                assert data["id"] == event
                seen.append(event)
        assert second.comments
    assert seen == events_of(place.folder, "live")
    out, err = beside.communicate(timeout=60)
    assert (json.loads(out)["text"], err) == ("I waited.", "")
    view = front("GET", "/v1/jobs/live").json
    assert (view["status"], view["result"], view["isHere"], view["kind"]) == ("completed", "I waited.", False, "run")
    assert front("GET", "/v1/jobs/live/events", last_event_id=seen[-1]).status == 204
    with front.follow("live", "?after=" + seen[-2]) as rest:
        assert [event for _, event, _ in rest.read() if event] == seen[-1:]


def test_words_that_look_like_the_stream_stay_words(front: Front, script: Script) -> None:
    script.app = [HOSTILE]
    start(front, "hostile")
    with front.follow("hostile", "?filter=.type%20==%20completeRun") as stream:
        found = [(name, data) for name, _, data in stream.read() if name != "comment"]
    assert [name for name, _ in found] == ["", "end"]
    assert found[0][1]["text"] == HOSTILE
    page = front("GET", "/v1/jobs/hostile/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert b"Content-Security-Policy" in page.body


def test_a_question_is_answered_and_an_ended_job_is_spoken_to(front: Front, script: Script, place: Desk) -> None:
    script.app = [[("askUser", {"question": "Shall I?"})], "Then I am done.", "And more."]
    start(front, "asks")
    assert front.ended("asks") == "stoppedByInteractiveTool"
    asked = front("GET", "/v1/jobs/asks").json["question"]
    assert (asked["toolName"], asked["args"]) == ("askUser", {"question": "Shall I?"})
    assert front("POST", "/v1/jobs/asks/messages", {"query": "Well?"}).kind == "conflict"
    assert front("POST", "/v1/jobs/asks/answer", {"text": "Y", "toolCallId": "other"}).kind == "conflict"
    words = '{"toolCallId": "not one", "text": "no"}'
    told = front("POST", "/v1/jobs/asks/answer", {"text": words})
    assert told.status == 202, told.body
    assert front.ended("asks") == "completed"
    assert place.model.requests[-1]["messages"][-1]["content"] == words
    assert front("POST", "/v1/jobs/asks/answer", {"text": "Again."}).kind == "conflict"
    assert front("POST", "/v1/jobs/asks/messages", {"query": "And?"}).status == 202
    assert front.ended("asks") == "completed"
    assert front("GET", "/v1/jobs/asks").json["result"] == "And more."


def test_a_cancelled_job_can_be_resumed_and_the_queue_has_an_end(front: Front, script: Script) -> None:
    script.app, script.hold = ["wait"], Event()
    start(front, "busy")
    start(front, "waits")
    assert front("GET", "/v1/jobs/waits").json["status"] == "queued"
    full = front("POST", "/v1/jobs", {"kind": "run", "expert": "app", "query": "x"})
    assert (full.kind, full.headers["retry-after"]) == ("too-many-jobs", "10")
    assert front("POST", "/v1/jobs", {"kind": "fix", "jobId": "waits"}).kind == "conflict"
    with front.follow("busy") as one, front.follow("waits") as two:
        assert front("GET", "/v1/jobs/busy/events").kind == "too-many-followers"
        assert front("POST", "/v1/jobs/waits/cancel").json["status"] == "cancelled"
        assert [name for name, _, _ in two.read() if name != "comment"] == ["end"]
        events = one.read()
        assert any(data and data.get("type") == "startGeneration" for _, _, data in events)
        assert front("POST", "/v1/jobs/busy/cancel").status == 202
        assert [data["status"] for name, _, data in events if name == "end"] == ["interrupted"]
    script.app = ["I went on."]
    assert front("POST", "/v1/jobs/busy/cancel").kind == "conflict"
    assert front("POST", "/v1/jobs/busy/resume").status == 202
    assert front.ended("busy") == "completed"
    assert front("POST", "/v1/jobs/busy/resume").kind == "conflict"
    script.hold.set()
    listed = front("GET", "/v1/jobs?status=completed&take=1000").json
    assert "busy" in {job["id"] for job in listed["jobs"]}
    assert listed["total"] == len(listed["jobs"])


def test_a_change_is_judged_and_its_evidence_and_patch_are_fetched(front: Front) -> None:
    patch = (
        "--- a/double.py\n+++ b/double.py\n@@ -1,2 +1,2 @@\n def double(n):\n-    return n + n + 1\n+    return n + n\n"
    )
    told = front("POST", "/v1/jobs", {"kind": "verify", "base": "HEAD", "patch": patch, "jobId": "judged"})
    assert told.status == 202, told.body
    assert front.ended("judged") == "completed"
    view = front("GET", "/v1/jobs/judged").json
    assert (view["kind"], view["outcome"], view["verdict"]) == ("verify", "verified", "pass")
    evidence = front("GET", view["links"]["evidence"]).json
    assert evidence["predicate"]
    assert b"+    return n + n\n" in front("GET", view["links"]["patch"]).body
    files = front("GET", "/v1/jobs/judged/files").json["files"]
    for one in files:
        got = front("GET", one["link"])
        assert (got.status, len(got.body)) == (200, one["size"])
        assert got.headers["content-disposition"] == "attachment"
    for form in ("markdown", "junit", "sarif", "badge"):
        assert front("GET", f"/v1/jobs/judged/report?format={form}").status == 200
    failed = front("POST", "/v1/jobs", {"kind": "fix", "base": "no-such-revision", "jobId": "lost"})
    assert failed.status == 202
    assert front.ended("lost") == "stoppedByError"
    assert "no-such-revision" in front("GET", "/v1/jobs/lost").json["error"]["message"]


def test_a_link_in_a_jobs_folder_leads_nowhere(front: Front, place: Desk) -> None:
    folder = place.folder / "perstack" / "jobs" / "linked"
    folder.mkdir()
    (place.folder / "secret.txt").write_text("secret")
    (folder / "out").symlink_to(place.folder / "secret.txt")
    (folder / "up").symlink_to(place.folder)
    assert front("GET", "/v1/jobs/linked/files").json == {"files": []}
    for path in ("out", "up/secret.txt", "../../../secret.txt", "..%2f..%2f..%2fsecret.txt", "%00", "/etc/passwd", "."):
        answer = front("GET", f"/v1/jobs/linked/files/{path}")
        assert answer.status == 404, path
        assert b"secret\n" not in answer.body


def test_a_damaged_log_is_followed_to_the_damage_and_says_where_it_is(front: Front, place: Desk) -> None:
    source = place.folder / "perstack" / "jobs" / "live"
    folder = place.folder / "perstack" / "jobs" / "damaged"
    folder.mkdir()
    lines = (source / "events.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"jobId", b"jobID", 1)
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    with front.follow("damaged") as stream:
        found = [(name, data) for name, _, data in stream.read() if name != "comment"]
    assert [name for name, _ in found] == ["", "", "problem", "end"]
    assert "events.jsonl:4:" in found[2][1]["detail"]


def test_a_signal_leaves_what_was_at_work_resumable_and_what_waited_to_the_next_server(
    place: Desk, script: Script
) -> None:
    script.app, script.hold = ["wait"], Event()
    with serving(place, "--max-jobs", "1") as front:
        start(front, "last")
        with front.follow("last") as stream:
            assert any(data and data.get("type") == "startGeneration" for _, _, data in stream.read())
        for job in ("kept", "dropped", "not-wanted"):
            start(front, job, maxSteps=3)
        assert front("POST", "/v1/jobs/not-wanted/cancel").json["status"] == "cancelled"
        assert front("POST", "/v1/jobs/last/messages", {"query": "x"}).kind == "conflict"
        with front.follow("kept") as one, front.follow("last") as two:
            front.process.send_signal(signal.SIGINT)
            for stream in (one, two):
                assert [data["status"] for name, _, data in stream.read() if name == "end"] == ["interrupted"]
        _, err = front.process.communicate(timeout=60)
        assert front.process.returncode == 130, err
        assert "go on with: perstack resume last" in err
        assert "kept has not begun" in err
        assert "Traceback" not in err
    assert place.record("last")["status"] == "running"
    assert (place.folder / "token").stat().st_mode & 0o777 == 0o600
    queue = place.folder / "perstack" / "jobs" / ".queue"
    assert sorted(path.name for path in queue.glob("*.json")) == ["dropped.json", "kept.json"]
    assert (queue / "kept.json").stat().st_mode & 0o777 == 0o600
    (queue / "planted.json").write_text('{"job_id": "planted", "kind": "\\u001b[2J"}')
    script.app = ["Begun late."]
    script.hold.set()
    with serving(place) as front:
        assert front("GET", "/v1/jobs/kept").json["status"] == "interrupted"
        listed = {job["id"]: job["status"] for job in front("GET", "/v1/jobs?take=1000").json["jobs"]}
        assert (listed["kept"], listed["dropped"]) == ("interrupted", "interrupted")
        assert not {"not-wanted", "planted"} & set(listed)
        assert front("POST", "/v1/jobs", {"kind": "fix", "jobId": "kept"}).kind == "conflict"
        assert front("POST", "/v1/jobs/dropped/cancel").json["status"] == "cancelled"
        assert front("GET", "/v1/jobs/dropped").kind == "no-such-job"
        assert front("POST", "/v1/jobs/kept/resume").status == 202
        assert front.ended("kept") == "completed"
        assert front("GET", "/v1/jobs/kept").json["result"] == "Begun late."
        assert front("POST", "/v1/jobs/kept/resume").kind == "conflict"
        _, err = front.stop()
        assert "kept was taken by an earlier server" in err
        assert "\x1b" not in err
    assert place.record("kept")["maxSteps"] == 3
    assert [path.name for path in queue.glob("*.json")] == ["planted.json"]
