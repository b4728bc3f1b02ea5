"""Characters that make a text read differently from what it does.

Pure. Judges added text only; a character that the base file holds already is the project's own business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064"
    "\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x9f]")
_CARRIAGE = re.compile(r"\r(?!$)")  # shown as a line break or not at all; a Python line ends there
_WORD = re.compile(r"\w+")
_PROSE = (".md", ".rst", ".txt", ".po", ".pot", ".html", ".xml", ".yml", ".yaml", ".csv", ".ftl", ".properties")
_LATIN_TWINS = str.maketrans(
    "аеорсухіјѕԁԛԝһӏАВЕКМНОРСТУХІЈЅαοινρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijsdqwhlABEKMHOPCTYXIJSaoivpuABEZHIKMNOPTYX"
)


def invisible_in(text: str) -> str:
    """The first character of `text` that is invisible or reorders text; empty if none."""
    for at, character in enumerate(text):
        if character in _BIDI or character in _INVISIBLE or "\U000e0000" <= character <= "\U000e0fff":
            if character == "\u200d" and _joins_pictures(text, at):
                continue
            return character
    return ""


def _joins_pictures(text: str, at: int) -> bool:
    around = text[max(at - 2, 0) : at] + text[at + 1 : at + 2]
    return any(unicodedata.category(c) == "So" for c in around)


def hidden_characters(path: str, added: Sequence[tuple[int, str]], base: str) -> Iterator[tuple[int, str, bool]]:
    """Line, sentence, and whether it is certain, for each added line that hides something."""
    prose = path.lower().endswith(_PROSE)
    for number, line in added:
        found = invisible_in(line)
        if found and found not in base and not (number == 1 and line.startswith("\ufeff")):
            certain = not prose or found in _BIDI
            yield number, f"invisible or reordering character {_named(found)}", certain
        control = _CONTROLS.search(line) or _CARRIAGE.search(line)
        if control and control[0] not in base:
            yield number, f"control character {_named(control[0])}", not prose
        if not prose and not line.isascii():
            yield from ((number, sentence, True) for sentence in _lookalikes(line, base))


def _named(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def _lookalikes(line: str, base: str) -> Iterator[str]:
    """Identifiers that read as an ASCII name and are another one, outside strings and comments where that shows."""
    for word in _WORD.findall(_code_part(line)):
        if word.isascii() or word in base:
            continue
        plain = unicodedata.normalize("NFKC", word)
        if plain != unicodedata.normalize("NFC", word):
            yield f"identifier {word!r} means {plain!r}"
        elif word.translate(_LATIN_TWINS).isascii() and (_mixed(word) or word.translate(_LATIN_TWINS) in base):
            yield f"identifier {word!r} looks like {word.translate(_LATIN_TWINS)!r} and is not"


def _code_part(line: str) -> str:
    without_strings = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`", "", line)
    return re.split(r"#|//|/\*|--\s", without_strings, maxsplit=1)[0]


def _mixed(word: str) -> bool:
    scripts = {unicodedata.name(c, "?").split()[0] for c in word if c.isalpha()}
    return "LATIN" in scripts and len(scripts) > 1
