"""What the words after `npx` and `uvx` ask for: packages of a registry, one program of theirs, its arguments. Pure.

Only names of a registry are taken. Links, paths, archives and repositories are refused: they would bring in code that
no registry vouches for, and a word that starts with a dash would be an option of the installer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from perstack.core.errors import UserError

_NPM = re.compile(r"(?P<name>(@[a-zA-Z0-9][\w.-]*/)?[a-zA-Z0-9][\w.-]*)(@(?P<version>[\^~]?[a-zA-Z0-9*][\w.*+-]*))?")
_PYPI = re.compile(
    r"(?P<name>[a-zA-Z0-9]([\w.-]*[a-zA-Z0-9])?)(?P<extras>\[[\w.,-]+\])?"
    r"(@(?P<version>[a-zA-Z0-9][\w.+!-]*)|(?P<range>(===?|~=|!=|<=?|>=?)[\w.*+!-]+(,(===?|~=|!=|<=?|>=?)[\w.*+!-]+)*))?"
)
_PYTHON = re.compile(r"(python)?(?P<version>\d+(\.\d+){0,2})")
_ARCHIVES = (".tgz", ".tar", ".tar.gz", ".zip", ".whl")
_LONGEST = 300
_FETCHERS = frozenset({"npx", "uvx"})

_NPX_IGNORED = frozenset({"-y", "--yes", "-q", "--quiet", "--prefer-offline", "--prefer-online"})
_UVX_IGNORED = frozenset({"-q", "--quiet", "--isolated", "--no-progress", "--refresh", "--offline"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be installed. `program` is empty where the package itself says which one it is."""

    registry: str  # npm | pypi
    specs: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]
    python: str = ""


def is_fetched(command: str) -> bool:
    """Whether what a command starts comes from a package registry."""
    return command.rpartition("/")[2] in _FETCHERS


def wanted(command: str, words: Sequence[str]) -> Wanted | None:
    """Read a command. None where it is a program as it is (`node`, `python3`, a binary).

    Raises: UserError for words that are no package of a registry, or ask for what is not possible here.
    """
    name = command.rpartition("/")[2]
    if name == "npx":
        return _npx(words)
    if name == "uvx":
        return _uvx(words)
    return None


def package_name(want: Wanted) -> str:
    """The first package's name, without version and extras, in the one form that registries compare."""
    match = _match(want)
    return plain_name(match["name"]) if match else ""


def plain_name(name: str) -> str:
    """A package's name in the one form that registries compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(want: Wanted, version: str) -> Wanted:
    """The same with its first package at exactly this version.

    Raises: UserError for what is no version: it may come from a file.
    """
    match = _match(want)
    if match is None:
        return want
    word = f"{match['name']}@{version}"
    if want.registry == "npm":
        main = _npm_spec(word)
    else:
        main = _pypi_spec(_pypi_match(f"{match['name']}{match['extras'] or ''}@{version}"))
    return replace(want, specs=(main, *want.specs[1:]))


def _match(want: Wanted) -> re.Match[str] | None:
    return (_NPM if want.registry == "npm" else _PYPI).fullmatch(want.specs[0])


def _npx(words: Sequence[str]) -> Wanted:
    specs, rest = _options("npx", words, frozenset({"-p", "--package"}), _NPX_IGNORED)
    packages = [value for _, value in specs]
    if not rest:
        raise UserError("npx: no package is named", hint='For instance: args = ["-y", "some-package"].')
    program = rest[0] if packages else ""
    checked = tuple(_npm_spec(word) for word in packages or rest[:1])
    return Wanted("npm", checked, program, tuple(rest[1:]))


def _uvx(words: Sequence[str]) -> Wanted:
    valued = frozenset({"--from", "--with", "-w", "--python", "-p"})
    options, rest = _options("uvx", words, valued, _UVX_IGNORED)
    if not rest:
        raise UserError("uvx: no package is named", hint='For instance: args = ["some-package"].')
    source = [value for name, value in options if name == "--from"]
    beside = [part for name, value in options if name in {"--with", "-w"} for part in value.split(",")]
    pythons = [value for name, value in options if name in {"--python", "-p"}]
    main = _pypi_match(source[-1] if source else rest[0])
    program = rest[0] if source else main["name"]
    specs = (_pypi_spec(main), *(_pypi_spec(_pypi_match(word)) for word in beside))
    return Wanted("pypi", specs, program, tuple(rest[1:]), _python(pythons[-1]) if pythons else "")


def _options(
    command: str, words: Sequence[str], valued: frozenset[str], ignored: frozenset[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """The options before the first other word, and the rest from there."""
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(words):
        word = words[place]
        name, equals, value = word.partition("=")
        if word == "--":
            return found, list(words[place + 1 :])
        if not word.startswith("-"):
            break
        if name in valued and equals:
            found.append((name, value))
        elif word in valued and place + 1 < len(words):
            place += 1
            found.append((word, words[place]))
        elif word not in ignored:
            raise UserError(
                f"{command} {word}: this option is not possible in a skill",
                hint=f"Possible are {', '.join(sorted(valued | ignored))}; then the package and its arguments.",
            )
        place += 1
    return found, list(words[place:])


def _npm_spec(word: str) -> str:
    match = _NPM.fullmatch(word)
    if match is None or _strange(word) or _strange(match["name"]):
        raise _refused("npm", word)
    return word


def _pypi_match(word: str) -> re.Match[str]:
    match = _PYPI.fullmatch(word)
    if match is None or _strange(word):
        raise _refused("PyPI", word)
    return match


def _pypi_spec(match: re.Match[str]) -> str:
    version = match["version"]
    pinned = f"=={version}" if version and version != "latest" else ""
    return f"{match['name']}{match['extras'] or ''}{pinned or match['range'] or ''}"


def _strange(word: str) -> bool:
    return ".." in word or word.lower().endswith(_ARCHIVES) or len(word) > _LONGEST


def _python(word: str) -> str:
    match = _PYTHON.fullmatch(word)
    if match is None:
        raise UserError(f"uvx --python {word}: no version of Python", hint="Write a version, such as 3.12.")
    return match["version"]


def _refused(registry: str, word: str) -> UserError:
    return UserError(
        f"{word[:_LONGEST]!r} is not the name of a package of {registry}",
        hint="Write name, name@version or @scope/name@version; links, paths, archives and repositories are refused.",
    )
