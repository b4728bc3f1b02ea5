"""Tools that read and change text files. Paths are judged by the workspace, never here."""

from __future__ import annotations

from perstack.core.errors import ToolError
from perstack.infrastructure.workspace import Workspace
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

_PATH = Parameter(Kind.STRING, "Path in the workspace, relative to it or absolute.")


class TextFiles:
    """Handlers over one workspace. Text is UTF-8; a file keeps its line ends."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def tools(self) -> tuple[Tool, ...]:
        return (
            Tool(
                "readTextFile",
                "Reads a UTF-8 text file. Long content is cut in the middle: ask for a range of lines then.",
                self._read,
                {
                    "path": _PATH,
                    "from": Parameter(Kind.INTEGER, "First line, counted from 0.", required=False),
                    "to": Parameter(Kind.INTEGER, "Line to stop before, counted from 0.", required=False),
                },
                repeatable=True,
            ),
            Tool(
                "writeTextFile",
                "Writes a whole text file; what was there is replaced, missing directories are made.",
                self._write,
                {"path": _PATH, "text": Parameter(Kind.STRING, "The file's new content.")},
                changes=True,
            ),
            Tool(
                "appendTextFile",
                "Adds text to the end of an existing text file, exactly as given.",
                self._append,
                {"path": _PATH, "text": Parameter(Kind.STRING, "Text to add.")},
                changes=True,
            ),
            Tool(
                "editTextFile",
                "Replaces one piece of a text file. `oldText` must occur exactly once; give enough lines around it.",
                self._edit,
                {
                    "path": _PATH,
                    "oldText": Parameter(Kind.STRING, "The text to replace, exactly as it is in the file."),
                    "newText": Parameter(Kind.STRING, "The text that takes its place."),
                },
                changes=True,
            ),
        )

    async def _read(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        lines = self._content(path).split("\n")
        start = _default(arguments.number("from"), 0)
        end = _default(arguments.number("to"), len(lines))
        if start < 0 or end < start or start >= len(lines):
            raise ToolError(f"Lines {start} to {end} are not in {path}.", hint=f"It has {len(lines)} lines, from 0.")
        end = min(end, len(lines))
        content = "\n".join(lines[start:end])
        return Answer({"path": path, "content": content, "from": start, "to": end, "lines": len(lines)}, ("content",))

    async def _write(self, arguments: Arguments) -> Answer:
        path, text = arguments.text("path"), arguments.text("text")
        self._change(path, text)
        return Answer({"path": path, "text": text}, ("text",))

    async def _append(self, arguments: Arguments) -> Answer:
        path, text = arguments.text("path"), arguments.text("text")
        self._change(path, self._content(path) + text)
        return Answer({"path": path, "text": text}, ("text",))

    async def _edit(self, arguments: Arguments) -> Answer:
        path, old, new = arguments.text("path"), arguments.text("oldText"), arguments.text("newText")
        self._change(path, replace_once(self._content(path), old, new, path=path))
        return Answer({"path": path, "oldText": old, "newText": new}, ("oldText", "newText"))

    def _change(self, path: str, content: str) -> None:
        """Write a file that is not marked read-only: replacing it would get round the mark."""
        if self._workspace.exists(path):
            entry = self._workspace.stat(path)
            if entry.kind == "file" and not entry.writable:
                raise ToolError(f"File {path} is not writable", hint="Its owner may not write it (chmod u+w).")
        self._workspace.write(path, _encoded(content))

    def _content(self, path: str) -> str:
        if not self._workspace.exists(path):
            raise ToolError(f"File {path} does not exist.")
        data = self._workspace.read(path)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ToolError(f"File {path} is not UTF-8 text (byte {error.start}).", hint="It may be binary.") from error
        if "\0" in text:
            raise ToolError(f"File {path} is binary (it holds NUL characters), not text.")
        return text


def replace_once(content: str, old: str, new: str, *, path: str) -> str:
    """`content` with its only `old` replaced by `new`. A file whose line ends are all CRLF keeps them.

    Raises: ToolError where `old` is empty, missing or there more than once.
    """
    windows = "\r\n" in content and content.count("\n") == content.count("\r\n")
    if windows:
        content, old, new = (text.replace("\r\n", "\n") for text in (content, old, new))
    if not old:
        raise ToolError("oldText is empty.", hint="Give the text to replace, or use writeTextFile.")
    if old == new:
        raise ToolError("oldText and newText are the same; nothing would change.")
    count = _occurrences(content, old)
    if count == 0:
        raise ToolError(f"Could not find exact match for oldText in file {path}", hint=_near_miss(content, old))
    if count > 1:
        raise ToolError(
            f"oldText occurs {count} times in file {path}.", hint="Give more lines around it, so that it is unique."
        )
    changed = content.replace(old, new)
    return changed.replace("\n", "\r\n") if windows else changed


def _occurrences(content: str, old: str) -> int:
    """How often `old` begins in `content`, overlapping ones included."""
    count, position = 0, content.find(old)
    while position >= 0:
        count += 1
        position = content.find(old, position + 1)
    return count


def _near_miss(content: str, old: str) -> str:
    """What a model most often gets wrong, where it can be told cheaply."""
    first = next((line.strip() for line in old.split("\n") if line.strip()), "")
    if not first:
        return "Read the file again."
    found = [number for number, line in enumerate(content.split("\n")) if line.strip() == first]
    if not found:
        return "Read the file again; it may have changed."
    return f"Its first line is at line {found[0]} (counted from 0): compare the spaces and the lines after it."


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError("The text holds half of a surrogate pair, which UTF-8 cannot store.") from error


def _default(value: int | None, default: int) -> int:
    return default if value is None else value
