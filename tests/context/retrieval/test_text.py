"""Text search over contents in memory: what lines are, which files a glob means, and that the index hides nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perstack.context.retrieval.contract import Listing, Rejected, SourceFile
from perstack.context.retrieval.pieces import Piece, needed
from perstack.context.retrieval.ranked import RankedIndex
from perstack.context.retrieval.render import shown
from perstack.context.retrieval.text import TextQuery, search_text


class Held:
    """Contents by path."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        self.opened: list[str] = []

    def listing(self) -> Listing:
        files = tuple(
            SourceFile(path, hashlib.sha1(data, usedforsecurity=False).hexdigest(), len(data))
            for path, data in sorted(self._texts.items())
        )
        return Listing(files, "1", by_path={file.path: file for file in files})

    def read(self, file: SourceFile, limit: int = 0) -> bytes:
        return self._texts[file.path]

    def contents(self, files: Iterable[SourceFile], limit: int = 0) -> Iterator[tuple[SourceFile, bytes]]:
        for file in files:
            self.opened.append(file.path)
            yield file, self._texts[file.path]


def lines(query: TextQuery, texts: Mapping[str, bytes]) -> list[str]:
    held = Held(texts)
    return shown(search_text(query, held.listing(), held), numbered=True).splitlines()


def index_of(folder: Path, held: Held, *, without: int = 0) -> RankedIndex:
    place = folder / uuid4().hex
    place.mkdir()
    index = RankedIndex()
    index.open(place)
    index.add((file, held.read(file)) for file in held.listing().files[without:])
    return index


@pytest.mark.parametrize(
    ("data", "pattern", "found"),
    [
        ("wide = 1\nnext\n".encode("utf-16"), "^wide", "a.txt:1:wide = 1"),
        ("x\nwíde\n".encode("utf-16-be"), "wíde", "Nothing found."),  # no mark: bytes with nulls
        (b"\xef\xbb\xbffirst\n", "^first$", "a.txt:1:first"),
        (b"one\r\ntwo\r\n", "two$", "a.txt:2:two"),
        (b"caf\xe9 latin\n", "latin", "a.txt:1:caf\ufffd latin"),
        (b"one\ntwo\nthree\n", r"one\ntwo", "a.txt:1:one"),
        (b"one\n\ntwo\n", r"one\s+two", "Nothing found."),  # lines are searched one by one
        (b"a" * 3000 + b"needle" + b"b" * 3000, "needle", "a.txt:1:…" + "a" * 100 + "needle" + "b" * 193),
        (b"no end", "end$", "a.txt:1:no end"),
        (b"text\0needle", "needle", "Nothing found."),
    ],
)
def test_lines_of_every_encoding_are_told_as_people_see_them(data: bytes, pattern: str, found: str) -> None:
    assert lines(TextQuery(pattern), {"a.txt": data})[0].startswith(found)


def test_a_match_over_several_lines_is_told_with_all_of_them() -> None:
    told = lines(TextQuery("two\nthree", fixed=True), {"a.txt": b"one\ntwo\nthree\nfour\n"})
    assert told == ["a.txt:2:two", "a.txt-3-three"]


@pytest.mark.parametrize("pattern", ["", "(", "a{2000}{2000}", "\ud800", "x" * 3_000_000])
def test_a_pattern_that_is_none_is_refused_with_what_to_do(pattern: str) -> None:
    with pytest.raises(Rejected, match=r"fixed|empty|part"):
        search_text(TextQuery(pattern), Held({}).listing(), Held({}))


