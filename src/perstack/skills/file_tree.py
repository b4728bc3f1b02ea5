"""Tools over directories and whole files: list, inspect, create, delete, move. Paths are judged by the workspace."""

from __future__ import annotations

import datetime as dt
import mimetypes
from pathlib import PurePosixPath

from anyio import to_thread

from perstack.core.contracts import Session
from perstack.core.errors import ToolError
from perstack.core.json import Json, compact
from perstack.infrastructure.workspace import Entry, Workspace
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

_PATH = Parameter(Kind.STRING, "Path in the workspace, relative to it or absolute.")
_LIST_ROOM = 28_000  # characters of entries; the rest of the answer has room below the limit of one output
_MOVE_SECONDS = 60.0


class FileTree:
    """Handlers over one workspace. Moving happens inside the sandbox, so modes and whole directories survive."""

    def __init__(self, workspace: Workspace, session: Session) -> None:
        self._workspace = workspace
        self._session = session

    def tools(self) -> tuple[Tool, ...]:
        return (
            Tool(
                "listDirectory",
                "Lists a directory, sorted by name.",
                self._list,
                {"path": Parameter(Kind.STRING, 'Directory in the workspace; "." is the workspace.')},
                repeatable=True,
            ),
            Tool(
                "getFileInfo",
                "Tells what is at a path: type, size, MIME type, times, permissions.",
                self._info,
                {"path": _PATH},
                repeatable=True,
            ),
            Tool(
                "createDirectory", "Creates a directory, with its parents.", self._create, {"path": _PATH}, changes=True
            ),
            Tool("deleteFile", "Deletes a file.", self._delete_file, {"path": _PATH}, changes=True),
            Tool(
                "deleteDirectory",
                "Deletes a directory. One that is not empty needs `recursive`.",
                self._delete_directory,
                {"path": _PATH, "recursive": Parameter(Kind.BOOLEAN, "With everything inside.", required=False)},
                changes=True,
            ),
            Tool(
                "moveFile",
                "Moves or renames a file or directory. The destination must not exist; its parent is made.",
                self._move,
                {"source": _PATH, "destination": _PATH},
                changes=True,
            ),
        )

    async def _list(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        entries = self._workspace.list(path)
        base = self._workspace.relative(path)
        items: list[Json] = []
        room = _LIST_ROOM
        for entry in entries:
            item: dict[str, Json] = {
                "name": entry.name,
                "path": entry.name if base == "." else f"{base}/{entry.name}",
                "type": entry.kind,
                "size": entry.size,
                "modified": iso_time(entry.modified),
            }
            room -= len(compact(item)) + 1
            if room < 0:
                return Answer({"path": path, "items": items, "notShown": len(entries) - len(items)})
            items.append(item)
        return Answer({"path": path, "items": items})

    async def _info(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        entry = self._existing(path)
        name = PurePosixPath(self._workspace.relative(path))
        absolute = PurePosixPath(self._workspace.seen_as) / name
        mime_type = mimetypes.guess_type(name.name)[0] if entry.kind == "file" else None
        return Answer(
            {
                "exists": True,
                "path": path,
                "absolutePath": str(absolute),
                "name": absolute.name,
                "directory": str(absolute.parent),
                "extension": name.suffix or None,
                "type": entry.kind,
                "mimeType": mime_type,
                "size": entry.size,
                "sizeFormatted": format_size(entry.size),
                "created": iso_time(entry.changed),  # Linux tells when the inode changed, not when a file was born
                "modified": iso_time(entry.modified),
                "accessed": iso_time(entry.accessed),
                "permissions": {
                    "readable": entry.readable,
                    "writable": entry.writable,
                    "executable": entry.executable,
                },
            }
        )

    async def _create(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        if self._workspace.exists(path):
            raise ToolError(f"Directory {path} already exists")
        self._workspace.make_directory(path)
        return Answer({"path": path})

    async def _delete_file(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        if self._existing(path).kind == "directory":
            raise ToolError(f"Path {path} is a directory. Use delete directory tool instead.")
        self._workspace.delete(path)
        return Answer({"path": path})

    async def _delete_directory(self, arguments: Arguments) -> Answer:
        path = arguments.text("path")
        if self._existing(path).kind != "directory":
            raise ToolError(f"Path {path} is not a directory. Use deleteFile instead.")
        if self._workspace.relative(path) == ".":
            raise ToolError("The workspace itself cannot be deleted.")
        if arguments.flag("recursive", default=False):
            await to_thread.run_sync(self._empty, self._workspace.relative(path))
        elif self._workspace.list(path):
            raise ToolError(f"Directory {path} is not empty. Set recursive to delete it with everything inside.")
        self._workspace.delete(path)
        return Answer({"path": path})

    async def _move(self, arguments: Arguments) -> Answer:
        source, destination = arguments.text("source"), arguments.text("destination")
        self._existing(source)
        start, end = self._workspace.relative(source), self._workspace.relative(destination)
        if start == ".":
            raise ToolError("The workspace itself cannot be moved.")
        if self._workspace.exists(destination):
            raise ToolError(f"Destination {destination} already exists.")
        self._workspace.make_directory(str(PurePosixPath(end).parent))
        result = await self._session.run(("mv", "-n", "--", start, end), timeout_s=_MOVE_SECONDS)
        if result.exit_code or self._workspace.exists(source):
            raise ToolError(f"{source} could not be moved to {destination}: {result.text().strip() or 'mv failed'}")
        return Answer({"source": source, "destination": destination})

    def _existing(self, path: str) -> Entry:
        if not self._workspace.exists(path):
            raise ToolError(f"File or directory {path} does not exist")
        return self._workspace.stat(path)

    def _empty(self, directory: str) -> None:
        """Delete everything below; links are deleted, never followed."""
        pending = [directory]
        found: list[str] = []
        while pending:
            current = pending.pop()
            for entry in self._workspace.list(current):
                path = f"{current}/{entry.name}"
                if entry.kind == "directory":
                    pending.append(path)
                    found.append(path)
                else:
                    self._workspace.delete(path)
        for path in reversed(found):
            self._workspace.delete(path)


def iso_time(seconds: float) -> str:
    """A time for people and programs, UTC with milliseconds: `2026-01-31T08:05:00.250Z`."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def format_size(size: int) -> str:
    """Bytes for people: `512 B`, `1.5 KB`."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KB", "MB", "GB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TB"
