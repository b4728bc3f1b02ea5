"""`make attack-suite`, `python -m tests.attacks.ladder`: every case, two processes, then the tables.

Ends with 1 where an attack is accepted, an honest patch refused, or a reason does not fit, and with 3 where that is
not so, but cases could not be run: their tool chain is not on this machine, or a worker broke. Progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import anyio

from tests.attacks.ladder.collect import LANGUAGES, collect
from tests.attacks.ladder.record import Case, Result
from tests.attacks.ladder.suite import run_cases
from tests.attacks.ladder.table import as_markdown, as_text, write_document

_PROCESSES, _PART = 2, 40
_NOT_AS_IT_SHOULD_BE, _NO_SUCH_CASE, _NOT_ALL_RAN = 1, 2, 3
_DOCUMENT = Path(__file__).parents[3] / "docs" / "attack-suite.md"


def main() -> int:
    """Run what was asked for."""
    given = _options()
    if given.worker:
        keys = json.loads(sys.stdin.readline())
        anyio.run(lambda: run_cases(keys, _say, languages=given.language, ladder=not given.no_ladder))
        return 0
    results: list[Result] = []
    missing: list[str] = []
    if given.load:
        results = [_read(line) for line in given.load.read_text().splitlines()]
    else:
        chosen = _chosen(given.language, given.only)
        if not chosen:
            _print("attack-suite: no case has such a name", sys.stderr)
            return _NO_SUCH_CASE
        results = _saved(given.save, {case.key for case in chosen})
        known = {result.key for result in results}
        left, missing = _possible([case for case in chosen if case.key not in known])
        found, broken = _run(left, ladder=not given.no_ladder, save=given.save)
        results, missing = results + found, missing + broken
    order = {case.key: place for place, case in enumerate(collect({result.language for result in results}))}
    results.sort(key=lambda result: order.get(result.key, len(order)))
    if given.json:
        _print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        _print(as_markdown(results) if given.markdown else as_text(results))
    if given.document:
        write_document(_DOCUMENT, results)
    for sentence in missing:
        _print(f"attack-suite: {sentence}", sys.stderr)
    if not all(result.good for result in results):
        return _NOT_AS_IT_SHOULD_BE
    return _NOT_ALL_RAN if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make attack-suite", description=__doc__.splitlines()[0] if __doc__ else "")
    language = parser.add_argument("--language", action="append", default=[], help="only these; may be given again")
    language.choices = LANGUAGES
    parser.add_argument("--only", action="append", default=[], help="only cases with this in `world/name`")
    parser.add_argument("--no-ladder", action="store_true", help="only the whole protocol, no other rung")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--markdown", action="store_true", help="tables as Markdown")
    parser.add_argument("--document", action="store_true", help="also write the tables into docs/attack-suite.md")
    parser.add_argument("--save", type=Path, help="keep results in this file, and run only what it does not have")
    parser.add_argument("--load", type=Path, help="show results saved before instead of running anything")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _chosen(languages: Sequence[str], words: Sequence[str]) -> list[Case]:
    return [
        case
        for case in collect()
        if (not languages or case.world.language in languages)
        and (not words or any(word in case.key for word in words))
    ]


def _saved(path: Path | None, keys: Collection[str]) -> list[Result]:
    """What an earlier run left in the file."""
    if path is None or not path.is_file():
        return []
    return [result for result in map(_read, path.read_text().splitlines()) if result.key in keys]


def _possible(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """The cases that this machine can run, and a sentence about each world that it cannot."""
    worlds = {case.world.name: case.world for case in cases}
    reasons = {name: reason for name, world in worlds.items() if (reason := world.missing())}
    left = [case for case in cases if case.world.name not in reasons]
    counts = {name: sum(case.world.name == name for case in cases) for name in reasons}
    return left, [
        f"{worlds[name].language}: the {counts[name]} cases of `{name}` did not run: {reason}"
        for name, reason in reasons.items()
    ]


def _run(cases: Sequence[Case], *, ladder: bool, save: Path | None) -> tuple[list[Result], list[str]]:
    """Deal the cases out to worker processes; a worker measures the base of its world once. Also what broke."""
    found: list[Result] = []
    by_world: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        by_world.setdefault((case.world.name, case.world.language), []).append(case.key)
    parts = [
        (language, keys[start : start + _PART])
        for (_, language), keys in by_world.items()
        for start in range(0, len(keys), _PART)
    ]

    def hear(line: str) -> None:
        result = _read(line)
        found.append(result)
        if save is not None:
            with save.open("a") as file:
                file.write(line)
        mark = "ok" if result.good else "NOT AS IT SHOULD BE"
        _print(f"{len(found)}/{len(cases)} {result.key}: {result.verdict}, {mark}", sys.stderr)

    def work(language: str, keys: Sequence[str]) -> str:
        argv = [sys.executable, "-m", "tests.attacks.ladder", "--worker", "--language", language]
        argv += [] if ladder else ["--no-ladder"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(keys) + "\n")
            process.stdin.close()
            for line in process.stdout:
                hear(line)
        lost = set(keys) - {result.key for result in found}
        if not lost:
            return ""
        code = process.returncode
        return f"{language}: a worker ended with exit code {code} before {len(lost)} of its cases; see above"

    with ThreadPoolExecutor(_PROCESSES) as pool:
        done = [pool.submit(work, *part) for part in parts]
        broken = [sentence for part in done if (sentence := part.result())]
    return found, broken


def _print(text: str, file: TextIO | None = None) -> None:
    (file or sys.stdout).write(f"{text}\n")
    (file or sys.stdout).flush()


def _say(result: Result) -> None:
    _print(json.dumps(asdict(result)))


def _read(line: str) -> Result:
    fields = json.loads(line)
    return Result(**{**fields, "codes": tuple(fields["codes"])})


if __name__ == "__main__":
    sys.exit(main())
