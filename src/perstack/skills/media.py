"""Tools that show images and PDF files to a model. Content is checked against the name; nothing is converted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from anyio import to_thread

from perstack.core.errors import ToolError
from perstack.core.messages import FilePart, ImagePart
from perstack.infrastructure.workspace import Workspace
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

MAX_IMAGE_MB = 15
MAX_PDF_MB = 30
_MIB = 1024 * 1024
_IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    "application/pdf": lambda data: b"%PDF-" in data[:1024],
}
_PATH = Parameter(Kind.STRING, "Path in the workspace, relative to it or absolute.")


def media_tools(workspace: Workspace) -> tuple[Tool, ...]:
    """`readImageFile` and `readPdfFile` over one workspace."""

    async def read_image(arguments: Arguments) -> Answer:
        path = arguments.text("path")
        mime_type = _IMAGES.get(PurePosixPath(path).suffix.lower())
        if mime_type is None:
            raise ToolError(f"File {path} is not supported.", hint="Images are png, jpg, jpeg, gif and webp.")
        data = await _content(workspace, path, mime_type, MAX_IMAGE_MB, "Image")
        return Answer(_about(path, mime_type, data), parts=(ImagePart(base64.b64encode(data).decode(), mime_type),))

    async def read_pdf(arguments: Arguments) -> Answer:
        path = arguments.text("path")
        if PurePosixPath(path).suffix.lower() != ".pdf":
            raise ToolError(f"File {path} is not a PDF file.")
        data = await _content(workspace, path, "application/pdf", MAX_PDF_MB, "PDF")
        part = FilePart(base64.b64encode(data).decode(), "application/pdf")
        return Answer(_about(path, "application/pdf", data), parts=(part,))

    return (
        Tool(
            "readImageFile", "Shows you an image (png, jpeg, gif, webp).", read_image, {"path": _PATH}, repeatable=True
        ),
        Tool("readPdfFile", "Shows you a PDF file.", read_pdf, {"path": _PATH}, repeatable=True),
    )


def _about(path: str, mime_type: str, data: bytes) -> dict[str, str | int]:
    return {"path": path, "mimeType": mime_type, "size": len(data)}


async def _content(workspace: Workspace, path: str, mime_type: str, limit_mb: int, kind: str) -> bytes:
    if not workspace.exists(path):
        raise ToolError(f"File {path} does not exist.")
    size = workspace.stat(path).size
    if size > limit_mb * _MIB:
        raise ToolError(
            f"{kind} file too large ({size / _MIB:.1f}MB). Maximum supported size is {limit_mb}MB.",
            hint="Make a smaller copy and read that.",
        )
    data = await to_thread.run_sync(lambda: workspace.read(path, limit=limit_mb * _MIB))
    if not SIGNATURES[mime_type](data):
        raise ToolError(f"File {path} is named like {mime_type}, but its content is something else.")
    return data
