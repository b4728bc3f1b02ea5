"""Text of a `perstack.toml` → `Config`. The only reader of that format; starts nothing and asks no network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from perstack.core.errors import UserError
from perstack.core.experts import Config, Expert
from perstack.definition import advice, rules
from perstack.definition.convert import to_config
from perstack.definition.locate import KeyPath, locate
from perstack.definition.problems import Place, Problem, Unknown, dotted, failure, from_validation, unknown_keys
from perstack.definition.schema_harness import Document
from perstack.definition.topology import cycles

FILE_NAME = "perstack.toml"
_TABLES_OF_TABLES = frozenset({"experts", "signals", "pipelines"})
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


def load_config(text: str, path: str = FILE_NAME) -> Config:
    """Read a definition. `path` is how messages name the file.

    Keys nobody knows are in `Config.warnings`. A delegate that is defined nowhere is no error here: it may be
    one of the experts that ship (see `topology.check_delegates`).
    Raises: UserError that lists every problem with its line.
    """
    return _load(text, path, known=None)


def validate_config(text: str, path: str = FILE_NAME, *, known: Collection[str] = ()) -> Config:
    """As `load_config`, but a delegate that neither the file nor `known` defines is an error.

    Raises: UserError that lists every problem with its line.
    """
    return _load(text, path, known=known)


def read_experts(tables: Mapping[str, object]) -> Mapping[str, Expert]:
    """Experts given as data, key → table, under all rules of a file; here a key nobody knows is an error.

    Raises: UserError that lists every problem.
    """
    document, problems = _validate({"experts": tables})
    problems += rules.errors(document)
    problems += [Problem(unknown.path, f"unknown key{_meant(unknown)}") for unknown in unknown_keys(document)]
    if problems:
        told = "; ".join(f"{dotted(problem.path[1:])}: {problem.message}" for problem in problems)
        raise UserError(f"not a valid expert: {told}", hint="Correct it and try again.")
    return to_config(document, path="", warnings=()).experts


def package_tables(text: str, path: str) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The `[experts…]` tables of somebody else's definition as they are written, and the tables and keys left out.

    Nothing but experts is looked at: what else is in the file is neither taken nor checked.
    Raises: UserError that lists every problem with its line.
    """
    text = text.removeprefix("\ufeff")
    data = _parse(text, path)
    document, problems = _validate({"experts": data.get("experts", {})})
    problems += rules.errors(document)
    if problems:
        raise failure(Place(path, locate(text)), problems)
    unknown = [item.path for item in unknown_keys(document)]
    tables = _pruned(data.get("experts", {}), {path[1:] for path in unknown}, ())
    left_out = [f"[{key}]" if isinstance(value, Mapping) else key for key, value in data.items() if key != "experts"]
    return cast("Mapping[str, object]", tables), (*left_out, *(dotted(path) for path in unknown))


def _pruned(value: object, paths: Collection[KeyPath], here: KeyPath) -> object:
    """A copy without what is at `paths`."""
    if isinstance(value, Mapping):
        kept = {key: (*here, key) for key in value if (*here, key) not in paths}
        return {key: _pruned(value[key], paths, place) for key, place in kept.items()}
    if isinstance(value, list):
        return [_pruned(item, paths, (*here, index)) for index, item in enumerate(value)]
    return value


def load_file(path: Path) -> Config:
    """Read a definition from a file.

    Raises: UserError where the file cannot be read or is wrong.
    """
    return load_config(read_definition(path), str(path))


def read_definition(path: Path) -> str:
    """The text of a definition file.

    Raises: UserError where there is no such file or it is not UTF-8 text.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f'Given config path "{path}" is not found', hint="Create the file or give another --config path."
        ) from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: is a directory", hint=f"Give the file: --config {path / FILE_NAME}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", hint="Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})", hint="Save the file as UTF-8.") from error


def find_config(start: Path) -> Path | None:
    """The nearest `perstack.toml` in `start` or above it; None where there is none."""
    directory = start.resolve()
    for candidate in (directory, *directory.parents):
        file = candidate / FILE_NAME
        if file.is_file():
            return file
    return None


def _load(text: str, path: str, *, known: Collection[str] | None) -> Config:
    text = text.removeprefix("\ufeff")  # some editors put a byte order mark
    data = _parse(text, path)
    place = Place(path, locate(text))
    document, problems = _validate(data)
    problems += rules.errors(document)
    if known is not None:
        problems += rules.missing_delegates(document, {*known, *_keys(data, "experts")})
    if problems:
        raise failure(place, problems)
    config = to_config(document, path=path, warnings=_warnings(document, place))
    return replace(config, warnings=(*config.warnings, *_circles(config, place)))


def _validate(data: Mapping[str, object]) -> tuple[Document, list[Problem]]:
    """The document without the tables that are wrong in themselves, so that one error can name every problem."""
    try:
        return Document.model_validate(data), []
    except ValidationError as error:
        problems = from_validation(error, data)
    return Document.model_validate(_without(data, [problem.path for problem in problems])), problems


def _without(data: Mapping[str, object], paths: Iterable[KeyPath]) -> dict[str, object]:
    """A copy without the named expert, signal or pipeline (or other top-level key) of each path."""
    kept = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for path in paths:
        table = kept.get(str(path[0]))
        if path[0] in _TABLES_OF_TABLES and isinstance(table, dict) and len(path) > 1:
            table.pop(path[1], None)
        else:
            kept.pop(str(path[0]), None)
    return kept


def _keys(data: Mapping[str, object], table: str) -> Iterable[str]:
    value = data.get(table)
    return value.keys() if isinstance(value, Mapping) else ()


def _parse(text: str, path: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply", hint="Use fewer arrays inside arrays.") from error
    except ValueError as error:  # a TOMLDecodeError, or an integer of more digits than Python reads
        message = str(error)
        match = _TOML_PLACE.search(message)
        what = message[: match.start()] if match else message
        lines = text.split("\n")
        at_end = f"{len(lines)}:{len(lines[-1]) + 1}"
        where = f"{path}:{match[1]}:{match[2]}" if match and match[1] else f"{path}:{at_end}"
        raise UserError(
            f"{where}: not valid TOML: {what}", hint="Fix the syntax; strings need quotes, tables need [brackets]."
        ) from error


def _warnings(document: Document, place: Place) -> list[str]:
    found: list[str] = []
    for unknown in unknown_keys(document):
        told = f'unknown key "{unknown.path[-1]}" in {_table(unknown.path[:-1])}{_meant(unknown)}'
        found.append(f"{place.at(unknown.path)}: {told}")
    found += [f"{place.at(problem.path)}: {problem.message}" for problem in advice.warnings(document)]
    return found


def _meant(unknown: Unknown) -> str:
    """Where the key belongs, or which one was probably meant."""
    if unknown.home == ():
        return " (it belongs to the top level: move it above the first table)"
    if unknown.home is not None:
        return f" (it belongs to {_table(unknown.home)}: move it up, directly below that header)"
    return f' (did you mean "{unknown.guess}"?)' if unknown.guess else ""


def _circles(config: Config, place: Place) -> Iterator[str]:
    for circle in cycles(config):
        way = " → ".join((*circle, circle[0]))
        yield f"{place.at(('experts', circle[0], 'delegates'))}: delegation goes in a circle: {way}"


def _table(path: tuple[str | int, ...]) -> str:
    if not path:
        return "the top level"
    bare = re.compile(r"[A-Za-z0-9_-]+")
    parts = [str(part) if isinstance(part, int) or bare.fullmatch(part) else f'"{part}"' for part in path]
    return f"[{'.'.join(parts)}]"
