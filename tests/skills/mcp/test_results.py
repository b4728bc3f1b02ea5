"""What a model sees of a tool's result: cleaned, bounded, and told what is missing."""

from __future__ import annotations

import base64
from typing import Any

import mcp_types as types
import pytest

from perstack.core.messages import FilePart, ImagePart, TextPart
from perstack.skills.mcp.contract import Answer
from perstack.skills.mcp.wire_results import answer

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


def of(*content: Any, structured: Any = None, is_error: bool = False) -> Answer:
    return answer(types.CallToolResult(content=list(content), structured_content=structured, is_error=is_error))


def text(words: str) -> types.TextContent:
    return types.TextContent(text=words)


def blob(data: bytes, mime: str | None) -> types.EmbeddedResource:
    encoded = base64.b64encode(data).decode()
    return types.EmbeddedResource(resource=types.BlobResourceContents(uri="x://1", blob=encoded, mime_type=mime))


def words(result: Answer) -> list[str]:
    return [part.text for part in result.contents if isinstance(part, TextPart)]


def test_an_image_is_what_its_bytes_are() -> None:
    result = of(types.ImageContent(data=PNG, mime_type="image/jpeg"))
    assert result.contents == (ImagePart(PNG, "image/png"),)


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (text(""), "Error: No content"),
        (text("seen\U000e0041\x00"), "seen"),
        (types.ImageContent(data="!", mime_type="image/png"), "[image of type image/png: left out, it is not base64]"),
        (
            types.ImageContent(data="PHN2Zz4=", mime_type="image/svg+xml"),
            "[image of type image/svg+xml, about 6 bytes: left out, models take png, jpeg, gif and webp]",
        ),
        (
            types.AudioContent(data="AAAA", mime_type="audio/wav\n::evil"),
            "[audio of type application/octet-stream, about 3 bytes: left out, it cannot be shown to a model]",
        ),
        (
            types.ResourceLink(uri="file:///x\u202ey", name="a\x1b[1mb"),
            "[link to the resource ab at file:///xy: not read]",
        ),
        (types.EmbeddedResource(resource=types.TextResourceContents(uri="x://1", text="inside")), "inside"),
        (blob(b"hello", "text/plain"), "hello"),
    ],
)
def test_a_part_becomes_text_that_says_what_it_is(block: types.ContentBlock, shown: str) -> None:
    assert of(block).contents == (TextPart(shown),)


def test_a_file_is_passed_on_by_what_it_is() -> None:
    pdf = b"%PDF-1.4\n"
    assert of(blob(pdf, "text/plain")).contents == (FilePart(base64.b64encode(pdf).decode(), "application/pdf"),)
    assert of(blob(b"\x00\x01", None)).contents == (FilePart("AAE=", "application/octet-stream"),)


def test_nothing_is_no_parts_and_an_error_stays_one() -> None:
    assert of() == Answer(())
    assert of(text("no"), is_error=True) == Answer((TextPart("no"),), is_error=True)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ([], ['{"answer":42}']),
        ([text('{ "answer": 42 }')], ['{ "answer": 42 }']),
        ([text("The answer is 42.")], ["The answer is 42."]),
        ([text("See the structured part.")], ["See the structured part.", '{"answer":42}']),
    ],
)
def test_a_structured_value_is_shown_where_the_text_does_not_say_it(content: list[Any], shown: list[str]) -> None:
    assert words(of(*content, structured={"answer": 42})) == shown


def test_all_texts_together_stay_within_the_limit_and_short_ones_stay_whole() -> None:
    result = words(of(text("short"), text("a" * 50_000), text("b" * 50_000)))
    assert result[0] == "short"
    assert all("[truncated: " in long for long in result[1:])
    assert sum(map(len, result)) <= 30_000


def test_parts_and_media_have_limits() -> None:
    many = of(*[text("x")] * 100)
    assert len(many.contents) == 65
    assert words(many)[-1] == "[36 more parts: left out]"
    large = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 10_000_000).decode()
    result = of(*[types.ImageContent(data=large, mime_type="image/png")] * 3)
    assert [type(part) for part in result.contents] == [ImagePart, TextPart, TextPart]
    assert "the result is too large" in words(result)[0]
