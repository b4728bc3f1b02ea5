"""Which tools stay: `omit` before `pick`, and management tools only by name."""

from __future__ import annotations

import pytest

from perstack.skills.selection import chosen

NAMES = ("exec", "todo", "createExpert")


@pytest.mark.parametrize(
    ("pick", "omit", "left"),
    [
        ((), (), ["exec", "todo"]),
        (("todo",), (), ["todo"]),
        ((), ("exec",), ["todo"]),
        (("todo", "exec"), ("exec",), ["todo"]),
        (("createExpert", "todo"), (), ["todo", "createExpert"]),
        (("createExpert",), ("createExpert",), []),
        (("unknown",), (), []),
        ((), ("unknown",), ["exec", "todo"]),
    ],
)
def test_omit_goes_first_and_management_tools_must_be_named(
    pick: tuple[str, ...], omit: tuple[str, ...], left: list[str]
) -> None:
    assert list(chosen(NAMES, pick=pick, omit=omit)) == left
