"""A log read while it grows, and events chosen as they are printed: in process, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perstack import api
from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import Event
from perstack.interface.history.choice import Wish
from perstack.interface.history.following import print_events
from perstack.interface.running import printer_of
from perstack.interface.serve.events import encoded
from perstack.runtime.log import EventLog


def event(number: int, kind: str = "progress", **payload: str) -> Event:
    return Event(kind, f"e{number}", number + 1, "job", payload={"message": f"m{number}", **payload})


@pytest.fixture
def archive(tmp_path: Path) -> api.Archive:
    (tmp_path / "jobs" / "job").mkdir(parents=True)
    return api.Archive(tmp_path)


def log_of(archive: api.Archive) -> Path:
    return archive.root / "jobs" / "job" / "events.jsonl"


def test_each_event_is_read_once_and_half_a_line_waits_for_its_end(archive: api.Archive) -> None:
    reader = api.Following(archive, "job")
    assert (reader.read(), reader.is_live) == ([], False)
    log = EventLog(log_of(archive), str)
    assert reader.is_live
    log(event(0))
    log(event(1, "startToolCall"))
    assert [one.id for one in reader.read()] == ["e0"]
    assert reader.read() == []
    log(event(2, text="x" * 600_000))  # more than is read at once
    log(event(3))
    log.close()
    data = log_of(archive).read_bytes()
    log_of(archive).write_bytes(data[:-10])
    assert [one.id for one in reader.read()] == ["e2"]
    assert reader.read() == []
    log_of(archive).write_bytes(data)
    assert [one.id for one in reader.read()] == ["e3"]
    assert not reader.is_live


def test_a_changed_line_is_told_after_what_is_intact(archive: api.Archive) -> None:
    log = EventLog(log_of(archive), str)
    for number in range(4):
        log(event(number))
    log.close()
    lines = log_of(archive).read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"m2", b"mx")
    log_of(archive).write_bytes(b"".join(lines))
    reader = api.Following(archive, "job")
    assert [one.id for one in reader.read()] == ["e0", "e1"]
    with pytest.raises(InfrastructureError, match=r"events.jsonl:4: "):
        reader.read()
    with pytest.raises(UserError):
        api.Following(archive, "../job")


def test_a_followed_log_is_printed_as_lines_that_are_chosen_as_elsewhere(
    archive: api.Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    log = EventLog(log_of(archive), str)
    for number in range(6):
        log(event(number, "remark" if number % 2 else "finishSignal"))
    log.close()
    wish = Wish(types=frozenset({"remark"}), filters=('.message != "m3"',), take="1", offset="1")
    print_events(archive, "job", wish.selection())
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["e5"]


def test_a_run_prints_the_types_or_the_matches_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for only, ids in (("remark,publish", ["e1"]), ('.message == "m2"', ["e2"]), ("", ["e1", "e2"])):
        show = printer_of(only)
        show(event(1, "remark"))
        show(event(2, "refuse"))
        assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ids
    with pytest.raises(UserError, match="Invalid filter expression"):
        printer_of(".message = m2")


def test_an_event_is_one_line_of_ascii_whatever_is_in_it() -> None:
    hostile = event(1, text="a\r\n\n\u2028\u0085\ud800id: 2")
    head, data, end, rest = encoded(hostile).split(b"\n")
    assert (head, end, rest) == (b"id: e1", b"", b"")
    assert json.loads(data.removeprefix(b"data: "))["text"] == "a\r\n\n\u2028\u0085\ud800id: 2"
    assert b"\r" not in data
    assert encoded(Event("remark", "x\nevent: end", 1, "job")).startswith(b"data: {")
