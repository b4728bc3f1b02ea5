"""Long output becomes short, keeps both ends, and stays what it was: text or JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.skills.truncation import MAX_OUTPUT, fit, truncate_middle


@given(st.text(), st.integers(0, 200))
def test_the_limit_holds_and_short_text_stays(text: str, limit: int) -> None:
    short = truncate_middle(text, limit)

    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text


@given(st.text(min_size=200, max_size=400), st.integers(100, 199))
def test_both_ends_stay_and_the_middle_is_accounted_for(text: str, limit: int) -> None:
    short = truncate_middle(text, limit)

    head, _, rest = short.partition("\n... [truncated: ")
    count, _, rest = rest.partition(" of ")
    total, _, tail = rest.partition(" characters are not shown] ...\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert int(total) == len(text) == len(head) + int(count) + len(tail)
    assert 0 <= len(head) - len(tail) <= 1


def test_the_default_limit_is_the_published_one() -> None:
    assert MAX_OUTPUT == 30_000
    assert len(truncate_middle("x" * 30_000)) == 30_000
    assert "... [truncated:" in truncate_middle("x" * 30_001)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(max_size=600)), st.integers(400, 900))
def test_a_payload_fits_and_stays_json(payload: dict[str, str], limit: int) -> None:
    text = fit({**payload, "kept": "k" * 50}, ("a", "b", "c"), limit)

    answer = json.loads(text)
    assert len(text) <= limit
    assert answer.keys() == {*payload, "kept"}
    assert answer["kept"] == "k" * 50


@pytest.mark.parametrize("text", ['"' * 50_000, "\n" * 50_000, "é" * 50_000, "😀" * 50_000, "\x01" * 50_000])
def test_the_room_is_used_whatever_the_text_needs_as_json(text: str) -> None:
    assert MAX_OUTPUT - 20 < len(fit({"content": text}, ("content",))) <= MAX_OUTPUT


def test_a_short_string_leaves_its_room_to_a_long_one() -> None:
    answer = json.loads(fit({"a": "short", "b": "x" * 5000}, ("a", "b"), 1000))

    assert answer["a"] == "short"
    assert len(answer["b"]) > 900


def test_other_keys_are_never_cut() -> None:
    assert json.loads(fit({"a": "x" * 500, "n": [1] * 100}, ("a",), 100))["n"] == [1] * 100
