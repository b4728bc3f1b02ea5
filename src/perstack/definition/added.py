"""Experts that are put into a definition: only new tables, after what is there. Text in, text out; writes no file.

What people wrote stays byte for byte: nothing is parsed and printed again, and no table of theirs is opened.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace

from perstack.core.errors import UserError
from perstack.core.experts import Expert
from perstack.core.grammar import parse_expert_key
from perstack.definition.load import FILE_NAME, load_config, validate_config

MAX_CHARACTERS = 60_000
MAX_EXPERTS = 8


def read_tables(text: str, path: str, known: Collection[str]) -> Mapping[str, Expert]:
    """The experts of a definition that holds `[experts…]` tables and nothing else. `known` may be delegated to.

    Raises: UserError that lists every problem with its line; warnings are problems here.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{path}: {len(text)} characters, at most {MAX_CHARACTERS} are read", hint="Write less.")
    config = validate_config(text, path, known=known)
    problems = list(config.warnings)
    others = sorted(set(tomllib.loads(text)) - {"experts"})
    if others:
        problems.append(f"{path}: only [experts…] tables may be written, and here are also: {', '.join(others)}")
    first = next((line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"), "[")
    if not first.startswith("["):  # behind another file's last table it would be a part of that
        problems.append(f"{path}: begin with the header of a table, not with `{first[:60]}`")
    if not config.experts:
        problems.append(f"{path}: there is no expert in it")
    if len(config.experts) > MAX_EXPERTS:
        problems.append(f"{path}: {len(config.experts)} experts, at most {MAX_EXPERTS}")
    if problems:
        raise UserError("\n".join(problems), hint="Correct it and try again.")
    return config.experts


def require_team(experts: Mapping[str, Expert], coordinator: str, taken: Collection[str], path: str) -> None:
    """Make sure that they are one team with a key that is free.

    Raises: UserError naming each expert that is none of it, or that is there already.
    """
    problems = []
    if coordinator not in experts:
        problems.append(f'{path}: there is no table [experts."{coordinator}"]')
    names = {_name(key) for key in taken}
    for key in experts:
        parsed = parse_expert_key(key)
        if key != coordinator and (parsed is None or parsed.scope != coordinator):
            problems.append(f'{path}: "{key}" is no expert of this team: name it "@{coordinator}/…"')
        if _name(key) in names:
            problems.append(f'{path}: there is an expert "{key}" already, and it stays as it is')
    if problems:
        raise UserError("\n".join(problems), hint="Correct the keys and try again.")


def _name(key: str) -> str:
    """The key without a version: `tool@2.0.0` and `tool` are one expert."""
    parsed = parse_expert_key(key)
    return parsed.name if parsed else key


def appended(existing: str, tables: str, path: str = FILE_NAME) -> str:
    """`existing` with the tables after it, in its kind of line ends.

    Raises: UserError where both together are no valid definition, or say more than each for itself.
    """
    end = "\r\n" if "\r\n" in existing else "\n"
    added = tables.replace("\r\n", "\n").strip("\n").replace("\n", end) + end
    gap = "" if not existing else end if existing.endswith("\n") else end * 2
    whole = f"{existing}{gap}{added}"
    before, after = load_config(existing, path), load_config(whole, path)
    # Where an older table is still open at the end of a file, new keys could become part of it.
    told = replace(before, experts={**before.experts, **load_config(tables, path).experts}, warnings=after.warnings)
    if after != told:
        raise UserError(f"{path}: new tables would change what is there", hint="Begin each with a header of its own.")
    return whole
