"""JSON records in a folder, written whole or not at all. Knows no forge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perstack.core.errors import ForgeError


class Records:
    """Named JSON documents and text pages under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def load(self, name: str, default: Any) -> Any:
        """A document, `default` where there is none. Raises: ForgeError naming the file when it is damaged."""
        path = self.root / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return default
        except (OSError, ValueError) as error:
            raise ForgeError(f"{path}: cannot be read: {error}", hint="Delete the folder and start again.") from error

    def save(self, name: str, value: Any) -> None:
        """Replace a document."""
        self.write(name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def write(self, name: str, text: str) -> None:
        """Replace a text file. Raises: ForgeError naming it when the disk refuses."""
        self.write_bytes(name, text.encode("utf-8", errors="replace"))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Replace a file. Raises: ForgeError naming it when the disk refuses."""
        path = self.root / name
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            raise ForgeError(f"{path}: cannot be written: {error}", hint="Check space and permissions.") from error

    def read_bytes(self, name: str) -> bytes:
        """A file's bytes. Raises: ForgeError naming it when it cannot be read."""
        path = self.root / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise ForgeError(f"{path}: cannot be read: {error}", hint="Delete the folder and start again.") from error

    def update(self, name: str, default: Any, change: Callable[[Any], Any]) -> Any:
        """Load, change, save; returns what was saved."""
        value = change(self.load(name, default))
        self.save(name, value)
        return value
