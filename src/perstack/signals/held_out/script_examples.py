"""Examples of JavaScript and TypeScript tests: calls with literal arguments and what they should give. Pure.

Only what stands on its own is read: functions imported from files of the project, called with literals inside an
assertion, in files without hooks and mocks. What is not understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname, join, normpath

from perstack.signals.held_out.script_values import UNDEFINED, NoLiteral, Reader, Token, tokens_of

_BUSY = re.compile(
    r"\b(?:before|after)(?:Each|All)?\s*\(|\.mock\s*[(.]|\bspyOn\b|useFakeTimers|\bjest\.|\bvi\.|\bmock\b"
)
_FRAMES = frozenset({"test", "it", "describe", "suite", "specify", "context"})
_STRICT = frozenset({"strictEqual", "deepStrictEqual"})
_LOOSE = frozenset({"equal", "deepEqual"})
_EXPECTED = frozenset({"toBe", "toEqual", "toStrictEqual"})
_ASSERT = frozenset({"assert", "node:assert", "assert/strict", "node:assert/strict"})
_MOST = 60


@dataclass(frozen=True, slots=True)
class Export:
    """Where a function comes from: a path of the repository without what the import left out, and a name in it."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class ScriptExample:
    """One call of a test. `test` is the id without its file: titles joined by `::`."""

    test: str
    target: Export
    arguments: tuple[object, ...]
    expected: object


def script_examples(source: str, path: str) -> tuple[ScriptExample, ...]:
    """All examples of one test file at `path`."""
    if _BUSY.search(source):
        return ()
    tokens = tokens_of(source)
    imports, strict = _imports(tokens, path)
    found: list[ScriptExample] = []
    frames: list[tuple[int, str]] = []
    depth = 0
    for place, token in enumerate(tokens):
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
            while frames and depth < frames[-1][0]:
                frames.pop()
        elif token.kind == "name" and token.text in _FRAMES and (title := _title(tokens, place)):
            frames.append((depth + 1, title))
        elif token.kind == "name" and frames and not _is_member(tokens, place):
            example = _assertion(Reader(tokens, place), imports, strict, "::".join(title for _, title in frames))
            found += [example] if example else []
    return tuple(found[:_MOST])


def _title(tokens: Sequence[Token], place: int) -> str:
    after = tokens[place + 1 : place + 3]
    if len(after) < 2 or after[0].text != "(" or after[1].kind != "string":
        return ""
    return after[1].text[1:-1]


def _is_member(tokens: Sequence[Token], place: int) -> bool:
    return place > 0 and tokens[place - 1].text in {".", "?."}


def _imports(tokens: Sequence[Token], path: str) -> tuple[dict[str, Export], bool]:
    """Names that mean something of the project (`*` for a whole module), and whether `assert` is strict."""
    found: dict[str, Export] = {}
    strict = False
    for place, token in enumerate(tokens):
        if token.kind != "string" or place == 0:
            continue
        front, module = tokens[:place], token.text[1:-1]
        if front[-1].text == "from":
            names = _bound(front[:-1], "import")
        elif [one.text for one in front[-3:]] in (["=", "require", "("], ["await", "import", "("]):
            names = _bound(front[: -3 if front[-3].text == "=" else -4], "const")
        else:
            continue
        strict = strict or (module in _ASSERT and (module.endswith("/strict") or "strict" in names.values()))
        if module.startswith("."):
            target = normpath(join(dirname(path), module))
            found.update({name: Export(target, meaning) for name, meaning in names.items()})
    return found, strict


def _bound(front: Sequence[Token], opening: str) -> dict[str, str]:
    """Local name → name in the module, of what stands between `import` or `const` and the module's own name."""
    start = max((place for place, token in enumerate(front) if token.text in {opening, "let", "var"}), default=-1)
    words = [token.text for token in front[start + 1 :]] if start >= 0 and len(front) - start < 200 else []
    found: dict[str, str] = {}
    if "{" in words:
        inside = words[words.index("{") + 1 : words.index("}") if "}" in words else len(words)]
        for part in " ".join(inside).split(","):
            names = re.split(r"\s+as\s+|\s*:\s*", part.strip())
            if all(re.fullmatch(r"[A-Za-z_$][\w$]*", name) for name in names):
                found[names[-1]] = names[0]
        words = words[: words.index("{")]
    plain = [word for word in words if word.isidentifier() and word not in {"type", "as"}]
    if plain and "type" not in words:
        found[plain[-1]] = "*" if "*" in words or opening == "const" else "default"
    return found


def _assertion(reader: Reader, imports: Mapping[str, Export], strict: bool, test: str) -> ScriptExample | None:
    try:
        if reader.take("expect", "("):
            called = _call(reader, imports)
            if called and reader.take(")", ".") and reader.next().text in _EXPECTED and reader.take("("):
                return ScriptExample(test, *called, reader.literal())
        elif reader.take("assert", "."):
            exact = reader.take("strict", ".") or strict
            word = reader.next().text
            fits = word in _STRICT or (word in _LOOSE and exact)
            called = _call(reader, imports) if fits and reader.take("(") else None
            if called and reader.take(","):
                return ScriptExample(test, *called, reader.literal())
    except NoLiteral:
        return None
    return None


def _is_whole(value: object) -> bool:
    """Whether a value can be written down again: nothing in it is `undefined`."""
    if isinstance(value, list):
        return all(map(_is_whole, value))
    return all(map(_is_whole, value.values())) if isinstance(value, dict) else value is not UNDEFINED


def _call(reader: Reader, imports: Mapping[str, Export]) -> tuple[Export, tuple[object, ...]] | None:
    reader.take("await")
    target = imports.get(reader.next().text)
    if target is not None and target.name == "*" and reader.take("."):
        target = Export(target.module, reader.next().text)
    if target is None or not reader.take("("):
        return None
    arguments = tuple(reader.items(")"))
    return (target, arguments) if _is_whole(list(arguments)) else None
