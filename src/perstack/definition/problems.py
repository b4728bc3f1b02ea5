"""What is wrong with a definition, as data, and how it is told. Reads pydantic's errors; decides no rule itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from perstack.core.errors import UserError
from perstack.definition.locate import KeyPath, line_of

_TYPES: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_LONGEST_NUMBER = 10**18  # Python refuses to write integers of some thousand digits
_LIMITS: Mapping[str, str] = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} element(s)",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, at one key."""

    path: KeyPath
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A key no table of its kind has: the key that was probably meant (or ""), or the table around it that has it."""

    path: KeyPath
    guess: str
    home: KeyPath | None


@dataclass(frozen=True, slots=True)
class Place:
    """A file as messages name it, and where its keys are."""

    name: str
    lines: Mapping[KeyPath, int]

    def at(self, path: KeyPath) -> str:
        return f"{self.name}:{line_of(self.lines, path)}"


def failure(place: Place, problems: Sequence[Problem]) -> UserError:
    """One error that lists every problem, in the public form, each with its line."""
    ordered = sorted(problems, key=lambda problem: line_of(place.lines, problem.path))
    lines = [f"  - {dotted(problem.path)}: {problem.message} ({place.at(problem.path)})" for problem in ordered]
    return UserError(
        "\n".join([f"{place.name}: Validation failed:", *lines]),
        hint="`perstack schema` prints every key and its type.",
    )


def dotted(path: KeyPath) -> str:
    """A key path as the public format writes it."""
    return ".".join(str(part) for part in path)


def from_validation(error: ValidationError, data: Mapping[str, object]) -> list[Problem]:
    """Pydantic's errors in our words, with paths as they are in the file."""
    return [_translate(detail, data) for detail in error.errors(include_url=False)]


def unknown_keys(model: BaseModel) -> Iterator[Unknown]:
    """Every key the models do not know."""
    yield from _unknown(model, (), ())


def closest(word: str, known: Sequence[str]) -> str:
    """The known word that was probably meant; empty where none is near."""
    folded = {name.lower().replace("_", ""): name for name in known}
    found = get_close_matches(word.lower().replace("_", "").replace("-", ""), list(folded), n=1, cutoff=0.7)
    return folded[found[0]] if found else ""


def _unknown(model: BaseModel, path: KeyPath, above: tuple[tuple[KeyPath, Sequence[str]], ...]) -> Iterator[Unknown]:
    """`above`: the tables around this one, the nearest first, each with the keys it knows."""
    known = [field.alias or name for name, field in type(model).model_fields.items()]
    for key in model.model_extra or {}:
        home = next((table for table, keys in above if key in keys), None)
        yield Unknown((*path, key), "" if home is not None else closest(key, known), home)
    inside = ((path, known), *above)
    for name, field in type(model).model_fields.items():
        yield from _unknown_in(getattr(model, name), (*path, field.alias or name), inside)


def _unknown_in(value: object, path: KeyPath, above: tuple[tuple[KeyPath, Sequence[str]], ...]) -> Iterator[Unknown]:
    if isinstance(value, BaseModel):
        yield from _unknown(value, path, above)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unknown_in(item, (*path, str(key)), above)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_in(item, (*path, index), above)


def _translate(detail: ErrorDetails, data: Mapping[str, object]) -> Problem:
    kind = detail["type"]
    context: Mapping[str, object] = detail.get("ctx") or {}
    path = _real_path(detail["loc"], data)
    if kind == "missing":
        return Problem(path, "required, but missing; add it")
    if kind in _TYPES:
        return Problem(path, f"expected {_TYPES[kind]}, got {_describe(detail['input'])}")
    if kind in _LIMITS:
        return Problem(path, _LIMITS[kind].format_map(context))
    if kind == "literal_error":
        return Problem(path, _choice(str(context["expected"]), detail["input"]))
    if kind == "union_tag_not_found":
        return Problem((*path, _tag(context)), "required, but missing; add it")
    if kind == "union_tag_invalid":
        return Problem((*path, _tag(context)), _choice(str(context["expected_tags"]), context["tag"]))
    return Problem(path, detail["msg"].removeprefix("Value error, "))


def _tag(context: Mapping[str, object]) -> str:
    # An aliased discriminator is told under both of its names.
    return "providerName" if "provider" in str(context["discriminator"]) else "type"


def _choice(expected: str, value: object) -> str:
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    guess = closest(value, words) if isinstance(value, str) else ""
    tail = f' (did you mean "{guess}"?)' if guess else ""
    return f"expected {_either(words)}, got {_describe(value)}{tail}"


def _either(words: Sequence[str]) -> str:
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _describe(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else "a string"
    if isinstance(value, int) and abs(value) > _LONGEST_NUMBER:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "a table"
    return "an array" if isinstance(value, list) else f"a {type(value).__name__}"


def _real_path(location: Sequence[str | int], data: object) -> KeyPath:
    """A pydantic location without the tags it adds for discriminated unions."""
    path: list[str | int] = []
    current = data
    for part in location:
        if part == "[key]":  # the key itself is wrong, and is in the path already
            continue
        if isinstance(current, Mapping):
            if part not in current and part in (current.get("type"), current.get("providerName")):
                continue
            current = current.get(part)
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            current = current[part]
        path.append(part)
    return tuple(path)
