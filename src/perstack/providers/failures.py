"""What went wrong with a model call, in one sentence. The only place that decides what may be retried.

Threat: servers echo what they were sent. Every sentence is cut short and has the key and header values taken out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perstack.core.errors import AUTH, NO_MEDIA, OVERLOADED, QUOTA, RATE_LIMIT, TOO_LONG, ProviderError

_LIMIT = 300
_READ = 1_000  # characters of a message that are searched for what it says of a file
_SHORTEST_SECRET = 6  # a shorter header value is no secret, and would blank out parts of words
_RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_RETRY_KIND = frozenset(
    {"overloaded_error", "api_error", "rate_limit_error", "timeout_error", "gateway_timeout_error"}  # Anthropic
    | {"server_error", "rate_limit_exceeded", "server_is_overloaded", "slow_down", "internal_error"}  # OpenAI
    | {"throttlingException", "modelStreamErrorException", "internalServerException", "modelTimeoutException"}  # Amazon
    | {"serviceUnavailableException", "modelNotReadyException"}
)
_SPENT = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached", "credit_balance_too_low"})
_SPENT_WORDS = (
    "credit balance is too low",
    "insufficient balance",
)
_TOO_LONG_WORDS = (
    "context_length_exceeded",
    "prompt is too long",
    "input is too long",  # Amazon
    "exceeds the maximum number of tokens",  # Google
    "maximum context length",
    "context size",
    "context window",
    "request_too_large",  # Anthropic
    "input token count",  # Google
    "available context",  # llama.cpp
)
# What servers say of an image or a file that they will not take: the model reads none, or this one is broken or big.
_MEDIUM = r"\b(?:images?|image_url|pictures?|pdfs?|documents?|input_file|file[_ ]data|(?:media|mime)[ _]type|pages)\b"
_UNTAKEN = (
    r"(?:could not (?:be )?(?:process|pars|read|download|decod)|(?:un|not )able to|fail(?:ed|ure) to|cannot be|exceed"
    r"|invalid|not valid|(?:not|n't) (?:\w+ )?(?:valid|match|support|represent)|unsupported"
    r"|too (?:large|big|many|small)|maximum"
    r"|corrupt|malformed|damaged|encrypted|password|no pages|empty)"
)
_BAD_MEDIA = re.compile(rf"{_MEDIUM}.{{0,160}}?{_UNTAKEN}|{_UNTAKEN}.{{0,80}}?{_MEDIUM}", re.IGNORECASE | re.DOTALL)
_NO_MEDIA = re.compile(
    r"(?:image|vision|multimodal|pdf|input_file|media type)[^.]{0,80}"
    r"(?:not supported|unsupported|not support|only supported|not available|not enabled|not accept|cannot be used)"
    r"|(?:not support|unsupported|no endpoints? found that support|does not accept|cannot read|doesn't support)"
    r"[^.]{0,60}(?:image|vision|multimodal|pdf|document|image_url)"
    r"|mmproj|unknown variant `?image_url",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom we talk to, for messages. `secrets` never appear in one."""

    label: str
    key_name: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def refused(
        self, status: int, body: object, *, model: str, retry_after_s: float | None, advice: str = ""
    ) -> ProviderError:
        """The server answered with an HTTP error. `advice` is its own `x-should-retry` header."""
        kind, said = describe(body)
        retryable = (status in _RETRY_STATUS or status >= 500 or advice == "true") and advice != "false"
        text, hint = self._sentence(status, kind, said, model)
        return ProviderError(
            self.clean(f"{text}: {said}" if said else text),
            hint=hint,
            status=status,
            retryable=retryable and not _is_spent(kind, said),
            retry_after_s=retry_after_s,
            kind=_class_of(status, kind, said),
        )

    def broken(self, body: object, *, model: str) -> ProviderError:
        """The server reported an error inside a stream that had begun well."""
        kind, said = describe(body)
        long = _is_too_long(kind, said)
        text = f"the request is longer than {model} can read" if long else f"{self.label} broke off its reply"
        detail = f" ({kind})" if kind else ""
        return ProviderError(
            self.clean(f"{text}{detail}: {said}" if said else text + detail),
            retryable=kind in _RETRY_KIND and not long,
            kind=_class_of(0, kind, said),
        )

    def overflowed(self, model: str) -> ProviderError:
        """The reply says that the window was full before a word could be written."""
        return ProviderError(
            f"the request is longer than {model} can read ({self.label})",
            hint="Use a model with a larger context window.",
            kind=TOO_LONG,
        )

    def lost(self, error: BaseException, patience_s: float = 0.0) -> ProviderError:
        """The connection could not be made (within `patience_s`, 0 for another reason) or was cut."""
        cause = error.__cause__ or error
        if patience_s:
            return self._lost(f"no connection to {self.label}: it was not made within {patience_s:g} s")
        detail = str(cause) or type(cause).__name__
        return self._lost(f"no connection to {self.label}, or it was cut: {detail}")

    def _lost(self, sentence: str) -> ProviderError:
        hint = "Check the network, a proxy, and the provider's base URL."
        return ProviderError(self.clean(sentence), hint=hint, retryable=True)

    def malformed(self, what: str) -> ProviderError:
        """The server's reply cannot be read."""
        return ProviderError(self.clean(f"{self.label} sent a reply that cannot be read: {what}"), retryable=True)

    def late(self, what: str, seconds: float) -> ProviderError:
        """A time limit was reached."""
        return ProviderError(f"{self.label} was too slow: {what} within {seconds:g} s", retryable=True)

    def clean(self, text: str) -> str:
        """`text` without secrets, on one line, short."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        line = " ".join(text.split())
        return line if len(line) <= _LIMIT else line[: _LIMIT - 1] + "…"

    def _sentence(self, status: int, kind: str, said: str, model: str) -> tuple[str, str]:
        where = f"({self.label}, {status})"
        key = self.key_name or "the API key"
        if 300 <= status < 400:
            hint = "Set the provider's base URL to where it leads, if you trust that: a key is never sent on."
            return f"the server sends the request to another address {where}", hint
        if status == 401:
            return f"{key} was rejected {where}", f"Set {key} to a valid key of {self.label}."
        if status == 403:
            return f"{key} may not use {model} {where}", "Use a key with access to this model, or another model."
        if _is_too_long(kind, said) and status in {400, 413, 422, 500}:
            return f"the request is longer than {model} can read {where}", "Use a model with a larger context window."
        if status == 404:
            known = _names_model(kind, said, model)
            text = f"unknown model {model}" if known else "nothing answers at this address"
            place = "in --model or in perstack.toml" if known else "and the provider's base URL"
            return f"{text} {where}", f"Check the model's name {place}."
        if _is_spent(kind, said) or status == 402:
            return f"the account behind {key} has no credit left {where}", "Check the account's plan and billing."
        if status == 429:
            return f"too many requests {where}", ""
        return (f"{self.label} is in trouble ({status})" if status >= 500 else f"the request was refused {where}"), ""


def describe(body: object) -> tuple[str, str]:
    """The kind (or code) and the message in an error body of any of the known shapes; empty where there is none."""
    if isinstance(body, list) and body:
        body = body[0]  # Google
    if isinstance(body, str):
        return "", "" if body.lstrip().startswith("<") else body
    if not isinstance(body, Mapping):
        return "", ""
    inner = body.get("error", body)
    if isinstance(inner, str):
        return "", inner
    if not isinstance(inner, Mapping):
        return "", ""
    kind = inner.get("code") if isinstance(inner.get("code"), str) else inner.get("type")
    message = inner.get("message")
    return (kind if isinstance(kind, str) else ""), (message if isinstance(message, str) else "")


def _is_too_long(kind: str, said: str) -> bool:
    text = f"{kind} {said}".lower()
    return any(mark in text for mark in _TOO_LONG_WORDS)


def _is_spent(kind: str, said: str) -> bool:
    """No credit, as opposed to too many requests a minute: both come with 429 from some servers."""
    text = said.lower()
    return kind in _SPENT or any(mark in text for mark in _SPENT_WORDS)


def _class_of(status: int, kind: str, said: str) -> str:
    """The reason in one word; `status` is 0 inside a stream."""
    if _is_too_long(kind, said) and status in {0, 400, 413, 422, 500}:
        return TOO_LONG
    if status in {0, 400, 404, 415, 422, 500} and _NO_MEDIA.search(said):
        return NO_MEDIA
    if status in {400, 413, 415, 422} and _BAD_MEDIA.search(said[:_READ]):
        return NO_MEDIA
    if _is_spent(kind, said) or status == 402:
        return QUOTA
    if status in {401, 403}:
        return AUTH
    if status == 429 or kind in {"rate_limit_error", "rate_limit_exceeded", "throttlingException"}:
        return RATE_LIMIT
    return OVERLOADED if status in {503, 529} or "overloaded" in f"{kind} {said}".lower() else ""


def _names_model(kind: str, said: str, model: str) -> bool:
    return kind in {"model_not_found", "not_found_error"} or "model" in said.lower() or (model != "" and model in said)
