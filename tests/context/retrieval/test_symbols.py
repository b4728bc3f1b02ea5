"""The index of symbols: it learns each content once, keeps it, and tells only what the listing holds."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from perstack.context.retrieval.contract import DamagedIndex, Listing, Rejected, SourceFile
from perstack.context.retrieval.references import Names
from perstack.context.retrieval.symbols import SymbolIndex

FILES = {
    "shop/cart.py": b"class Cart:\n    def add(self, item):\n        return item.price()\n",
    "shop/item.py": b"class Item:\n    def price(self):\n        return 1\n\n    def add(self, other):\n        ...\n",
    "main.py": b"from shop.cart import Cart\n\ndef run():\n    Cart().add(1)\n\nCart()\n",
    "lib/tax.go": b"package lib\n\nfunc Price() int { return 2 }\n",
    "notes.md": b"Cart\n",
}


def source(path: str, data: bytes) -> SourceFile:
    return SourceFile(path, hashlib.sha1(data).hexdigest(), len(data))  # git's own kind of digest


def listing(files: dict[str, bytes]) -> Listing:
    made = tuple(source(path, data) for path, data in sorted(files.items()))
    return Listing(made, "all", by_path={file.path: file for file in made})


class Everywhere:
    """Words that holds every file to be a candidate."""

    def files_with(self, words: Collection[str], listing: Listing, *, limit: int) -> tuple[SourceFile, ...]:
        return listing.files[:limit]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SymbolIndex]:
    made = SymbolIndex()
    made.open(tmp_path)
    yield made
    made.close()


def names(index: SymbolIndex, files: dict[str, bytes]) -> Names:
    def learn(wanted: Collection[SourceFile]) -> None:
        index.add((file, files[file.path]) for file in index.missing(wanted))

    return Names(listing(files), Everywhere(), index, learn)


def test_a_definition_is_told_with_its_place_and_kind(index: SymbolIndex) -> None:
    hit = names(index, FILES).definitions("Cart").hits[0]
    assert (hit.path, hit.line, hit.end_line, hit.text, hit.why) == (
        "shop/cart.py", 1, 3, "class Cart:", "class Cart",
    )  # fmt: skip


def test_a_qualified_name_brings_its_own_definition_first_in_any_notation(index: SymbolIndex) -> None:
    asked = names(index, FILES)
    for name in ("Item.add", "Item::add", "Item#add()"):
        assert [hit.path for hit in asked.definitions(name).hits] == ["shop/item.py", "shop/cart.py"]


def test_kind_and_path_narrow_what_is_told(index: SymbolIndex) -> None:
    asked = names(index, FILES)
    assert [hit.path for hit in asked.definitions("price", kind="function").hits] == ["lib/tax.go"]
    assert [hit.path for hit in asked.definitions("add", path="shop/cart.py").hits] == ["shop/cart.py"]
    assert [hit.path for hit in asked.definitions("price", path="*.go").hits] == ["lib/tax.go"]


def test_references_name_the_definition_they_are_in(index: SymbolIndex) -> None:
    found = names(index, FILES).references("Cart")
    assert [(hit.line, hit.why) for hit in found.hits] == [
        (1, "in the file"), (4, "in function run"), (6, "in the file"),
    ]  # fmt: skip


def test_what_was_cut_is_said(index: SymbolIndex) -> None:
    found = names(index, FILES).references("Cart", limit=1)
    assert (len(found.hits), found.total) == (1, 3)
    assert "2 more" in found.notes[0]


def test_no_name_and_no_file_are_refused_in_words(index: SymbolIndex) -> None:
    asked = names(index, FILES)
    for wrong in ("", "two words", "."):
        with pytest.raises(Rejected, match="not a name"):
            asked.definitions(wrong)
    with pytest.raises(Rejected, match="no file nowhere"):
        asked.outline("nowhere.py")
    with pytest.raises(Rejected, match="not read"):
        asked.outline("notes.md")


def test_a_content_is_learnt_once_and_outlives_the_process(index: SymbolIndex, tmp_path: Path) -> None:
    files = listing(FILES).files
    index.add((file, FILES[file.path]) for file in index.missing(files))
    assert index.missing(files) == []
    index.close()
    again = SymbolIndex()
    again.open(tmp_path)
    assert again.missing([*files, source("copy.py", FILES["main.py"])]) == []
    assert [each.name for each in again.outlines(files)["lib/tax.go"].definitions] == ["Price"]
    again.close()


def test_a_changed_file_tells_its_new_symbols_only(index: SymbolIndex) -> None:
    names(index, FILES).definitions("run")
    changed = names(index, {**FILES, "main.py": b"def walk():\n    pass\n"})
    assert changed.definitions("run").hits == ()
    assert [hit.path for hit in changed.definitions("walk").hits] == ["main.py"]


def test_one_content_in_two_languages_is_read_twice(index: SymbolIndex) -> None:
    header = {"a.h": b"class A { int f(); };\n", "a.hpp": b"class A { int f(); };\n"}
    assert [hit.path for hit in names(index, header).definitions("A", kind="class").hits] == ["a.hpp"]


def test_a_file_that_is_no_index_is_reported_as_damage(tmp_path: Path) -> None:
    (tmp_path / "symbols.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(DamagedIndex):
        SymbolIndex().open(tmp_path)


def test_files_that_define_a_name_or_a_beginning_of_one_are_found(index: SymbolIndex) -> None:
    files = listing(FILES).files
    index.add((file, FILES[file.path]) for file in index.missing(files))
    assert [file.path for file in index.defining("CART", files)] == ["shop/cart.py"]
    assert [file.path for file in index.defining("pri", files, prefix=True)] == ["lib/tax.go", "shop/item.py"]
