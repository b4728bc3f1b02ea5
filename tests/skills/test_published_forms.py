"""What callers of the published base tools rely on: the keys of each answer, and the words of each refusal."""

from __future__ import annotations

import base64
import json
import os

import pytest

from perstack.core.json import Json
from perstack.core.messages import FilePart, ImagePart
from perstack.skills.media import MAX_IMAGE_MB, MAX_PDF_MB
from tests.skills.kit import Bench

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def filled(tools: Bench) -> Bench:
    tools.write("a.txt", "one\ntwo\nthree")
    tools.write("dir/b.txt", "x")
    tools.write("pixel.png", PNG)
    tools.write("page.pdf", b"%PDF-1.4\n%%EOF\n")
    os.truncate(tools.write("big.gif", b"GIF89a"), MAX_IMAGE_MB * 1024 * 1024 + 1)
    os.truncate(tools.write("big.pdf", b"%PDF-1.4"), MAX_PDF_MB * 1024 * 1024 + 1)
    return tools


@pytest.mark.parametrize(
    ("tool", "args", "keys"),
    [
        ("attemptCompletion", {}, ""),
        ("attemptCompletion", {"result": "done"}, ""),
        ("todo", {"newTodos": ["x"]}, "todos"),
        ("clearTodo", {}, "todos"),
        ("exec", {"command": "true", "args": [], "env": {}, "cwd": ".", "stdout": True, "stderr": True}, "output"),
        (
            "getFileInfo",
            {"path": "a.txt"},
            "exists path absolutePath name directory extension type mimeType size modified permissions",
        ),
        ("healthCheck", {}, "status workspace uptime memory pid"),
        ("readTextFile", {"path": "a.txt"}, "path content from to"),
        ("readImageFile", {"path": "pixel.png"}, "path mimeType size"),
        ("readPdfFile", {"path": "page.pdf"}, "path mimeType size"),
        ("writeTextFile", {"path": "new.txt", "text": "x"}, "path text"),
        ("appendTextFile", {"path": "a.txt", "text": "x"}, "path text"),
        ("editTextFile", {"path": "a.txt", "newText": "2", "oldText": "two"}, "path newText oldText"),
        ("moveFile", {"source": "a.txt", "destination": "c/d.txt"}, "source destination"),
        ("deleteFile", {"path": "a.txt"}, "path"),
        ("listDirectory", {"path": "."}, "path items"),
        ("createDirectory", {"path": "made"}, "path"),
        ("deleteDirectory", {"path": "dir", "recursive": True}, "path"),
    ],
)
async def test_an_answer_has_the_published_keys(filled: Bench, tool: str, args: dict[str, Json], keys: str) -> None:
    answer = await filled.ok(tool, **args)

    assert set(keys.split()) <= set(answer)


@pytest.mark.parametrize(
    ("tool", "args", "message"),
    [
        ("getFileInfo", {"path": "x"}, "File or directory x does not exist"),
        ("readTextFile", {"path": "x"}, "File x does not exist."),
        ("appendTextFile", {"path": "x", "text": ""}, "File x does not exist."),
        ("readImageFile", {"path": "a.txt"}, "File a.txt is not supported."),
        ("readImageFile", {"path": "big.gif"}, "Image file too large (15.0MB). Maximum supported size is 15MB."),
        ("readPdfFile", {"path": "a.txt"}, "File a.txt is not a PDF file."),
        ("readPdfFile", {"path": "big.pdf"}, "PDF file too large (30.0MB). Maximum supported size is 30MB."),
        (
            "editTextFile",
            {"path": "a.txt", "oldText": "four", "newText": ""},
            "Could not find exact match for oldText in file a.txt",
        ),
        ("moveFile", {"source": "a.txt", "destination": "dir/b.txt"}, "Destination dir/b.txt already exists."),
        ("deleteFile", {"path": "dir"}, "Path dir is a directory. Use delete directory tool instead."),
        ("createDirectory", {"path": "dir"}, "Directory dir already exists"),
    ],
)
async def test_a_refusal_has_the_published_words(filled: Bench, tool: str, args: dict[str, Json], message: str) -> None:
    assert (await filled.refused(tool, **args)).startswith(message)


