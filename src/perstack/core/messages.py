"""Messages and their parts, and tools: what passes between an expert, its tools and a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perstack.core.json import Json, JsonObject
from perstack.core.usage import Usage


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, `data` in base64."""

    data: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file (PDF), `data` in base64."""

    data: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """A model's own reasoning; `signature` is required by Anthropic when the block is sent back.

    `redacted` carries the opaque data of a redacted block.
    """

    thinking: str
    signature: str = ""
    redacted: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `problem` is set where its arguments were not valid JSON."""

    id: str
    tool_name: str
    args: Mapping[str, Json]
    skill_name: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered: text, images or files."""

    id: str
    tool_name: str
    contents: tuple[TextPart | ImagePart | FilePart, ...]
    skill_name: str = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.contents if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class UserMessage:
    """Input from outside: the query, or a note from the harness."""

    id: str
    contents: tuple[TextPart | ImagePart | FilePart, ...]


@dataclass(frozen=True, slots=True)
class ExpertMessage:
    """One model reply, in the order thinking, text, tool calls."""

    id: str
    contents: tuple[ThinkingPart | TextPart | ToolCall, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.contents if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.contents if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """The results of all tool calls of one reply."""

    id: str
    results: tuple[ToolResult, ...]


Message = UserMessage | ExpertMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as a model sees it. `read_only` tools may run at the same time and again on resume."""

    name: str
    description: str
    input_schema: JsonObject
    skill_name: str = ""
    read_only: bool = False


class StopReason(StrEnum):
    """Why a model stopped writing."""

    END = "end"
    TOOL_CALLS = "tool-calls"
    LENGTH = "length"
    REFUSAL = "refusal"
    PAUSE = "pause"  # a provider's own tools are still at work: asked again by the provider itself
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything a provider needs for one reply.

    `messages` only ever grows during a run, and its prefix never changes, so a provider may keep what it
    serialised. `max_output_tokens` is the whole reply, reasoning included. `reasoning_budget` is in tokens, 0 for
    none. `reasoning` is how the model is told of it (`providers.facts.Reasoning`), empty where the provider judges by
    the model's name. `hosted` are tools that the provider runs on its own servers, by the public format's names, with
    `hosted_options`.
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...]
    timeout_s: float = 300.0
    max_output_tokens: int = 8192
    reasoning_budget: int = 0
    run_id: str = ""
    reasoning: str = ""
    hosted: tuple[str, ...] = ()
    hosted_options: Mapping[str, Json] = field(default_factory=dict)


class TroubleKind(StrEnum):
    """What can be wrong with a reply, or with what a model is given, without an end of the run."""

    EMPTY = "empty-reply"
    ARGUMENTS = "bad-arguments"
    NO_NAME = "unnamed-call"
    CALL_ID = "bad-call-id"
    NO_TOOL = "unknown-tool"
    MANY_CALLS = "many-calls"
    ENDING = "unknown-ending"
    ORDER = "out-of-order"
    NO_USAGE = "usage-not-said"
    REFUSAL = "refusal"
    FILTER = "content-filter"
    CUT = "cut-reply"
    PAUSES = "endless-pauses"
    LONG_RESULT = "long-result"
    TOO_LONG = "too-long-prompt"
    MEDIA = "refused-media"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that was wrong and is put right or said to the model: its kind, one sentence, how often."""

    kind: TroubleKind
    text: str
    count: int = 1

    @property
    def sentence(self) -> str:
        """The sentence with the number of times."""
        return f"{self.text} ({self.count:,} times)" if self.count > 1 else self.text


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A model's answer. `model` is the name the server reported, `asked` the one that was asked, where that is not
    the one of the request (a fallback). `troubles` are what was wrong with the reply and was put right."""

    contents: tuple[ThinkingPart | TextPart | ToolCall, ...]
    stop_reason: StopReason
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    asked: str = ""
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streaming reply, for display only. `kind` is `text` or `thinking`."""

    kind: str
    text: str
