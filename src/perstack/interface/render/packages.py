"""What a package brings, and what an update of it changes, for a terminal: words first, then rights by themselves.

Every text is somebody else's: control characters and what people cannot see are written out, never sent on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import click

from perstack import api
from perstack.core.experts import BASE_SKILL, Expert
from perstack.core.json import JsonObject
from perstack.interface.render.facts import visible

_BASE = "base tool "


def brought(proposal: api.Proposal) -> Iterator[str]:
    """Everything that a new dependency brings, line by line."""
    yield _headline("brings", proposal)
    for expert in proposal.experts.values():
        yield ""
        yield click.style(f"{expert.key}  {expert.version}", bold=True) + _tier(expert)
        yield from _indented(expert.description or "(no description)", "  ")
        yield from _indented(_words(expert), "  │ ")
    yield ""
    yield click.style("PERMISSIONS", bold=True, fg="yellow")
    for expert in proposal.experts.values():
        yield f"  {expert.key}"
        rights = api.permissions(expert)
        tools = [right.removeprefix(_BASE) for right in rights if right.startswith(_BASE)]
        yield click.style(f"    base tools: {', '.join(tools) or 'none'}", fg="red" if "exec" in tools else None)
        for right in (right for right in rights if not right.startswith(_BASE)):
            yield click.style(f"    {visible(right)}", fg="red" if right.startswith('skill "') else None)
    if proposal.package.left_out:
        yield ""
        yield f"Not taken, because only experts are: {visible(', '.join(proposal.package.left_out))}"


def changed(proposal: api.Proposal) -> Iterator[str]:
    """What is another than before: texts as a diff, then what may be done now that could not, then the rest."""
    before = proposal.before or {}
    yield _headline("changes", proposal)
    for key in (key for key in before if key not in proposal.experts):
        yield click.style(f"- expert {key} is gone", fg="red")
    for key, expert in proposal.experts.items():
        old = before.get(key)
        if old is None:
            yield click.style(f"+ expert {key} is new", fg="green")
        yield from _diff(key, _all_words(old) if old else "", _all_words(expert))
    yield ""
    yield click.style("PERMISSIONS", bold=True, fg="yellow")
    rights = tuple(_rights(before, proposal.experts))
    yield from rights or ("  unchanged",)


def as_json(proposal: api.Proposal) -> JsonObject:
    """The same as data."""
    before = proposal.before or {}
    return {
        "name": proposal.name,
        "source": proposal.source,
        "commit": proposal.commit,
        "digest": proposal.package.digest,
        "changed": not proposal.is_same,
        "note": proposal.note,
        "notTaken": list(proposal.package.left_out),
        "experts": [
            {
                "key": key,
                "version": expert.version,
                "description": expert.description,
                "instruction": expert.instruction,
                "permissions": list(api.permissions(expert)),
                "newPermissions": [
                    right
                    for right in api.permissions(expert)
                    if key not in before or right not in api.permissions(before[key])
                ],
            }
            for key, expert in proposal.experts.items()
        ],
    }


def _headline(verb: str, proposal: api.Proposal) -> str:
    at = f" at {proposal.commit[:12]}" if proposal.commit else ""
    since = f" (was {proposal.before_commit[:12]})" if proposal.before_commit not in {"", proposal.commit} else ""
    number = len(proposal.experts)
    what = f" {number} expert{'' if number == 1 else 's'}" if verb == "brings" else ""
    digest = proposal.package.digest[:19]
    return click.style(f"{proposal.name}: {proposal.source}{at}{since} {verb}{what}, {digest}…", bold=True)


def _tier(expert: Expert) -> str:
    return f"  [{expert.default_model_tier}]" if expert.default_model_tier else ""


def _indented(text: str, mark: str) -> Iterator[str]:
    for line in visible(text.strip("\n")).split("\n"):
        yield f"{mark}{line}"


def _words(expert: Expert) -> str:
    """What a model reads: the instruction, and what skills say to it."""
    parts = [expert.instruction.strip("\n")]
    for name, skill in expert.skills.items():
        if name != BASE_SKILL or skill.rule or skill.description:
            parts += [f"({name}) {text}" for text in (skill.description, skill.rule) if text]
            parts += [f"({name}: {tool}) {about}\n{schema}" for tool, (about, schema) in skill.tools.items()]
    return "\n".join(parts)


def _all_words(expert: Expert) -> str:
    head = f"version {expert.version}, tier {expert.default_model_tier or 'default'}, tags {', '.join(expert.tags)}"
    return f"{head}\n{expert.description}\n\n{_words(expert)}"


def _diff(key: str, old: str, new: str) -> Iterator[str]:
    was, now = visible(old).split("\n"), visible(new).split("\n")
    for line in difflib.unified_diff(was, now, key, key, lineterm="", n=2):
        colour = {"+": "green", "-": "red"}.get(line[:1])
        yield click.style(line, fg=colour) if colour else line


def _rights(before: Mapping[str, Expert], now: Mapping[str, Expert]) -> Iterator[str]:
    for key in dict.fromkeys((*now, *before)):
        had = set(api.permissions(before[key])) if key in before else set()
        has = set(api.permissions(now[key])) if key in now else set()
        for right in sorted(has - had):
            yield click.style(f"  NEW   {key}: {visible(right)}", fg="red", bold=True)
        for right in sorted(had - has):
            yield f"  gone  {key}: {visible(right)}"
