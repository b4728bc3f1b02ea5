"""The lines that failing signals name, with what is around them: what a fix is most likely about. Pure.

Stack traces and diagnostics are found in text by their form. Nothing here gates: a slice is advice, and its text is
untrusted data that the caller fences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from perstack.context.retrieval.outline import Outline
from perstack.context.retrieval.repository_map import tokens
from perstack.core.signals import Diagnostic, TestCase

WINDOW = 6
"""Lines shown before and after a named line where no function is known around it, or it is too long."""

MAX_FUNCTION = 60
MAX_PLACES = 200

_MOST_TEXT = 200_000
_MOST_LINE = 400
_FUNCTIONS = frozenset({"function", "method", "constructor"})
_PYTHON = re.compile(r'File "([^"\n]{1,300})", line (\d{1,7})')
_JAVA = re.compile(r"\bat ([\w$.]{1,300})\.[\w$<>]{1,100}\((\w{1,100}\.(?:java|kt|scala)):(\d{1,7})\)")
_PLAIN = re.compile(r"(?<![\w./\\@+~-])((?:file://)?[\w./\\@+~-]{1,300}\.\w{1,6})(?::(\d{1,7})|\((\d{1,7}),\d{1,5}\))")
_FOREIGN = (
    "site-packages/", "dist-packages/", "node_modules/", ".cargo/registry/", "/rustc/", "/go/pkg/mod/", "node:",
    "/usr/lib/", "/usr/include/", "lib/python3",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the repository that a failure names. `why` is the test or the diagnostic, in one line."""

    path: str
    line: int
    why: str


def places(
    failing: Sequence[TestCase], diagnostics: Sequence[Diagnostic], output: str, files: Collection[str]
) -> tuple[Place, ...]:
    """Places in `files`, in order of use: errors of compilers first, then of each failure in turn the frame nearest
    to it, the next one, … Frames of libraries are left out. `output` counts only where nothing else names a place.
    """
    known = _Known(files)
    found = [
        Place(path, each.line, f"{each.severity}: {each.message}")
        for each in sorted(diagnostics, key=lambda each: each.severity != "error")
        if each.line and (path := known.find(each.path))
    ]
    traces = [_of_test(case, known) for case in failing]
    found += [place for row in zip_longest(*traces) for place in row if place is not None]
    if not found:
        found = [Place(path, line, "output of the failing signal") for path, line in frames(output, known.find)]
    first: dict[tuple[str, int], Place] = {}
    for place in found:
        first.setdefault((place.path, place.line), place)
    return tuple(first.values())[:MAX_PLACES]


def frames(text: str, find: Callable[[str], str]) -> list[tuple[str, int]]:
    """Paths and lines that a text names, nearest to the failure first; `find` says "" for what is no project file.

    Python tells the innermost frame last, all others first.
    """
    text = text[-_MOST_TEXT:]
    seen = [(match.start(), match[1], int(match[2])) for match in _PYTHON.finditer(text)]
    seen += [(match.start(), _java_path(match[1], match[2]), int(match[3])) for match in _JAVA.finditer(text)]
    seen += [(match.start(), match[1], int(match[2] or match[3])) for match in _PLAIN.finditer(text)]
    located = [(path, line) for _, named, line in sorted(seen) if line and (path := find(named))]
    if located and all(path.endswith((".py", ".pyi")) for path, _ in located):
        located.reverse()
    return list(dict.fromkeys(located))


def render(
    wanted: Sequence[Place], read: Callable[[str], bytes | None], outlines: Mapping[str, Outline], *, budget: int
) -> str:
    """The places' lines with their functions (or some lines around), `>` before a named one, in at most `budget`
    tokens. Places in one stretch are told once; what does not fit is left out from the end.
    """
    made: list[str] = []
    left = budget
    for path, first, last, inside in _stretches(wanted, read, outlines):
        data = read(path)
        if data is None:
            continue
        text = data.decode("utf-8", "replace").splitlines()
        named = {place.line for place in inside}
        head = f"{path}:{first}-{last}  ({_one_line(inside[0].why)})"
        body = [f"{'>' if n in named else ' '}{n:5} {text[n - 1][:_MOST_LINE]}" for n in range(first, last + 1)]
        part = "\n".join((head, *body)) + "\n"
        if tokens(part) > left:
            near = [line for n, line in zip(range(first, last + 1), body, strict=True) if _near(n, named)]
            part = "\n".join((head, *near)) + "\n"
        if tokens(part) > left:
            continue
        made.append(part)
        left -= tokens(part) + 1
    return "\n".join(made)


def _java_path(qualified_class: str, name: str) -> str:
    package, dot, _ = qualified_class.rpartition(".")
    return f"{package.replace('.', '/')}/{name}" if dot else name


def _near(line: int, named: Iterable[int]) -> bool:
    return any(abs(line - each) <= 2 for each in named)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]


def _of_test(case: TestCase, known: _Known) -> list[Place]:
    why = f"{case.id} [{case.status}]"
    found = [Place(path, line, why) for path, line in frames(case.message, known.find)]
    if case.path and case.line and (path := known.find(case.path)):
        found.append(Place(path, case.line, why))
    return found


def _stretches(
    wanted: Sequence[Place], read: Callable[[str], bytes | None], outlines: Mapping[str, Outline]
) -> list[tuple[str, int, int, list[Place]]]:
    """Lines to show, in the places' order, overlapping ones joined with the earliest."""
    made: list[tuple[str, int, int, list[Place]]] = []
    lengths: dict[str, int] = {}
    for place in wanted:
        if place.path not in lengths:
            lengths[place.path] = len((read(place.path) or b"").decode("utf-8", "replace").splitlines())
        length = lengths[place.path]
        if place.line > length:
            continue
        first, last = _around(place, outlines.get(place.path))
        first, last = max(1, first), min(length, last)
        for n, (path, start, end, inside) in enumerate(made):
            if path == place.path and first <= end + 1 and start <= last + 1:
                made[n] = (path, min(start, first), max(end, last), [*inside, place])
                break
        else:
            made.append((place.path, first, last, [place]))
    return made


def _around(place: Place, outline: Outline | None) -> tuple[int, int]:
    function = outline.around(place.line, kinds=_FUNCTIONS) if outline else None
    if function is not None and function.end - function.line < MAX_FUNCTION:
        return function.line, function.end
    return place.line - WINDOW, place.line + WINDOW


class _Known:
    """Finds the repository's file that a trace means: traces name them from elsewhere (`/workspace/src/a.py`)."""

    def __init__(self, files: Collection[str]) -> None:
        self._files = frozenset(files)
        self._by_name: dict[str, list[str]] = {}

    def find(self, named: str) -> str:
        """The one file that is meant; "" for a library's, an unknown or an ambiguous one."""
        path = named.removeprefix("file://").replace("\\", "/").removeprefix("./")
        if any(part in path for part in _FOREIGN):
            return ""
        parts = path.split("/")
        for n in range(len(parts)):
            tail = "/".join(parts[n:])
            if tail in self._files:
                return tail
        # A bare name, or a package's path below a source folder: only where one file ends so.
        ends = [each for each in self._called(parts[-1]) if f"/{each}".endswith(f"/{path.lstrip('/')}")]
        return ends[0] if len(ends) == 1 and not path.startswith("/") else ""

    def _called(self, name: str) -> list[str]:
        """Files of a name, in any folder."""
        if not self._by_name:
            for path in self._files:
                self._by_name.setdefault(path[path.rfind("/") + 1 :], []).append(path)
        return self._by_name.get(name, [])
