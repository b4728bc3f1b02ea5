"""Text that UTF-8 cannot write, from a model, a file name or a command line, ends no run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.json import compact
from perstack.core.unicode import well_formed, well_formed_json
from perstack.testing import done, reply
from tests.compat.bench import Bench

pytestmark = pytest.mark.anyio

EXPERT = '[experts.a]\ninstruction = "Look."\n'
HALF = "\ud83d"


async def test_a_reply_with_half_a_character_is_kept_and_the_run_goes_on(tmp_path: Path) -> None:
    script = [
        reply(f"so {HALF}", [("todo", {"newTodos": [f"x{HALF}"], "completedTodos": [0]})], thinking=f"hm {HALF}"),
        done(f"done {HALF}"),
    ]
    bench = Bench.of(tmp_path, EXPERT, {"a": script}, host={"store": None})

    ended = await bench.run("a", f"query {HALF}")

    assert (ended.outcome.status, ended.outcome.text) == ("completed", "done \ufffd")
    assert "x\ufffd" in repr(bench.requests[1].messages)
    for event in ended.events:
        compact(event.to_json()).encode()
    (log,) = (tmp_path / "storage").rglob("events.jsonl")
    assert "query \ufffd" in log.read_text("utf-8")


async def test_a_file_name_that_is_no_text_is_listed(tmp_path: Path) -> None:
    listing = reply(calls=[("listDirectory", {"path": "."})])
    bench = Bench.of(tmp_path, EXPERT, {"a": [listing, done("seen")]}, host={"store": None})
    (Path(os.fsdecode(os.fsencode(bench.workspace) + b"/na\xffme"))).write_text("x")

    ended = await bench.run("a")

    assert ended.outcome.status == "completed"
    assert "na\ufffdme" in repr(bench.requests[1].messages)


def test_halves_that_belong_together_become_one_character() -> None:
    assert well_formed("\ud83d\ude00 \ud83d") == "\U0001f600 \ufffd"
    assert well_formed_json({"k\ud83d": ["\ude00", 1, None, {"x": True}]}) == {
        "k\ufffd": ["\ufffd", 1, None, {"x": True}]
    }


@given(st.text(st.characters(categories=None)))
def test_any_text_can_be_written_afterwards_and_good_text_stays(text: str) -> None:
    clean = well_formed(text)

    clean.encode()
    assert well_formed(clean) == clean
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert clean == text
