"""What one file defines and uses, in every language that is read, and in files that are broken or hostile."""

from __future__ import annotations

import pytest

from perstack.context.retrieval.languages import LANGUAGES, grammar, language_of
from perstack.context.retrieval.outline import Outline, read

SOURCES = {
    "a.py": "class Cart:\n    size = 0\n\n    async def add(self, item):\n        return price(item)\n\nLIMIT = 3\n",
    "a.js": "export class Cart {\n  add(item) { return price(item) }\n}\nexport const total = (x) => x\n",
    "a.ts": "interface Cart { add(item: Item): void }\nexport type Price = number\nenum Size { Small }\n",
    "a.tsx": "export function View(p: Props) {\n  return <b>{p.total}</b>\n}\n",
    "a.go": "package a\n\ntype Cart struct{}\n\nfunc (c *Cart) Add(i Item) int { return price(i) }\n\nconst Max = 3\n",
    "a.rs": "struct Cart;\nimpl<T> Shop<T> for Cart {\n    fn add(&self) -> u32 { price(1) }\n}\nmacro_rules! m {}\n",
    "A.java": "class Cart {\n  int size;\n  Cart() {}\n  int add(Item i) { return price(i); }\n}\n",
    "a.c": "struct cart { int n; };\nstatic char *add(struct cart *c)\n{\n  return price(c);\n}\nint later(void);\n",
    "a.cpp": "namespace shop {\nclass Cart { int add(); };\n}\nint shop::Cart::add() { return price(this); }\n",
}
EXPECTED = {
    "a.py": ["class Cart", "field Cart.size", "method Cart.add", "constant LIMIT"],
    "a.js": ["class Cart", "method Cart.add", "function total"],
    "a.ts": ["interface Cart", "method Cart.add", "type Price", "enum Size"],
    "a.tsx": ["function View"],
    "a.go": ["struct Cart", "method Cart.Add", "constant Max"],
    "a.rs": ["struct Cart", "method Cart.add", "macro m"],
    "A.java": ["class Cart", "field Cart.size", "constructor Cart.Cart", "method Cart.add"],
    "a.c": ["struct cart", "function add", "prototype later"],
    "a.cpp": ["module shop", "class shop.Cart", "prototype shop.Cart.add", "function shop.Cart.add"],
}


def outline(path: str, text: str | bytes) -> Outline:
    return read(language_of(path), text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("path", SOURCES)
def test_definitions_have_kinds_and_qualified_names_in_every_language(path: str) -> None:
    found = outline(path, SOURCES[path])
    assert [f"{each.kind} {each.qualified}" for each in found.definitions] == EXPECTED[path]
    assert not found.partial


def test_every_language_has_a_grammar_and_a_query_that_fit() -> None:
    assert {language_of(path) for path in SOURCES} == set(LANGUAGES)
    assert all(grammar(language).definitions.pattern_count for language in LANGUAGES)
    assert language_of("README.md") == ""


def test_lines_cover_the_whole_definition_and_the_signature_is_its_head() -> None:
    add = next(each for each in outline("a.py", SOURCES["a.py"]).definitions if each.name == "add")
    assert (add.line, add.end, add.signature) == (4, 5, "async def add(self, item):")


def test_names_are_told_where_they_are_used_and_not_where_they_are_defined() -> None:
    found = outline("a.py", "def price(x):\n    return x\n\ntotal = price(price(1))\nprice\n")
    assert found.names["price"] == (4, 5)


def test_the_innermost_definition_around_a_line_is_found() -> None:
    found = outline("a.py", SOURCES["a.py"])
    inner, outer = found.around(5), found.around(2)
    assert inner is not None
    assert inner.qualified == "Cart.add"
    assert outer is not None
    assert outer.qualified == "Cart.size"
    assert found.around(6, kinds=frozenset({"function"})) is None


def test_a_syntax_error_costs_only_the_part_it_is_in() -> None:
    found = outline("a.py", "def good():\n    pass\n\ndef (((:\n\nclass Later:\n    def fine(self): ...\n")
    assert found.partial
    assert {"good", "Later"} <= {each.name for each in found.definitions}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", b"x = " + b"[" * 40_000 + b"]" * 40_000),
        ("a.js", b"a=" + b"{b:" * 20_000),
        ("a.java", b"class A{" * 20_000),
        ("a.rs", b"mod a{" * 20_000 + b"}" * 20_000),
        ("a.go", bytes(range(256)) * 200),
        ("a.c", b""),
    ],
)
def test_hostile_nesting_and_bytes_that_are_no_text_end_in_an_outline(path: str, text: bytes) -> None:
    assert isinstance(outline(path, text), Outline)


def test_a_name_as_long_as_a_file_is_cut() -> None:
    found = outline("a.py", b"def " + b"a" * 500_000 + b"(): pass\n")
    assert all(len(each.name) <= 200 and len(each.signature) <= 200 for each in found.definitions)
