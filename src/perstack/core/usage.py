"""Token usage, counted by the provider and summed by the runtime."""

from __future__ import annotations

from dataclasses import dataclass

from perstack.core.json import JsonObject


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls.

    Parts of `input_tokens` are read from a cache (`cached_input_tokens`) or written to one (`cache_written_tokens`),
    `reasoning_tokens` are part of `output_tokens`. `estimated_tokens` of input and output were not counted by a server.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_input_tokens: int = 0
    cache_written_tokens: int = 0
    estimated_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cached_share(self) -> float:
        """The part of what was read that came from a cache, 0 to 1."""
        return min(1.0, self.cached_input_tokens / self.input_tokens) if self.input_tokens else 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_written_tokens + other.cache_written_tokens,
            self.estimated_tokens + other.estimated_tokens,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.reasoning_tokens - other.reasoning_tokens,
            self.cached_input_tokens - other.cached_input_tokens,
            self.cache_written_tokens - other.cache_written_tokens,
            self.estimated_tokens - other.estimated_tokens,
        )

    def to_json(self) -> JsonObject:
        return {
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "reasoningTokens": self.reasoning_tokens,
            "totalTokens": self.total_tokens,
            "cachedInputTokens": self.cached_input_tokens,
            **({"cacheWrittenTokens": self.cache_written_tokens} if self.cache_written_tokens else {}),
            **({"estimatedTokens": self.estimated_tokens} if self.estimated_tokens else {}),
        }


@dataclass(frozen=True, slots=True)
class ExpertUsage:
    """What one expert used in a job, its delegates not counted. `cost_usd` is None where a price is not known."""

    expert: str
    usage: Usage
    cost_usd: float | None = None
    replies: int = 0

    def to_json(self) -> JsonObject:
        return {
            "expert": self.expert,
            "usage": self.usage.to_json(),
            "costUsd": self.cost_usd,
            "replies": self.replies,
        }


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model used in a job: `replies` of it, of which `repairs` things had to be put right.

    `cost_usd` is None where its price is not known.
    """

    model: str
    usage: Usage
    cost_usd: float | None = None
    replies: int = 0
    repairs: int = 0

    def to_json(self) -> JsonObject:
        return {
            "model": self.model,
            "usage": self.usage.to_json(),
            "costUsd": self.cost_usd,
            "replies": self.replies,
            "repairs": self.repairs,
        }
