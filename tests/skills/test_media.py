"""Images and PDF files reach the model as parts, and only when they are what they say."""

from __future__ import annotations

import base64
import json

import pytest

from perstack.core.messages import FilePart, ImagePart
from tests.skills.kit import Bench

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.mark.parametrize(
    ("name", "data", "mime_type"),
    [
        ("a.png", PNG, "image/png"),
        ("a.JPG", b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        ("a.gif", b"GIF89a...", "image/gif"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
async def test_an_image_is_shown(tools: Bench, name: str, data: bytes, mime_type: str) -> None:
    tools.write(name, data)

    result = await tools.result("readImageFile", path=name)

    assert json.loads(result.text) == {"path": name, "mimeType": mime_type, "size": len(data)}
    assert result.contents[1:] == (ImagePart(base64.b64encode(data).decode(), mime_type),)


async def test_a_pdf_is_shown(tools: Bench) -> None:
    tools.write("a.pdf", PDF)

    result = await tools.result("readPdfFile", path="a.pdf")

    assert result.contents[1:] == (FilePart(base64.b64encode(PDF).decode(), "application/pdf"),)


async def test_other_files_are_refused(tools: Bench) -> None:
    tools.write("a.svg", "<svg/>")
    tools.write("fake.png", "text")
    tools.write("fake.pdf", "text")

    assert (await tools.refused("readImageFile", path="a.svg")).startswith("File a.svg is not supported.")
    assert "its content is something else" in await tools.refused("readImageFile", path="fake.png")
    assert await tools.refused("readPdfFile", path="a.svg") == "File a.svg is not a PDF file."
    assert "its content is something else" in await tools.refused("readPdfFile", path="fake.pdf")
    assert await tools.refused("readImageFile", path="none.png") == "File none.png does not exist."


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(tools: Bench) -> None:
    with tools.write("big.png", PNG).open("r+b") as file:
        file.truncate(16 * 1024 * 1024)
    with tools.write("big.pdf", PDF).open("r+b") as file:
        file.truncate(31 * 1024 * 1024)

    image = await tools.refused("readImageFile", path="big.png")
    assert image.startswith("Image file too large (16.0MB). Maximum supported size is 15MB.")
    assert "Maximum supported size is 30MB." in await tools.refused("readPdfFile", path="big.pdf")


async def test_a_link_to_an_image_outside_is_refused(tools: Bench) -> None:
    outside = tools.root.parent / "secret.png"
    outside.write_bytes(PNG)
    (tools.root / "a.png").symlink_to(outside)

    await tools.refused("readImageFile", path="a.png")
