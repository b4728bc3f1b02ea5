"""Changes of a manifest that touch nothing but what people read: version, description, authors, links.

Pure. Both versions are parsed and compared without these keys; what cannot be parsed, or parses in two ways, is not
harmless.
"""

from __future__ import annotations

import ast
import configparser
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from perstack.signals.syntax import parse

_WORDS = frozenset(
    {"version", "description", "authors", "maintainers", "author", "author_email", "author-email", "maintainer",
     "maintainer_email", "contributors", "keywords", "classifiers", "urls", "url", "project_urls", "homepage",
     "repository", "documentation", "bugs", "funding", "license", "license-files", "license_files", "readme",
     "categories", "long_description", "long_description_content_type", "download_url", "copyright"}
)  # fmt: skip


def only_metadata(path: str, before: str, after: str) -> bool:
    """Whether the change of this manifest cannot change what is built, installed or run."""
    judge = _JUDGES.get(PurePosixPath(path).name)
    if judge is None:
        return False
    try:
        return judge(before) == judge(after)
    except (ValueError, configparser.Error, SyntaxError, RecursionError):
        return False


def _without(table: object) -> object:
    if not isinstance(table, Mapping):
        return table
    return {key: value for key, value in table.items() if key not in _WORDS}


def _pyproject(text: str) -> object:
    data = tomllib.loads(text)
    if "project" in data:
        data["project"] = _without(data["project"])
    tool = data.get("tool", {})
    for name in ("poetry", "flit"):
        if name in tool:
            tool[name] = _without(tool[name])
    for name in ("bumpversion", "commitizen", "towncrier", "tbump"):
        tool.pop(name, None)
    return data


def _cargo(text: str) -> object:
    data = tomllib.loads(text)
    package = data.get("package")
    if isinstance(package, dict):
        data["package"] = _without(package)
    return data


def _package_json(text: str) -> object:
    return _without(json.loads(text, object_pairs_hook=_no_duplicates))


def _package_lock(text: str) -> object:
    data = json.loads(text, object_pairs_hook=_no_duplicates)
    data.pop("version", None)
    packages = data.get("packages")
    if isinstance(packages, dict) and isinstance(packages.get(""), dict):
        packages[""].pop("version", None)
    return data


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key appears twice")
    return table


def _setup_cfg(text: str) -> object:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=", ":"))
    parser.read_string(text)
    sections = {name: dict(parser.items(name)) for name in parser.sections()}
    if "metadata" in sections:
        sections["metadata"] = {k: v for k, v in sections["metadata"].items() if k.replace("-", "_") not in _WORDS}
    sections.get("bumpversion", {}).pop("current_version", None)
    return sections


def _setup_py(text: str) -> object:
    tree = parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in _WORDS and isinstance(keyword.value, ast.Constant):
                    keyword.value = ast.Constant("")
    return ast.dump(tree)


_JUDGES: Mapping[str, Callable[[str], object]] = {
    "pyproject.toml": _pyproject,
    "Cargo.toml": _cargo,
    "package.json": _package_json,
    "package-lock.json": _package_lock,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
}
