"""What a model can do: how much it reads and writes, whether it sees images and PDF, how it is told to reason.

From the price data and a small table (of two windows the smaller one), else unknown: `None`, never a guess. A
configuration may say otherwise. Asks no server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from perstack.core.json import Json
from perstack.providers.prices import known_window

UNKNOWN_REPLY = 8192
"""Tokens of a reply, reasoning not counted, where a model's limit is not known: every current server takes it."""
_LONGEST_REPLY = 32_000  # what a step is ever asked for: longer ones are a runaway, not an answer
_PLATFORM = re.compile(r"^(?:[a-z]+\.)?anthropic\.|^(?:google|models|openai)/|^accounts/[^/]+/models/")
_WITHOUT_PDF = frozenset({"google", "google-vertex", "deepseek", "fireworks", "ollama", "openai-compatible"})
"""Providers whose protocol, as it is spoken here, carries no PDF. Vertex does for Anthropic's models only.

Of a provider that is the caller's own nothing is known: the model decides."""


class Reasoning(StrEnum):
    """How a model is told how much to think."""

    NONE = "none"
    BUDGET = "budget"  # so many tokens
    ADAPTIVE = "adaptive"  # decides itself, guided by an effort
    EFFORT = "effort"  # one of a few levels
    LEVEL = "level"  # Gemini 3 and later: its own levels
    SWITCH = "switch"  # on or off
    ALWAYS = "always"  # cannot be told


@dataclass(frozen=True, slots=True)
class Traits:
    """Tokens it reads and writes at most, what it sees, how it reasons. None where that is not known."""

    window: int | None = None
    output: int | None = None
    images: bool | None = None
    pdf: bool | None = None
    reasoning: Reasoning | None = None

    def reply_limit(self, reasoning: int = 0) -> int:
        """Tokens to allow a reply, those for `reasoning` included; within what the model can write and read."""
        wanted = (_LONGEST_REPLY if self.output else UNKNOWN_REPLY) + max(reasoning, 0)
        wanted = min(wanted, self.output or wanted)
        return min(wanted, max(self.window // 2, 1)) if self.window else wanted


_R = Reasoning
# The first pattern that matches a model's name without its platform's prefix counts.
_TABLE: tuple[tuple[str, Traits], ...] = (
    (r"claude-3-(?:haiku|opus|sonnet)", Traits(200_000, 4096, True, True, _R.NONE)),
    (r"claude-3-5", Traits(200_000, 8192, True, True, _R.NONE)),
    (r"claude-3-7", Traits(200_000, 64_000, True, True, _R.BUDGET)),
    (r"claude-(?:opus-4|4-opus)(?:$|-[01](?!\d)|-\d{8}|@)", Traits(200_000, 32_000, True, True, _R.BUDGET)),
    (r"claude-(?:[a-z]+-4|4-[a-z]+)(?:$|-[0-5](?!\d)|-\d{8}|@)", Traits(200_000, 64_000, True, True, _R.BUDGET)),
    (r"claude-[a-z]+-4-", Traits(None, 64_000, True, True, _R.ADAPTIVE)),
    (r"claude-", Traits(None, None, True, True, _R.ADAPTIVE)),
    (r"gpt-5[\w.]*-chat|gpt-5-chat", Traits(128_000, 16_384, True, True, _R.NONE)),
    (r"gpt-[5-9]", Traits(None, 128_000, True, True, _R.EFFORT)),
    (r"gpt-4\.1", Traits(1_047_576, 32_768, True, True, _R.NONE)),
    (r"gpt-4o-2024-05-13", Traits(128_000, 4096, True, True, _R.NONE)),
    (r"(?:chat)?gpt-4o", Traits(128_000, 16_384, True, True, _R.NONE)),
    (r"gpt-4-turbo", Traits(128_000, 4096, True, None, _R.NONE)),
    (r"gpt-4|gpt-3", Traits(None, 4096, False, False, _R.NONE)),
    (r"o1-mini", Traits(128_000, 65_536, False, False, _R.EFFORT)),
    (r"o1-preview", Traits(128_000, 32_768, False, False, _R.EFFORT)),
    (r"o3-mini", Traits(200_000, 100_000, False, False, _R.EFFORT)),
    (r"o[134]", Traits(200_000, 100_000, True, True, _R.EFFORT)),
    (r"gpt-oss", Traits(131_072, None, False, False, _R.EFFORT)),
    (r"gemini-1\.5|gemini-2\.0", Traits(1_048_576, 8192, True, True, _R.NONE)),
    (r"gemini-2\.5", Traits(1_048_576, 65_536, True, True, _R.BUDGET)),
    (r"gemini-3", Traits(1_048_576, 65_536, True, True, _R.LEVEL)),
    (r"gemini-", Traits(None, None, True, True, _R.LEVEL)),
    (r"gemma3:1b", Traits(32_000, None, False, False, _R.NONE)),
    (r"gemma3:", Traits(128_000, None, True, False, _R.NONE)),
    (r"deepseek-(?:reasoner|r1)", Traits(128_000, 64_000, False, False, _R.ALWAYS)),
    (r"deepseek-chat", Traits(128_000, 8192, False, False, _R.NONE)),
    (r"deepseek-", Traits(None, None, False, False, None)),
    (r"(?:deepseek-r1|qwq|qwen3|magistral)\b", Traits(None, None, None, False, _R.SWITCH)),
)


def facts(provider: str, model: str, own: Mapping[str, Mapping[str, Json]] | None = None) -> Traits:
    """What is known of a model. `own` is `[provider.models]`: what a configuration says of models, by their names."""
    plain = _PLATFORM.sub("", model)
    found = next((traits for pattern, traits in _TABLE if re.match(pattern, plain)), Traits())
    if not _speaks_pdf(provider, plain):
        found = replace(found, pdf=False if found.pdf is not None else None)
    found = replace(found, window=_smaller(found.window, known_window(provider, model)))
    return _told(found, (own or {}).get(model, {}))


def _smaller(first: int | None, second: int | None) -> int | None:
    """Too small a window compacts early; too large a one is refused. The price data takes similar names for one."""
    return min(first, second) if first and second else first or second


def _speaks_pdf(provider: str, model: str) -> bool:
    return provider not in _WITHOUT_PDF or (provider == "google-vertex" and model.startswith("claude-"))


def _told(found: Traits, own: Mapping[str, Json]) -> Traits:
    window, output, reasoning = own.get("contextWindow"), own.get("maxOutputTokens"), own.get("reasoning")
    images, pdf = own.get("images"), own.get("pdf")
    return Traits(
        window if isinstance(window, int) and window > 0 else found.window,
        output if isinstance(output, int) and output > 0 else found.output,
        images if isinstance(images, bool) else found.images,
        pdf if isinstance(pdf, bool) else found.pdf,
        Reasoning(reasoning) if isinstance(reasoning, str) and reasoning in set(Reasoning) else found.reasoning,
    )
