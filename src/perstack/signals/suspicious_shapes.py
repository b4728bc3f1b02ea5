"""Declarations of other languages than Python that make words lie: equality that does not compare, macros over names.

Pure. These are seen over several lines, where `suspicious_tokens.py` reads one.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from perstack.signals.suspicious_code import Code

_SCRIPT: Final = frozenset({"js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"})
_NATIVE: Final = frozenset({"c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "inl", "inc", "ipp", "tpp", "def"})
_COMPARES: Final = re.compile(
    r"\bfn\s+(?:eq|ne)\s*\([^)]*\)\s*->\s*bool\s*\{\s*(?:return\s+)?(?:true|false)\s*;?\s*\}"
    r"|\b(?:equals|isEqual\w*)\s*\([^)]*\)\s*(?::\s*\w+\s*)?(?:=\s*true\b|\{\s*return\s+true\b)"
    r"|\bcompareTo\s*\([^)]*\)\s*\{\s*return\s+0\s*;"
    r"|\boperator\s*(?:==|!=|<=>)\s*\([^)]*\)[^{;]*\{\s*return\s+(?:true|1|false|0)\s*;"
)
_CONVERTS: Final = re.compile(
    r"(?:\bvalueOf\b|\[Symbol\.toPrimitive\]|['\"]valueOf['\"])\s*(?::\s*(?:function\s*)?)?\([^)]*\)\s*(?::\s*\w+\s*)?(?:=>\s*)?(?:\{\s*return\s*)?(?:-?\d|[\"'`])"
)
_LANGUAGE: Final = (
    "if else while for do switch case default return break continue goto sizeof static const void int long short char float double"
    " bool true false class struct"
)
_LIBRARY: Final = (
    "fabs fabsf fabsl abs labs isnan isinf fmax fmin floor ceil round pow sqrt strcmp strncmp strcasecmp strncasecmp memcmp strlen strstr"
    " strchr assert printf fprintf puts snprintf sprintf exit _exit abort raise malloc calloc free memset memcpy main errno signal setjmp longjmp"
    " EXIT_FAILURE EXIT_SUCCESS NULL"
)
_SAME: Final = frozenset({"_stricmp", "_strnicmp", "stricmp", "strnicmp"})
_DECLARED: Final = re.compile(
    r"^(?!\s*#)\w[\w \t*]{0,120}[ \t*](?P<name>\w+)[ \t]*\([^;{}()]{0,400}\)\s*[;{]", re.MULTILINE
)
_MACRO: Final = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)(?P<arguments>\([^)\n]*\))?(?P<meaning>[^\n]*)", re.MULTILINE
)


def scan_shapes(source: str, suffix: str) -> Iterator[tuple[int, str, str]]:
    """Line (1-based), what it says, and why it is wrong."""
    code = Code(source, suffix)
    for match in _COMPARES.finditer(code.bare):
        yield code.line(match.start()), " ".join(match[0].split()), "is equal to everything or to nothing"
    if suffix in _SCRIPT:
        for match in _CONVERTS.finditer(code.text):
            yield code.line(match.start()), " ".join(match[0].split()), "turns into one value whatever it holds"
    if suffix in _NATIVE:
        yield from _macros(code)


def _macros(code: Code) -> Iterator[tuple[int, str, str]]:
    """Macros that take the place of the language, of the standard library, or of a function of the same file."""
    spliced = code.bare.replace("\\\n", "  ")
    taken = {*_LANGUAGE.split(), *_LIBRARY.split()}
    declared = {match["name"] for match in _DECLARED.finditer(spliced)}
    for match in _MACRO.finditer(spliced):
        name, meaning = match["name"], match["meaning"].strip()
        alias = meaning.split("(")[0] in {f"_{name}", *_SAME}
        if (name in taken and not alias) or (match["arguments"] and name in declared):
            yield code.line(match.start()), f"#define {name}", "takes the place of what others mean by that name"
