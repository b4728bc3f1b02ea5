"""The table of `docs/threat-model.md`: attack → test → result on each back end, from marks and recorded results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.threats.catalogue import GROUPS
from tests.threats.marks import ROOT, marked
from tests.threats.recording import BACK_ENDS, ENGINES

PAGE = ROOT / "docs" / "threat-model.md"
RESULTS = Path(__file__).with_name("results.json")
BEGIN = "<!-- threats: written by `python -m tests.threats` -->"
END = "<!-- end of threats -->"
_ENGINES_TEXT = (
    "Recorded by hand with `DOCKER_HOST` and `--record-as`: CI has none of these engines. Only attacks that "
    "Docker's back end decides are here; the others never see an engine."
)
_PLACES = (*BACK_ENDS, "harness")
_HEAD = "| | attack | test | Docker | bubblewrap | host | harness |"
_WORDS = {"passed": "holds", "failed": "**does not hold**", "skipped": "not run"}


def table() -> str:
    """Everything between the markers."""
    recorded = json.loads(RESULTS.read_text("utf-8"))
    lines = [
        f"Last results recorded on {recorded['date']}. `harness`: the same on every back end. –: not tried there.",
        "On `host` nothing isolates, so few attacks on the sandbox are tried there.",
    ]
    tests = marked()
    for title, threats in GROUPS.items():
        lines += [
            "",
            f"### {title}",
            "",
            _HEAD,
            "|" + "---|" * 7,
        ]
        lines += [_row(name, words, tests.get(name, ()), recorded["tests"]) for name, words in threats.items()]
    return "\n".join([*lines, *_other_engines(tests, recorded)])


def written(page: str) -> str:
    """The page with a fresh table. Raises: ValueError where its markers are gone."""
    head, _, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no {BEGIN} … {END}")
    return f"{head}{BEGIN}\n{table()}\n{end}{tail}"


def _row(name: str, words: str, tests: Sequence[str], recorded: Mapping[str, Mapping[str, str]]) -> str:
    shown = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests) or "none"
    cells = [_result([recorded.get(test, {}).get(place, "") for test in tests]) for place in _PLACES]
    return f"| {name} | {words} | {shown} | {' | '.join(cells)} |"


def _other_engines(tests: Mapping[str, Sequence[str]], recorded: Mapping[str, Any]) -> Iterator[str]:
    """A second table: the same attacks with another engine in Docker's place."""
    about, results = recorded.get("engines", {}), recorded["tests"]
    yield from ("", "### Other engines in Docker's place", "", _ENGINES_TEXT, "")
    yield from (f"| | attack | {' | '.join(ENGINES)} |", "|" + "---|" * (2 + len(ENGINES)))
    yield f"| | what ran, and when | {' | '.join(_about(about.get(name, {})) for name in ENGINES)} |"
    for threats in GROUPS.values():
        for name, words in threats.items():
            own = [results.get(test, {}) for test in tests.get(name, ())]
            cells = [_result([found.get(engine, "") for found in own]) for engine in ENGINES]
            if set(cells) != {"–"}:
                yield f"| {name} | {words} | {' | '.join(cells)} |"
    for engine in ENGINES:
        failed = [f"`{test.partition('::')[2]}`" for test, found in results.items() if found.get(engine) == "failed"]
        if failed:
            why = about.get(engine, {}).get("why") or "looked into by nobody yet."
            yield from ("", f"What does not hold on {engine} ({', '.join(failed)}): {why}")


def _about(engine: Mapping[str, str]) -> str:
    return f"{engine['what']}; {engine['date']}" if engine else "–"


def _result(outcomes: Sequence[str]) -> str:
    """The worst of what is known."""
    return next((_WORDS[word] for word in ("failed", "skipped", "passed") if word in outcomes), "–")