def test_what_every_match_must_hold_is_read_off_a_pattern() -> None:
    def said(pattern: str, *, fixed: bool = False) -> list[str]:
        def mark(piece: Piece) -> str:
            return f"{'<' * piece.first}{piece.text}{'>' * piece.last}"

        return ["|".join(mark(piece) for piece in pieces) for pieces in needed(pattern, fixed=fixed)]

    assert said("foo_bar(", fixed=True) == ["foo_bar>"]
    assert said("a foo_Bar(", fixed=True) == ["<foo_bar>"]
    assert said("order ledger") == ["order>", "<ledger"]
    assert said(r"(?i)foo|bar\(") == ["foo|bar>"]
    assert said(r"\w+\.zzz\(x") == ["<zzz>"]
    assert said(r"fooo?(bar)+baz\d[xyz]lmn*") == ["bar", "foo", "baz"]
    assert said(r"^(?:def|class)\s+(\w+_)?name\b") == ["def|class", "name>"]
    for doubtful in (r"foo|.", r"\Qfoo\E", r"(foo)?", "fo{2,}", "f.o", "[foo]", "(" * 50 + "foo" + ")" * 50):
        assert said(doubtful) == [], doubtful


_PIECES = ["cart", "Cart_id", "cartId", "x", "é", "(", " ", "-", "ART", "\r"]
_LINE = st.lists(st.sampled_from(_PIECES), max_size=6).map("".join)
_TEXT = st.lists(_LINE, max_size=5).map("\n".join)
_PATTERNS = [
    "cart", "Cart", "rt_i", "Cart_id -", "art-x", "ar", "cartidx", "cart|id ", r"(?:ART|x)\(?", "Cart_?id", r"\bcart\b",
    "c[ae]rt_i", "(cart)+ ", r"\sx", "^x", "art$", "(?:c|x)art|id", r"cart\W+x", "é ?cart", r"x\ncart", "car+t",
]  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(_TEXT, min_size=1, max_size=6),
    pattern=st.sampled_from([*_PATTERNS, "cart("]),
    word=st.booleans(),
    fixed=st.booleans(),
)
def test_the_index_never_hides_a_line_that_a_plain_scan_finds(
    texts: list[str], pattern: str, word: bool, fixed: bool, tmp_path: Path
) -> None:
    held = Held({f"{number}.txt": text.encode() for number, text in enumerate(texts)})
    index = index_of(tmp_path, held, without=1)  # one is not indexed yet
    query = TextQuery(pattern, fixed=fixed or pattern == "cart(", word=word)
    assert search_text(query, held.listing(), held, index).hits == search_text(query, held.listing(), held).hits


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> RankedIndex:
    return index_of(tmp_path_factory.mktemp("index"), Held({}))


_NAMES = ["src", "a b", "x.py", "é.py", "odd\nname.py", "[x].ts", "deep", "_x.zig"]
_PATHS = st.lists(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join), min_size=1, max_size=8)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=_PATHS,
    glob=st.sampled_from(
        ["*.py", "src", "src/**", "/deep/", "?.py", "??.py", "*name*", "[_x]*", "é*", "**/x.*", "!src", "_*"]
    ),
)
def test_globs_choose_the_same_files_with_and_without_the_index(paths: list[str], glob: str, tmp_path: Path) -> None:
    held = Held(dict.fromkeys(paths, b"text"))
    query = TextQuery("e", paths=(glob,))
    index = index_of(tmp_path, held)
    assert search_text(query, held.listing(), held, index).hits == search_text(query, held.listing(), held).hits


def test_what_is_rare_is_found_without_reading_what_cannot_hold_it(tmp_path: Path) -> None:
    texts = {f"f{number:04}.txt": b"common = 1\n" for number in range(1_200)}
    texts["f1199.txt"] = b"common = rare_thing\n"
    held = Held({path: data + path.encode() for path, data in texts.items()})
    index = index_of(tmp_path, held)
    for pattern in ("rare_thing", "nowhere|rare_thing", r"=\s(?:rare|seldom)_"):
        held.opened.clear()
        assert len(search_text(TextQuery(pattern), held.listing(), held, index).hits) == 1
        assert held.opened == ["f1199.txt"], pattern
    held.opened.clear()
    assert len(search_text(TextQuery("common"), held.listing(), held, index).hits) == 50
    assert len(held.opened) < 60
