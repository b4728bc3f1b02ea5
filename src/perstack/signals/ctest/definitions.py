"""Tests as ctest lists them, and the identities by which they are compared. Pure.

What a test runs and what counts as its success are part of its identity: a test that becomes another one under an old
name has vanished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perstack.core.json import Json

# Properties that say nothing about what success is.
_HARMLESS = frozenset({"LABELS", "COST", "PROCESSORS", "RUN_SERIAL", "RESOURCE_LOCK", "PROCESSOR_AFFINITY",
                       "ATTACHED_FILES", "ATTACHED_FILES_ON_FAIL", "MEASUREMENT", "DEF_SOURCE_LINE"})  # fmt: skip
# With these, another exit code than 0 may be a pass.
_OTHER_PASSES = frozenset({"WILL_FAIL", "PASS_REGULAR_EXPRESSION"})
_LONGEST = 80
# Programs that start another one in their place and add nothing of their own.
_LAUNCHERS = frozenset({"env", "timeout", "nice", "stdbuf", "valgrind", "xvfb-run", "time", "cmake", "setarch"})


class ListInvalid(Exception):
    """A list of tests that cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One test. `command` is empty where its program does not exist."""

    name: str
    command: tuple[str, ...]
    properties: Mapping[str, str]
    build: str
    root: str

    @property
    def passes_otherwise(self) -> bool:
        """Whether success may be something else than exit code 0."""
        return not _OTHER_PASSES.isdisjoint(self.properties)

    def identity(self, mains: Sequence[str]) -> str:
        """The name; what is not as one would think from it follows in brackets. `mains` as in `results`."""
        words = [self._short(word) for word in self.command]
        plain = len(words) == 1 and words[0].rpartition("/")[2] == self.name and words[0] != self.command[0]
        said = [] if plain else [" ".join(words)]
        said += [f"{name}={value}" for name, value in sorted(self.properties.items())]
        said += [f"main in {place}" for place in mains]
        if not said:
            return self.name
        text = "; ".join(said)
        if len(text) > _LONGEST:
            text = f"{text[:40]}… {hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
        return f"{self.name}[{text}]"

    def watched(self, executables: Mapping[str, bool]) -> tuple[str, ...]:
        """The words of the program whose end counts: the command's, or that of what it merely starts."""
        if self.command and self.command[0].rpartition("/")[2] in _LAUNCHERS:
            for index, word in enumerate(self.command):
                if word in executables:
                    return self.command[index:]
        return self.command

    def _short(self, word: str) -> str:
        for folder in (self.build, self.root):
            word = word.replace(f"{folder}/", "")
        return word


def read_definitions(text: str, *, build: str, root: str) -> tuple[Definition, ...]:
    """The tests that `ctest --show-only=json-v1` lists; `build` and `root` are absolute folders.

    Raises: ListInvalid.
    """
    try:
        # lines about the folder may come before the document
        document = json.loads(text[text.index("{\n") :])
        return tuple(_definition(entry, build, root) for entry in document["tests"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ListInvalid(f"ctest's list of tests cannot be read: {error}") from error


def _definition(entry: Mapping[str, Json], build: str, root: str) -> Definition:
    command = entry.get("command", [])
    properties = {
        str(item["name"]): _text(item["value"]).replace(f"{build}/", "").replace(f"{root}/", "")
        for item in entry.get("properties", [])  # type: ignore[union-attr]
        if isinstance(item, Mapping) and item["name"] not in _HARMLESS
    }
    words = [str(word) for word in command] if isinstance(command, list) else []
    program = words[0].removeprefix(f"{build}/").rpartition("/")[0] if words else ""
    if properties.get("WORKING_DIRECTORY") in {build, program}:
        del properties["WORKING_DIRECTORY"]  # where CMake puts tests by itself
    return Definition(str(entry["name"]), tuple(words), properties, build, root)


def _text(value: Json) -> str:
    return "|".join(map(_text, value)) if isinstance(value, list) else str(value)
