"""The locator finds every key of any TOML text, at the line it stands on."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.definition.locate import KeyPath, line_of, locate

SCALARS = (
    "1",
    "-1.5e3",
    "0xdead",
    "true",
    "1979-05-27 07:32:00Z",
    '"plain"',
    '"with # no comment, ] } and \\" quote"',
    "'literal \\ # ['",
    '"""\nfirst\n[not.a.table]\nkey = 1\n"""',
    '"""ends in quotes"""""',
    '"""\\\n   continued \\"""quoted\\"""\n"""',
    "'''\n[[neither]]\n'''''",
)
KEYS = ("a", "b-c", "d_1", '"e.f"', '"q\\"uote"', "'@g/h'", '"\\u00e9"', '""')


@dataclass
class Writer:
    """Writes random TOML and remembers where it put every key."""

    draw: st.DrawFn
    text: str = ""
    lines: dict[KeyPath, int] = field(default_factory=dict)
    arrays: dict[KeyPath, int] = field(default_factory=dict)

    def put(self, text: str) -> None:
        self.text += text

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def gap(self) -> None:
        self.put(self.draw(st.sampled_from(["", "", "\n", "# note [x] = 'y\n", "  \t"])))

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.draw(st.integers(0, 5)) if depth < 3 else 0
        if kind == 4:
            self.put("[")
            for index in range(self.draw(st.integers(0, 3))):
                self.put(self.draw(st.sampled_from(["", "\n", " # ]\n"])))
                self.note((*path, index))
                self.value((*path, index), depth + 1)
                self.put(self.draw(st.sampled_from([",", " ,\n"])))
            self.put("]")
        elif kind == 5:
            keys = self.draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
            self.put("{ ")
            for index, key in enumerate(keys):
                self.put(", " if index else "")
                self.note((*path, decoded(key)))
                self.put(f"{key} = ")
                self.value((*path, decoded(key)), 3)
            self.put(" }")
        else:
            self.put(self.draw(st.sampled_from(SCALARS)))

    def pairs(self, table: KeyPath, prefix: str) -> None:
        for key in self.draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3)):
            self.gap()
            self.put("" if self.text.endswith("\n") or not self.text else "\n")
            dotted = self.draw(st.booleans())
            first = f"{prefix}{decoded(key)}"
            if dotted:
                self.note((*table, first))
                self.note((*table, first, "x y"))
                self.put(f'{json.dumps(first)} . "x y" = ')
                self.value((*table, first, "x y"), 0)
            else:
                self.note((*table, first))
                self.put(f"{json.dumps(first)}= ")
                self.value((*table, first), 0)
            self.put(self.draw(st.sampled_from(["\n", " # end\n", "\r\n"])))

    def table(self, number: int) -> None:
        name = f"t{number}"
        if self.draw(st.booleans()):
            self.note((name,))
            for index in range(self.draw(st.integers(1, 3))):
                self.note((name, index))
                self.put(f"[[ {name} ]]\n")
                self.pairs((name, index), "p")
                if self.draw(st.booleans()):
                    self.note((name, index, "in.side"))
                    self.put(f'[{name}."in.side"] # x\n')
                    self.pairs((name, index, "in.side"), "s")
        else:
            self.note((name,))
            self.note((name, "sub"))
            self.put(f"[{name} . sub]\n")
            self.pairs((name, "sub"), "p")


def decoded(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.pairs((), "top")
    for number in range(draw(st.integers(0, 3))):
        writer.gap()
        writer.put("" if writer.text.endswith("\n") or not writer.text else "\n")
        writer.table(number)
    return writer


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found: set[KeyPath] = {path} if path else set()
    if isinstance(value, dict):
        for key, item in value.items():
            found |= paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= paths(item, (*path, index))
    return found


@pytest.mark.slow
@given(documents())
def test_every_key_of_a_random_document_is_found_at_its_line(writer: Writer) -> None:
    lines = locate(writer.text)

    assert set(lines) == paths(tomllib.loads(writer.text))
    assert lines == writer.lines


def test_a_table_defined_after_its_child_has_its_own_line() -> None:
    lines = locate("[a.b]\nx = 1\n\n[a]\ny = 2\n")

    assert lines == {("a",): 4, ("a", "b"): 1, ("a", "b", "x"): 2, ("a", "y"): 5}


@pytest.mark.parametrize(
    ("path", "line"),
    [(("a", "b", "x"), 2), (("a", "b", "missing"), 1), (("a", "nothing", "here"), 1), (("zzz",), 1), ((), 1)],
)
def test_a_key_that_is_missing_is_told_at_the_table_it_belongs_to(path: KeyPath, line: int) -> None:
    assert line_of(locate("[a.b]\nx = 1\n"), path) == line


def test_windows_line_ends_count_as_one() -> None:
    assert locate('a = """\r\n\r\n"""\r\nb = 1\r\n')[("b",)] == 4
