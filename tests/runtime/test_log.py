"""The event log: what is written, what is read back, what happens to a damaged file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import Event
from perstack.core.json import Json
from perstack.runtime.driver import Runner
from perstack.runtime.fold import fold
from perstack.runtime.log import EventLog, LogDamaged, load_log, read_log
from perstack.testing import Collect, FunctionSkill, counting_ids, done, reply, ticking_clock
from tests.runtime.running import Bench


def same(text: str) -> str:
    return text


def event(number: int, kind: str = "progress", **payload: Json) -> Event:
    return Event(kind, f"e{number}", 1000 + number, "job", payload=payload)


def write(path: Path, *events: Event) -> None:
    log = EventLog(path, same)
    for item in events:
        log(item)
    log.close()


async def run_into(path: Path, steps: int, output: str) -> Bench:
    replies = [reply(calls=[("look", {"path": f"file-{n}.py"})]) for n in range(steps - 1)]
    bench = Bench([*replies, done("ready")], skill=FunctionSkill({"look": lambda _: output}))
    await bench.run(max_steps=steps + 1)
    write(path, *bench.events)
    return bench


@pytest.mark.anyio
async def test_a_log_gives_back_the_events_without_streaming_deltas(tmp_path: Path) -> None:
    bench = await run_into(tmp_path / "e.jsonl", 3, "seen")
    stored = [item for item in bench.events if "tream" not in item.type]
    assert [e.to_json() for e in read_log(tmp_path / "e.jsonl")] == [e.to_json() for e in stored]


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_hundred_steps_of_one_kilobyte_stay_under_half_a_megabyte_and_grow_linearly(tmp_path: Path) -> None:
    for steps in (100, 200):
        await run_into(tmp_path / f"{steps}", steps, "x" * 1024)
    small, large = ((tmp_path / name).stat().st_size for name in ("100", "200"))
    assert small <= 500_000
    assert large <= 2.05 * small


@pytest.mark.anyio
@pytest.mark.parametrize("read_only", [(), ("look",)])
async def test_a_step_waits_for_the_disk_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: tuple[str, ...]
) -> None:
    waits: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waits.append)
    log = EventLog(tmp_path / "e.jsonl", same)
    collect = Collect()

    def sink(item: Event) -> None:
        log(item)
        collect(item)
        if item.type == "startToolCall":
            assert len(waits) == collect.types().count("callTools"), "the call is made before its record is on disk"

    script = [*(reply(calls=[("look", {})]) for _ in range(10)), done("ready")]
    bench = Bench(script, skill=FunctionSkill({"look": lambda _: "seen"}, read_only=read_only))
    bench.runner = Runner(bench.provider, sink, new_id=counting_ids(), now_ms=ticking_clock())
    await bench.run()
    assert len(waits) == 11
    log.close()


def test_a_cut_last_line_is_left_out_said_and_removed_on_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    write(path, event(1), event(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    told: list[str] = []
    assert [e.id for e in read_log(path, told.append)] == ["e1"]
    assert "e.jsonl:3: the last line is cut off" in told[0]
    write(path, event(2))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("change", [b'"say":"b"', b'"say":"a" '])
def test_a_changed_line_is_found_and_the_events_before_it_stay_usable(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "e.jsonl"
    write(path, event(1), event(2, say="a"), event(3))
    path.write_bytes(path.read_bytes().replace(b'"say":"a"', change))
    with pytest.raises(LogDamaged, match=r"e\.jsonl:3: the line was changed") as damage:
        read_log(path)
    assert damage.value.line == 3
    assert [e.id for e in damage.value.intact] == ["e1"]
    with pytest.raises(LogDamaged):
        EventLog(path, same)


def test_a_removed_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    write(path, event(1), event(2), event(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert load_log(path).line == 3


@pytest.mark.parametrize("content", [b"not a log\n", b"\xff\xfe\n", b'{"type":"log"}\n'])
def test_a_file_that_is_no_log_is_refused_with_its_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(content)
    with pytest.raises(LogDamaged, match=r"e\.jsonl:1: "):
        read_log(path)


def test_an_unknown_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.jsonl"
    monkeypatch.setattr("perstack.runtime.log._HEADER", {"type": "log", "version": 7})
    write(path, event(1))
    with pytest.raises(LogDamaged, match="unknown log version 7"):
        read_log(path)


def test_secrets_are_gone_before_the_line_is_written(tmp_path: Path) -> None:
    secret = 'to"ken\nof two lines'
    log = EventLog(tmp_path / "e.jsonl", lambda text: text.replace(secret, "***"))
    log(event(1, deep=[{"args": {"value": f"a {secret} b", secret: 1}}]))
    log.close()
    data = json.loads((tmp_path / "e.jsonl").read_text().splitlines()[1])
    assert data["deep"] == [{"args": {"value": "a *** b", "***": 1}}]


def test_a_log_goes_on_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    write(path, event(1))
    write(path, event(2))
    assert [e.id for e in read_log(path)] == ["e1", "e2"]
    assert len(path.read_text().splitlines()) == 3


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="event log cannot be written"):
        EventLog(tmp_path / "file" / "e.jsonl", same)


def test_a_log_has_one_writer_at_a_time(tmp_path: Path) -> None:
    first = EventLog(tmp_path / "e.jsonl", same)
    with pytest.raises(UserError, match="another process is working on this job"):
        EventLog(tmp_path / "e.jsonl", same)
    first.close()
    write(tmp_path / "e.jsonl", event(1))


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "e.jsonl", same)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file)
    os.close(full)
    with pytest.raises(InfrastructureError, match="No space left"):
        log(event(1))
    os.close(log._file)
    assert load_log(tmp_path / "e.jsonl").problem == ""


def test_pipeline_facts_are_folded_without_mere_progress() -> None:
    state = fold(
        [event(1, "startJob"), event(2), event(3, "decideVerdict", round=1), event(4, "decideVerdict", round=2)]
    )
    assert [fact.type for fact in state.facts] == ["startJob", "decideVerdict", "decideVerdict"]
    newest = state.fact("decideVerdict")
    assert newest is not None
    assert newest.payload["round"] == 2
