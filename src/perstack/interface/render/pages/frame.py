"""What all texts share: parts put together within a limit, sentences, links, quotations, numbers. Knows no story."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote as percent_encode

from perstack.core.usage import ModelUsage, Usage
from perstack.forge.limits import shorten, utf8_bytes, utf16_units
from perstack.forge.sanitise import neutralise
from perstack.interface.render import facts

FOOTER = "<sub>Perstack: only signals decide; nothing a model says can turn this green.</sub>"
ROOM = 46_000  # UTF-16 units of a comment; the forge takes 65,536, and what we hide in it up to a quarter of that
CHECK_ROOM = 60_000  # of a check run's text; the forge takes 65,535, and notes need some
SUMMARY_ROOM = 900_000  # bytes of a job summary; the runner takes 1 MiB of all that a step writes
MAX_SOFT = 5_000
MAX_WARNINGS = 10
_MOST_MODELS = 6
_BLOCK = re.compile(r"\s*(?:~~~|```|[#>=|<]|[-*+_](?:\s|[-*_]|$))")  # starts something else than a paragraph


def compose(
    parts: Sequence[str], footer: str = FOOTER, *, room: int = ROOM, size: Callable[[str], int] = utf16_units
) -> str:
    """A text of these parts, in order. What does not fit is left out as a whole and counted."""
    kept: list[str] = []
    left_out = 0
    for part in (p for p in parts if p):
        needed = size(part) + 2
        if needed > room:
            left_out += 1
            continue
        kept.append(part)
        room -= needed
    note = f"*{facts.count(left_out, 'section')} did not fit here; the evidence has everything.*" if left_out else ""
    return join(*kept, note, footer)


def compose_summary(parts: Sequence[str]) -> str:
    """The same for a job summary, which has more room and counts bytes."""
    return compose(parts, room=SUMMARY_ROOM, size=utf8_bytes)


def join(*parts: str) -> str:
    """Paragraphs, without the empty ones."""
    return "\n\n".join(part for part in parts if part)


def sentence(text: str, limit: int = 600, *, capital: bool = False) -> str:
    """Text of ours that may quote what others wrote: a paragraph, whatever it starts with."""
    text = facts.prose(text, limit)
    if _BLOCK.match(text):
        return f"\u200b{text}"
    return text[:1].upper() + text[1:] if capital else text


def link(name: str, url: str) -> str:
    """A link of ours; the address cannot leave its place."""
    return f"[{name}]({percent_encode(url, safe=':/?#[]@!$&*+,;=%~-._')})"


def links(*pairs: tuple[str, str]) -> tuple[str, ...]:
    """Links for those pairs of name and address that have an address."""
    return tuple(link(name, url) for name, url in pairs if url)


def line(*parts: str) -> str:
    """Facts on one line."""
    return " · ".join(part for part in parts if part)


def asked_by(actor: str) -> str:
    """Who asked; a login in code notifies nobody."""
    return f"asked by {facts.code(actor, 40)}" if actor else ""


def soft(text: str) -> str:
    """What a model wrote, quoted. Line breaks as written: a list without blank lines stays a list of lines."""
    return "\n".join(f"> {one.rstrip()}  " for one in shorten(neutralise(text[:20_000]), MAX_SOFT).splitlines())


def warnings_fold(warnings: Sequence[str]) -> str:
    """What is wrong with configuration or request, folded; empty for nothing."""
    if not warnings:
        return ""
    lines = "\n".join(f"- {facts.prose(one, 300)}" for one in warnings[:MAX_WARNINGS])
    return facts.details(facts.count(len(warnings), "warning"), lines)


def spent(usage: Usage, cost_usd: float | None, seconds: float = 0.0) -> str:
    """Tokens, money and time in a few words."""
    tokens = f"{usage.input_tokens:,} tokens in{cached(usage)}, {usage.output_tokens:,} out"
    tokens = tokens if usage.total_tokens else "no tokens"
    return ", ".join(filter(None, (tokens, money(cost_usd), f"{seconds:.0f} s" if seconds else "")))


def cached(usage: Usage) -> str:
    """How much of what was read came from a cache; empty for nothing."""
    return f" ({usage.cached_share:.0%} from cache)" if usage.cached_input_tokens else ""


def by_model(models: Sequence[ModelUsage]) -> list[str]:
    """A line for each model: what it used, and how often a reply of it had to be put right."""
    lines = []
    for one in models[:_MOST_MODELS]:
        written = one.usage.cache_written_tokens
        words = [
            facts.count(one.replies, "call") if one.replies else "",
            spent(one.usage, one.cost_usd),
            f"{written:,} written to the cache" if written else "",
            f"{one.usage.estimated_tokens:,} of the tokens estimated" if one.usage.estimated_tokens else "",
            facts.count(one.repairs, "repair") if one.repairs else "",
        ]
        lines.append(f"- model {facts.code(one.model, 80)}: {', '.join(filter(None, words))}")
    return lines


def money(cost_usd: float | None) -> str:
    """US dollars; empty where the price is not known."""
    if cost_usd is None:
        return ""
    return f"${cost_usd:,.2f}" if cost_usd >= 0.01 or not cost_usd else "less than $0.01"
