"""Edits as line changes: what the edit tool needs, and comparison with patches that were rejected before."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from perstack.providers.search.worker.source import Edit


def placed(edit: Edit, texts: Mapping[str, str], root: str) -> dict[str, Any]:
    """The edit as old and new text of whole lines, the old one occurring once in the file."""
    text = texts[edit.path]
    first = text.rfind("\n", 0, edit.start) + 1
    last = _line_end(text, max(edit.start, edit.end - 1) if edit.end > edit.start else edit.end)
    old, new = text[first:last], text[first : edit.start] + edit.text + text[edit.end : last]
    while text.count(old) != 1 or not old.strip():
        grown_first = text.rfind("\n", 0, max(0, first - 1)) + 1 if first else 0
        grown_last = _line_end(text, min(len(text), last + 1))
        if (grown_first, grown_last) == (first, last):
            break
        new = text[grown_first:first] + new + text[last:grown_last]
        first, last = grown_first, grown_last
        old = text[first:last]
    removed, added = changed(text, edit.apply(text))
    return {
        "path": os.path.relpath(edit.path, root).replace(os.sep, "/"), "line": text.count("\n", 0, edit.start) + 1,
        "kind": edit.kind, "oldText": old, "newText": new, "removed": removed, "added": added,
    }  # fmt: skip


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def changed(old: str, new: str) -> tuple[list[str], list[str]]:
    """Removed and added lines."""
    delta = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]
    return (
        [line[1:].rstrip() for line in delta if line.startswith("-")],
        [line[1:].rstrip() for line in delta if line.startswith("+")],
    )


def rejected(edit: Edit, texts: Mapping[str, str], spec: Mapping[str, Any]) -> bool:
    """Whether a patch of the same file that was rejected before makes the same change."""
    text = texts[edit.path]
    change = [[line.strip() for line in part] for part in changed(text, edit.apply(text))]
    path = os.path.relpath(edit.path, spec["root"]).replace(os.sep, "/")
    return any(path == r["path"] and change == [r["removed"], r["added"]] for r in spec["rejected"])


def undo(root: str, rejections: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Edits that take rejected patches out of the workspace, where they are still in it."""
    found = []
    for rejection in rejections:
        path = os.path.realpath(os.path.join(root, rejection["path"]))  # noqa: PTH118
        if not path.startswith(os.path.realpath(root) + os.sep) or not os.path.isfile(path):  # noqa: PTH113
            continue
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123  # runs without Perstack
            text = stream.read()
        for before, after in rejection["hunks"]:
            if after and before and text.count(after) == 1 and before not in text:
                found.append({"path": rejection["path"], "oldText": after, "newText": before})
    return found
