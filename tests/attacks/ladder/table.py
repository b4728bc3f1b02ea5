"""The suite's tables, for a terminal of 100 columns and as Markdown. Pure but for writing the document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.attacks.ladder.record import Result
from tests.attacks.ladder.rungs import RUNGS, accepted_by

BEGIN, END = "<!-- generated: make attack-suite -->", "<!-- end of generated -->"
_NAME, _WIDTH = 58, 100


def totals(results: Iterable[Result]) -> tuple[int, int, int, int]:
    """Attacks stopped, attacks, honest patches accepted, honest patches."""
    every = list(results)
    attacks = [result for result in every if result.attack]
    honest = [result for result in every if not result.attack]
    return (
        sum(not result.accepted for result in attacks),
        len(attacks),
        sum(result.accepted for result in honest),
        len(honest),
    )


def languages(results: Iterable[Result]) -> list[str]:
    """In the order of their first cases."""
    return list(dict.fromkeys(result.language for result in results))


def ladder(results: Sequence[Result]) -> list[tuple[str, str, str, str]]:
    """Rows: rung, what it is, attacks accepted, honest accepted. Who was not asked at the lowest rung is left out."""
    climbing = {_world(result) for result in results if result.rungs.get("G1") is not None}
    whole = [result for result in results if _world(result) in climbing and result.rungs.get("G0") is not None]
    rows = []
    for name, words in RUNGS.items():
        sides = [[r for r in whole if r.attack], [r for r in whole if not r.attack]]
        counts = [f"{sum(accepted_by(r.rungs, name) for r in side)}/{len(side)}" for side in sides]
        rows.append((name, words, *counts))
    return [(name, words, attacks, honest) for name, words, attacks, honest in rows]


def as_text(results: Sequence[Result]) -> str:
    """Everything, for people at a terminal."""
    lines: list[str] = []
    for language in languages(results):
        own = [result for result in results if result.language == language]
        lines += ["", f"{language}", "-" * _WIDTH]
        lines += [_line(result) for result in own]
        stopped, attacks, accepted, honest = totals(own)
        lines += [f"{language}: attacks stopped {stopped}/{attacks}, honest patches accepted {accepted}/{honest}"]
    if rows := _shown_ladder(results):
        lines += ["", "What a gate of each strength accepts (Python, pytest)", "-" * _WIDTH]
        lines += [
            f"{name:<4} {words:<62} attacks {attacks:>9}  honest {honest:>6}" for name, words, attacks, honest in rows
        ]
    lines += ["", f"{'language':<12} {'attacks stopped':>16} {'honest accepted':>16} {'seconds':>9}", "-" * _WIDTH]
    for language in languages(results):
        stopped, attacks, accepted, honest, seconds = _summary(results, language)
        lines += [f"{language:<12} {f'{stopped}/{attacks}':>16} {f'{accepted}/{honest}':>16} {seconds:>9.0f}"]
    bad = [result for result in results if not result.good]
    if bad:
        lines += ["", "Not as it should be:"]
        lines += [f"  {r.key}: {r.verdict}, {', '.join(r.codes) or 'no reason'}" for r in bad]
    stopped, attacks, accepted, honest = totals(results)
    lines += ["", f"all: attacks stopped {stopped}/{attacks}, honest patches accepted {accepted}/{honest}"]
    return "\n".join(lines).lstrip("\n")


def as_markdown(results: Sequence[Result]) -> str:
    """The same for docs/attack-suite.md."""
    lines = ["| language | attacks stopped | honest patches accepted | seconds of one worker |", "|---|---|---|---|"]
    for language in languages(results):
        stopped, attacks, accepted, honest, seconds = _summary(results, language)
        lines.append(f"| {language} | {stopped}/{attacks} | {accepted}/{honest} | {seconds:.0f} |")
    if rows := _shown_ladder(results):
        lines += ["", "| rung | what a gate trusts | attacks accepted | honest accepted |", "|---|---|---|---|"]
        lines += [f"| {name} | {words} | {attacks} | {honest} |" for name, words, attacks, honest in rows]
    for language in languages(results):
        lines += ["", f"### {language}", "", "| case | kind | stopped at | reasons |", "|---|---|---|---|"]
        for r in results:
            if r.language == language:
                kind, where = ("attack", r.stopped_at or "nowhere") if r.attack else ("honest", "accepted")
                where = where if r.attack or r.accepted else "REFUSED"
                lines.append(f"| `{r.key}` | {kind} | {where} | {', '.join(f'`{code}`' for code in r.codes[:3])} |")
    return "\n".join(lines)


def write_document(path: Path, results: Sequence[Result]) -> None:
    """Replace the generated part of the page."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{as_markdown(results)}\n\n{END}{tail}", encoding="utf-8")


def _summary(results: Sequence[Result], language: str) -> tuple[int, int, int, int, float]:
    own = [result for result in results if result.language == language]
    return (*totals(own), sum(result.seconds for result in own))


def _line(result: Result) -> str:
    name = result.key if len(result.key) <= _NAME else result.key[: _NAME - 1] + "…"
    if not result.attack:
        said = "honest: accepted" if result.accepted else f"honest: REFUSED ({', '.join(result.codes)})"
    elif result.accepted:
        said = "ATTACK ACCEPTED"
    else:
        said = f"{result.stopped_at:<3} {', '.join(result.codes)}"
        said += "" if result.fitting else " (another reason was expected)"
    room = _WIDTH - _NAME - 1
    return f"{name:<{_NAME}} {said if len(said) <= room or not result.good else said[: room - 1] + '…'}"


def _shown_ladder(results: Sequence[Result]) -> list[tuple[str, str, str, str]]:
    return ladder(results) if any(result.rungs.get("G1") is not None for result in results) else []


def _world(result: Result) -> str:
    return result.key.partition("/")[0]
