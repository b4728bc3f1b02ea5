"""The JSON Schema and the loader judge alike: a full definition, changed at random places, many times."""

from __future__ import annotations

import copy
import json
import random
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from perstack.core.errors import UserError
from perstack.definition.document import json_schema
from perstack.definition.load import load_config
from tests.definition.samples import FULL

ROUNDS = 40
VALUES: tuple[Any, ...] = (
    "", "x", "high", "1.0.0", "https://example.com", 0, 1, -1, 300, 1.0, 2.5, True, False,
    [], ["a"], [1], {}, {"a": 1}, {"a": "b"},
)  # fmt: skip
# What only the loader can judge: text that holds another language, rules over several keys.
ONLY_THE_LOADER = (
    "JSON", "regular expression", "cannot split", "inside the repository", "the command is empty",
    "collides", "is listed twice", "is not allowed here", "no packageName or args", "exclude each other",
    "must not be above compactAt", "differs from the table's name", "a skill needs a name", "expected an exit code",
)  # fmt: skip


def written(value: Any) -> str:
    """A value as TOML on one line; JSON's strings are TOML's."""
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every key and item below."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield from places(item, (*path, key))


def changed(data: dict[str, Any], rng: random.Random) -> str:
    """The definition with one value replaced, one key removed, or one unknown key added."""
    data = copy.deepcopy(data)
    *parents, last = rng.choice(list(places(data)))
    table: Any = data
    for key in parents:
        table = table[key]
    action = rng.choice(("replace", "remove", "add"))
    if action == "remove":
        del table[last]
    elif action == "add" and isinstance(table[last], dict):
        table[last]["unknownKey"] = 1
    else:
        table[last] = rng.choice(VALUES)
    return "\n".join(f"{json.dumps(key)} = {written(value)}" for key, value in data.items())


def judged(text: str) -> tuple[bool, str]:
    """Whether the loader takes a text without an unknown key, and why it refuses it."""
    try:
        return not any("unknown key" in warning for warning in load_config(text).warnings), ""
    except UserError as error:
        return False, error.message


@pytest.mark.parametrize("seed", range(4))
def test_the_schema_and_the_loader_judge_alike(seed: int) -> None:
    rng, data = random.Random(seed), tomllib.loads(FULL)
    validator = jsonschema.Draft202012Validator(json_schema())
    for _ in range(ROUNDS):
        text = changed(data, rng)
        taken, why = judged(text)
        if not any(words in why for words in ONLY_THE_LOADER):
            assert validator.is_valid(tomllib.loads(text)) is taken, f"the loader: {why or taken}\n{text}"
