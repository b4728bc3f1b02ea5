"""What a Go test binary and the go command say: outcomes from marked lines, names of tests from sources. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perstack.core.json import JsonObject
from perstack.core.signals import TestStatus
from perstack.signals.suites.programs import Outcome

_MARK = "\x16"  # with -test.v=test2json every line of the runner begins with it, wherever a test left the cursor
_VERDICT = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)")
_CURRENT = re.compile(r"=== (?:RUN|NAME|CONT|PAUSE) *(\S*)")
_STATUS = {"PASS": TestStatus.PASSED, "FAIL": TestStatus.FAILED, "SKIP": TestStatus.SKIPPED}
_SKIPPED_TEXT = re.compile(r"`[^`]*`|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"^func[ \t]+((?:Test|Fuzz|Example)\w*)[ \t]*\(([^)]*)\)", re.MULTILINE)
_FRAMES = str.maketrans("", "", "\x0e\x0f")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of `go list`. Folders and files are relative to the repository, as the sandbox sees it."""

    path: str
    name: str
    folder: str
    tests: tuple[str, ...]
    outer_tests: tuple[str, ...]
    error: str = ""


def read_outcomes(stdout: bytes) -> Mapping[str, Outcome]:
    """Outcomes of all tests and subtests. Two outcomes of one test, or a start without one, are an error."""
    found: dict[str, Outcome] = {}
    said: dict[str, list[str]] = {}
    open_ones: set[str] = set()
    current = ""
    for part in stdout.decode("utf-8", "replace").translate(_FRAMES).split(_MARK)[1:]:
        line, _, rest = part.partition("\n")
        verdict, running = _VERDICT.match(line), _CURRENT.match(line)
        if verdict:
            current = verdict[2]
            open_ones.discard(current)
            twice = current in found
            status = TestStatus.ERROR if twice else _STATUS[verdict[1]]
            found[current] = Outcome(status, "two results were reported for it" if twice else "", float(verdict[3]))
        elif running:
            current = running[1]
            if line.startswith("=== RUN"):
                open_ones.add(current)
        said.setdefault(current, []).append(rest)
    for name in open_ones - found.keys():
        found[name] = Outcome(TestStatus.ERROR, "it began and gave no result")
    return {
        name: Outcome(o.status, "\n".join(filter(None, [o.message, "".join(said.get(name, [])).strip()])), o.seconds)
        for name, o in found.items()
    }


def read_packages(stdout: bytes, workspace: str) -> Sequence[Package]:
    """The packages of `go list -json` that lie in the workspace and have tests or an error."""
    found = []
    for item in _documents(stdout.decode("utf-8", "replace")):
        folder = str(item.get("Dir", ""))
        if folder != workspace and not folder.startswith(f"{workspace}/"):
            continue
        problem = item.get("Error")
        package = Package(
            path=str(item.get("ImportPath", "")),
            name=str(item.get("Name", "")),
            folder=folder[len(workspace) :].lstrip("/") or ".",
            tests=_names(item.get("TestGoFiles")),
            outer_tests=_names(item.get("XTestGoFiles")),
            error=str(problem.get("Err", "")) if isinstance(problem, dict) else "",
        )
        if package.tests or package.outer_tests:
            found.append(package)
    return found


def _documents(text: str) -> Iterator[JsonObject]:
    decoder, at = json.JSONDecoder(), 0
    while (start := text.find("{", at)) >= 0:
        try:
            item, at = decoder.raw_decode(text, start)
        except ValueError:
            return
        if isinstance(item, dict):
            yield item


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list) else ()


def test_functions(source: str) -> Sequence[str]:
    """Names of the tests, fuzz tests and examples that a test file defines, in order."""
    plain = _SKIPPED_TEXT.sub(lambda match: "\n" * match[0].count("\n") + " ", source)
    return [name for name, parameters in _FUNCTION.findall(plain) if _is_test(name, parameters)]


def _is_test(name: str, parameters: str) -> bool:
    kind = next(prefix for prefix in ("Test", "Fuzz", "Example") if name.startswith(prefix))
    rest = name[len(kind) :]
    if name == "TestMain" or rest[:1].islower():
        return False
    return not parameters.strip() if kind == "Example" else bool(parameters.strip())


test_functions.__test__ = False  # type: ignore[attr-defined]  # keeps pytest from collecting it
