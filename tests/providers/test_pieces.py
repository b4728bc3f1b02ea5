"""The parts below the wire protocols: event decoding, kept bytes, failures in words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.errors import NO_MEDIA, TOO_LONG
from perstack.core.messages import Message, ModelRequest, TextPart, UserMessage
from perstack.providers.failures import Endpoint
from perstack.providers.stream import EventDecoder, ServerEvent
from perstack.providers.wire import WireCache, read_args
from tests.providers.builders import KEY, ask


def decode(data: bytes, cuts: list[int]) -> list[ServerEvent]:
    decoder = EventDecoder()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [event for start, end in pairwise(places) for event in decoder.feed(data[start:end])]
    return [*found, *decoder.finish()]


@given(
    texts=st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=5
    ),
    newline=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_events_are_the_same_wherever_the_bytes_are_cut(texts: list[str], newline: bytes, cuts: list[int]) -> None:
    data = b"".join(b"event: e" + newline + b"data: " + text.encode() + newline * 2 for text in texts)
    assert decode(data, cuts) == [ServerEvent("e", text) for text in texts]


def test_comments_unknown_fields_and_a_missing_last_blank_line_are_handled() -> None:
    data = b": hello\n\nid: 7\nevent: gone\n\ndata:one\ndata: two\n\ndata: last"
    assert decode(data, []) == [ServerEvent("", "one\ntwo"), ServerEvent("", "last")]


def test_an_event_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an object, got list"):
        ServerEvent("", "[1]").json()


class Encoder:
    """Counts how often each message is made into bytes."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.heads = 0

    def message(self, message: Message) -> bytes:
        self.seen.append(message.id)
        return f'"{message.id}"'.encode()

    def head(self, request: ModelRequest) -> bytes:
        self.heads += 1
        return b"["

    def cache(self, runs: int = 8) -> WireCache:
        return WireCache(head=self.head, message=self.message, tail=b"]", runs=runs)


def user(number: int) -> UserMessage:
    return UserMessage(f"m{number}", (TextPart(str(number)),))


def test_a_message_is_made_into_bytes_once_however_long_the_run() -> None:
    encoder = Encoder()
    cache = encoder.cache()
    messages = [user(number) for number in range(50)]
    for turn in range(1, 51):
        body = cache.body(ask(messages=messages[:turn]))
    assert encoder.seen == [f"m{number}" for number in range(50)]
    assert encoder.heads == 1
    assert body.count(b'"m') == 50


def test_another_message_under_a_known_id_is_not_taken_for_the_known_one() -> None:
    encoder = Encoder()
    cache = encoder.cache()
    cache.body(ask(messages=[user(1)]))
    cache.body(ask(messages=[UserMessage("m1", (TextPart("changed"),))]))
    assert encoder.seen == ["m1", "m1"]


def test_the_head_is_made_again_when_what_it_says_changes() -> None:
    encoder = Encoder()
    cache = encoder.cache()
    for budget in (0, 0, 2048):
        cache.body(ask(reasoning_budget=budget))
    assert encoder.heads == 2


def test_only_the_last_runs_are_kept_and_what_left_the_history_is_dropped() -> None:
    encoder = Encoder()
    cache = encoder.cache(runs=2)
    shared = user(1)
    for run in ("a", "b", "c", "a"):
        cache.body(ask(messages=[shared], run_id=run))
    assert len(encoder.seen) == 4
    cache.body(ask(messages=[user(2)], run_id="a"))
    cache.body(ask(messages=[shared], run_id="a"))
    assert len(encoder.seen) == 6


@pytest.mark.parametrize(
    ("raw", "args", "problem"),
    [
        ("", {}, ""),
        ('{"a": 1}', {"a": 1}, ""),
        ('{"a": ', {}, "not valid JSON"),
        ('"text"', {}, "must be a JSON object, not str"),
    ],
)
def test_arguments_are_an_object_or_a_problem(raw: str, args: dict[str, int], problem: str) -> None:
    found, said = read_args(raw)
    assert found == args
    assert problem in said
    assert bool(said) is bool(problem)


ENDPOINT = Endpoint("anthropic", "ANTHROPIC_API_KEY", secrets=(KEY, ""))


@pytest.mark.parametrize(
    ("status", "body", "says", "again"),
    [
        (400, {"error": {"type": "invalid_request_error", "message": "bad field"}}, "was refused", False),
        (401, {"error": {"message": f"key {KEY} is wrong"}}, "ANTHROPIC_API_KEY was rejected", False),
        (402, {"error": {"message": "pay"}}, "no credit left", False),
        (403, "<html>no</html>", "may not use claude-x", False),
        (404, {"error": {"message": "model: claude-x"}}, "unknown model claude-x", False),
        (404, "404 page not found", "nothing answers at this address", False),
        (408, None, "was refused", True),
        (413, {"error": "context_length_exceeded"}, "longer than claude-x can read", False),
        (429, {"error": {"code": "insufficient_quota", "message": "quota"}}, "no credit left", False),
        (429, {"message": "slow down", "type": "rate_limit_error"}, "too many requests", True),
        (500, ["odd"], "is in trouble (500)", True),
        (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "is in trouble (529)", True),
        (599, None, "is in trouble (599)", True),
    ],
)
def test_every_refusal_has_a_sentence_and_a_decision(status: int, body: object, says: str, again: bool) -> None:
    error = ENDPOINT.refused(status, body, model="claude-x", retry_after_s=None)
    assert says in error.message
    assert error.retryable is again
    assert error.status == status
    assert KEY not in str(error)
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("messages.1.content.0.image.source.base64.data: image exceeds 5 MB maximum: 6291456 bytes", NO_MEDIA),
        ("At least one of the image dimensions exceed max allowed size: 8000 pixels", NO_MEDIA),
        ("Could not process image", NO_MEDIA),
        ("Image does not match the provided media type image/jpeg", NO_MEDIA),
        ("The PDF specified was not valid.", NO_MEDIA),
        ("The PDF specified is password protected.", NO_MEDIA),
        ("A maximum of 100 PDF pages may be provided.", NO_MEDIA),
        ("The image data you provided does not represent a valid image.", NO_MEDIA),
        ("Invalid MIME type. Only image types are supported.", NO_MEDIA),
        ("Invalid file data: 'input[2].content[1].file_data'.", NO_MEDIA),
        ("Unable to process input image. Please retry or report.", NO_MEDIA),
        ("The document has no pages.", NO_MEDIA),
        ("max_tokens: 90000 exceeds the maximum output of this model", ""),
        ("tools.0.name: invalid characters", ""),
        ("prompt is too long: 300000 tokens > 200000 maximum", TOO_LONG),
    ],
)
def test_a_file_that_a_server_will_not_take_is_told_from_other_mistakes(said: str, kind: str) -> None:
    body = {"error": {"type": "invalid_request_error", "message": said}}
    assert ENDPOINT.refused(400, body, model="claude-x", retry_after_s=None).kind == kind


def test_a_servers_own_advice_about_retrying_wins() -> None:
    assert not ENDPOINT.refused(503, None, model="m", retry_after_s=None, advice="false").retryable
    assert ENDPOINT.refused(400, None, model="m", retry_after_s=None, advice="true").retryable


def test_an_echoed_request_is_cut_short() -> None:
    error = ENDPOINT.refused(400, {"error": {"message": "x" * 10_000}}, model="m", retry_after_s=None)
    assert len(error.message) <= 300
