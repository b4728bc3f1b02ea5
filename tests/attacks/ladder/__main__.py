"""`make attack-suite`, `python -m tests.attacks.ladder`: every case, two processes, then the tables.

Ends with 1 where an attack is accepted, an honest patch refused, or a reason does not fit. Progress on stderr.
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
_DOCUMENT = Path(__file__).parents[3] / "docs" / "attack-suite.md"


def main() -> int:
    """Run what was asked for."""
    given = _options()
    if given.worker:
        keys = json.loads(sys.stdin.readline())
        anyio.run(lambda: run_cases(keys, _say, languages=given.language, ladder=not given.no_ladder))
        return 0
    results: list[Result] = []
    if given.load:
        results = [_read(line) for line in given.load.read_text().splitlines()]
    else:
        chosen = _chosen(given.language, given.only)
        results = _saved(given.save, {case.key for case in chosen})
        known = {result.key for result in results}
        left = [case for case in chosen if case.key not in known]
        results += _run(left, ladder=not given.no_ladder, save=given.save)
    if not results:
        _print("attack-suite: no case has such a name", sys.stderr)
        return 2
    order = {case.key: place for place, case in enumerate(collect({result.language for result in results}))}
    results.sort(key=lambda result: order.get(result.key, len(order)))
    if given.json:
        _print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        _print(as_markdown(results) if given.markdown else as_text(results))
    if given.document:
        write_document(_DOCUMENT, results)
    return 0 if all(result.good for result in results) else 1


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


def _run(cases: Sequence[Case], *, ladder: bool, save: Path | None) -> list[Result]:
    """Deal the cases out to worker processes; a worker measures the base of its world once."""
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

    def work(language: str, keys: Sequence[str]) -> None:
        argv = [sys.executable, "-m", "tests.attacks.ladder", "--worker", "--language", language]
        argv += [] if ladder else ["--no-ladder"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(keys) + "\n")
            process.stdin.close()
            for line in process.stdout:
                hear(line)
        if process.returncode:
            raise SystemExit(f"attack-suite: a worker ended with exit code {process.returncode}; see above")

    with ThreadPoolExecutor(_PROCESSES) as pool:
        for done in [pool.submit(work, *part) for part in parts]:
            done.result()
    return found


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
