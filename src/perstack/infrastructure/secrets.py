"""Takes secrets out of text, and finds them in it. Pure: it is given the secrets, and knows none itself.

Redact before cutting a text: a cut can leave a part of a secret that is too short to be told. What is found is written
in `secrets_forms.py` (the ways to write one), `secrets_windows.py` (pieces), `secrets_shapes.py` (strangers' secrets).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from perstack.infrastructure.secrets_deep import MOST, Read, unpacked
from perstack.infrastructure.secrets_forms import plain_forms, squeezed_forms
from perstack.infrastructure.secrets_shapes import find_shapes, without_shapes
from perstack.infrastructure.secrets_views import Squeezed, squeezed
from perstack.infrastructure.secrets_windows import PIECE, Span, Windows, recognisable

MASK = "[redacted]"

_SHORTEST = 6
_LONG_PIECE = 20
_TOLD = 8
_FEW = 9
_BESIDE = 4


class Redactor:
    """Replaces secrets, their encodings, and pieces of 12 or more characters. Shorter values than 6 are left alone."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._short: re.Pattern[str] | None = None
        self._apart: re.Pattern[str] | None = None
        self._plain = self._squeezed = Windows(())
        self.learn(secrets)

    def __repr__(self) -> str:
        return "Redactor(…)"

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these as well."""
        more = {secret for value in secrets for secret in (value, value.strip()) if len(secret) >= _SHORTEST}
        if more <= self._known:
            return
        self._known |= more
        plain = {form for secret in self._known for form in plain_forms(secret) if len(form) >= _SHORTEST}
        short = sorted((form for form in plain if not recognisable(form)), key=len, reverse=True)
        self._short = re.compile("|".join(map(re.escape, short))) if short else None
        self._plain = Windows(plain)
        self._squeezed = Windows(form for secret in self._known for form in squeezed_forms(secret))
        apart = {form for secret in self._known for form in (squeezed(secret), squeezed(secret[::-1]))}
        few = sorted(form for form in apart if _FEW <= len(form) < PIECE and _is_both(form))
        self._apart = re.compile("|".join(few)) if few else None

    @property
    def knows(self) -> bool:
        """Whether there is a secret at all."""
        return bool(self._known)

    def redact(self, text: str) -> str:
        """The text with every secret replaced by `[redacted]`."""
        spans = self.spans(text)
        return without_shapes(_masked(text, spans) if spans else text, MASK)

    def without_known(self, text: str) -> str:
        """The same for secrets that it was told, and not for what only looks like one."""
        spans = self.spans(text)
        return _masked(text, spans) if spans else text

    def spans(self, text: str) -> list[Span]:
        """Where known secrets and pieces of them lie, in order; they may overlap."""
        if not self._known:
            return []
        found = self._as_it_stands(text)
        if len(text) <= MOST:
            found += self._resolved(text)
            found += [span for span, said in unpacked(text) if self._as_it_stands(said)]
        return sorted(found)

    def _as_it_stands(self, text: str) -> list[Span]:
        found = self._plain.spans(text)
        found += _beyond(found, self._squeezed_spans(text))
        if self._short is not None:
            found += [match.span() for match in self._short.finditer(text)]
        return found

    def _resolved(self, text: str) -> list[Span]:
        view = Read(text)
        return [view.original(span) for span in self._as_it_stands(view.text)] if view.text != text else []

    def known_pieces(self, text: str) -> list[tuple[int, str]]:
        """Lines (1-based) and texts of known secrets and of pieces that cannot be there by chance, for a candidate.

        That is 20 characters, or fewer without the look of words: a secret may be made of words, its pieces are such.
        """
        found = ((start, text[start:end]) for start, end in self.spans(text))
        told = [(start, piece) for start, piece in found if len(piece) >= _LONG_PIECE or _is_mixed(piece)]
        return [(text.count("\n", 0, start) + 1, piece) for start, piece in told]

    def _squeezed_spans(self, text: str) -> list[Span]:
        view = Squeezed(text)
        found = self._squeezed.spans(view.text)
        if self._apart is not None:
            found += [match.span() for match in self._apart.finditer(view.text)]
        return [view.original(span) for span in found]


def find_secrets(text: str) -> list[tuple[int, str]]:
    """Lines (1-based) that hold what looks like a secret, and which kind; for scanning a candidate."""
    return [(number, kind) for number, kind, _ in find_shapes(text)]


def _is_mixed(piece: str) -> bool:
    """Eight characters or more with letters and at least two digits or capitals among them: no word of a language."""
    odd = sum(sign.isdigit() for sign in piece) + sum(sign.isupper() for sign in piece[1:])
    return len(piece) >= _TOLD and odd >= 2 and any(sign.islower() for sign in piece)


def _is_both(text: str) -> bool:
    """Letters and digits: words beside each other do not make it up."""
    return any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)


def _beyond(found: list[Span], more: list[Span]) -> list[Span]:
    """Those of `more` that are not one of `found` and a letter or two of the words beside it."""
    if not found:
        return more
    starts = [start for start, _ in found]
    kept = []
    for start, end in more:
        at = bisect_right(starts, start + _BESIDE) - 1
        if at < 0 or starts[at] < start or found[at][1] < end - _BESIDE:
            kept.append((start, end))
    return kept


def _masked(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        if end <= position:
            continue
        if start >= position:
            pieces += [text[position:start], MASK]
        position = end
    return "".join(pieces) + text[position:]