async def test_a_command_speaks_in_the_published_words(tools: Bench) -> None:
    silent = await tools.ok("exec", command="true")
    failed = await tools.fails("exec", command="sh", args=["-c", "echo out; echo err >&2; exit 3"])
    late = await tools.fails("exec", command="sleep", args=["30"], timeout=50)

    assert silent["output"] == "Command executed successfully, but produced no output."
    assert (failed["stdout"], failed["stderr"]) == ("out\n", "err\n")
    assert late["error"] == "Command timed out after 50ms."


async def test_lines_are_counted_from_zero_and_the_last_is_not_included(filled: Bench) -> None:
    answer = await filled.ok("readTextFile", path="a.txt", **{"from": 1, "to": 2})

    assert (answer["content"], answer["from"], answer["to"]) == ("two", 1, 2)


async def test_replacement_text_is_taken_literally_and_other_line_ends_stay(tools: Bench) -> None:
    file = tools.write("a.txt", "a\r\nb\r\n")

    await tools.ok("editTextFile", path="a.txt", oldText="b", newText="$& $1 \\1")

    assert file.read_bytes() == b"a\r\n$& $1 \\1\r\n"


async def test_images_and_documents_reach_the_model_as_what_they_are(filled: Bench) -> None:
    image = await filled.result("readImageFile", path="pixel.png")
    document = await filled.result("readPdfFile", path="page.pdf")

    assert json.loads(image.text) == {"path": "pixel.png", "mimeType": "image/png", "size": len(PNG)}
    assert image.contents[1] == ImagePart(base64.b64encode(PNG).decode(), "image/png")
    assert isinstance(document.contents[1], FilePart)
    assert document.contents[1].mime_type == "application/pdf"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("perstack/x", "Access denied - perstack directory is not allowed"),
        ("PERSTACK/x", "Access denied - perstack directory is not allowed"),
        ("alias/x", "Access denied - perstack directory is not allowed"),
        (".git/config", "Access denied - .git directory is not allowed"),
        ("../x", "Access denied - path outside allowed directories: {parent}/x not in {root}"),
        ("a/../../x", "Access denied - path outside allowed directories: {parent}/x not in {root}"),
        ("/etc/passwd", "Access denied - path outside allowed directories: /etc/passwd not in {root}"),
        ("~/.ssh/id_rsa", "Access denied - path outside allowed directories: ~/.ssh/id_rsa not in {root}"),
        ("out/x", "Access denied - symlink target outside allowed directories"),
    ],
)
@pytest.mark.parametrize("tool", ["readTextFile", "getFileInfo", "readImageFile", "listDirectory", "exec"])
async def test_the_boundary_speaks_in_the_published_words(tools: Bench, tool: str, path: str, message: str) -> None:
    tools.write("perstack/x/y", "secret")
    (tools.root.parent / "x").mkdir()
    (tools.root / "alias").symlink_to("perstack")
    (tools.root / "out").symlink_to(tools.root.parent)
    if tool == "readImageFile":
        path += ".png"
        message = message.replace(" not in", ".png not in")
    args: dict[str, Json] = {"command": "pwd", "cwd": path} if tool == "exec" else {"path": path}

    told = await tools.refused(tool, **args)

    assert told.startswith(message.format(root=tools.root, parent=tools.root.parent))


async def test_a_link_is_not_written_through(tools: Bench) -> None:
    tools.write("a.txt", "x")
    (tools.root / "link").symlink_to("a.txt")

    told = await tools.refused("writeTextFile", path="link", text="y")

    assert told.startswith("Operation denied: target is a symbolic link")
