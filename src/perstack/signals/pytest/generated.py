"""Modules that a build writes and git does not hold: version files, named by the base's own build configuration. Pure.

Without them a package of a fresh tree cannot be imported. What they say does not matter to a verdict: base and
candidate get the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from posixpath import dirname, join, normpath

_PLACES = (
    ("setuptools_scm", "version_file"),
    ("setuptools_scm", "write_to"),
    ("hatch", "build", "hooks", "vcs", "version-file"),
    ("versioningit", "write", "file"),
)


def version_files(files: Mapping[str, bytes], paths: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(path in the repository, name of the project) of every version file that the build writes and `paths` lack."""
    found: dict[str, str] = {}
    for path in sorted(files):
        if path.rpartition("/")[2] != "pyproject.toml":
            continue
        document = _document(files[path])
        name = str(_at(document, ("project", "name")) or "")
        for place in _PLACES:
            value = _at(document, ("tool", *place))
            target = normpath(join(dirname(path), value)) if isinstance(value, str) else ""
            if target.endswith(".py") and target not in paths and not target.startswith(("/", "..")):
                found[target] = name
    return tuple(found.items())


def _document(data: bytes) -> Mapping[str, object]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _at(document: object, keys: Collection[str]) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document
