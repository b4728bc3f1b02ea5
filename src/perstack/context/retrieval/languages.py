"""The languages that symbols are read in: which file is which, and its grammar and query. Parses nothing.

Grammars are compiled packages of the tree-sitter project, one a language, loaded when a file first asks for one;
nothing is fetched at run time.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tree_sitter import Language, Query

_QUERIES = Path(__file__).with_name("queries")

_SUFFIXES = {
    ".py": "python", ".pyi": "python", ".pyw": "python",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".go": "go", ".rs": "rust", ".java": "java",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".c++": "cpp", ".hh": "cpp", ".hpp": "cpp",
    ".hxx": "cpp", ".ipp": "cpp", ".tpp": "cpp", ".inl": "cpp",
}  # fmt: skip

# language → (package, function that hands out the grammar, query file, kinds of node that are a name)
_GRAMMARS = {
    "python": ("tree_sitter_python", "language", "python", ("identifier",)),
    "javascript": (
        "tree_sitter_javascript", "language", "javascript",
        ("identifier", "property_identifier", "private_property_identifier", "shorthand_property_identifier"),
    ),
    "typescript": (
        "tree_sitter_typescript", "language_typescript", "typescript",
        ("identifier", "property_identifier", "private_property_identifier", "shorthand_property_identifier",
         "type_identifier"),
    ),
    "tsx": (
        "tree_sitter_typescript", "language_tsx", "typescript",
        ("identifier", "property_identifier", "private_property_identifier", "shorthand_property_identifier",
         "type_identifier"),
    ),
    "go": ("tree_sitter_go", "language", "go", ("identifier", "field_identifier", "type_identifier")),
    "rust": (
        "tree_sitter_rust", "language", "rust",
        ("identifier", "field_identifier", "type_identifier", "shorthand_field_identifier"),
    ),
    "java": ("tree_sitter_java", "language", "java", ("identifier", "type_identifier")),
    "c": ("tree_sitter_c", "language", "c", ("identifier", "field_identifier", "type_identifier")),
    "cpp": (
        "tree_sitter_cpp", "language", "cpp",
        ("identifier", "field_identifier", "type_identifier", "namespace_identifier"),
    ),
}  # fmt: skip

LANGUAGES = tuple(_GRAMMARS)


@dataclass(frozen=True, slots=True)
class Grammar:
    """What reading one language needs. `definitions` and `names` are compiled queries."""

    language: Language
    definitions: Query
    names: Query


def language_of(path: str) -> str:
    """The language of a file by its name; "" where there is no grammar for it."""
    stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return _SUFFIXES.get(f"{dot}{suffix}".lower(), "") if stem else ""


@cache
def grammar(language: str) -> Grammar:
    """The grammar and queries of one of `LANGUAGES`."""
    package, function, query, names = _GRAMMARS[language]
    made = Language(getattr(importlib.import_module(package), function)())
    definitions = Query(made, (_QUERIES / f"{query}.scm").read_text("utf-8"))
    return Grammar(made, definitions, Query(made, f"[{' '.join(f'({name})' for name in names)}] @name"))
