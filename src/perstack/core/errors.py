"""The one error tree. Not a place for messages: those are written where the fact is known.

PerstackError
├─ UserError            exit 2    bad configuration, bad arguments, missing input
├─ TrustRefused         exit 0    not permitted: told in one public sentence, nothing done
├─ Superseded           exit 0    the head moved while we worked: nothing written
├─ BudgetExceeded       exit 3    a limit of the job was reached
├─ InfrastructureError  exit 4    our machinery failed; says nothing about the candidate
│  ├─ SandboxUnavailable          no engine, no image, no isolation
│  ├─ ForgeError                  the forge did not answer or refused
│  └─ ProviderError               the model did not answer; `retryable` says whether to ask again
├─ ToolError            –         shown to the model; never ends a run by itself
└─ InvariantBroken      exit 4    a bug of ours
"""

from __future__ import annotations

from enum import IntEnum

COST = "cost"
TOO_LONG = "too-long"  # the request does not fit the model's window
NO_MEDIA = "no-media"  # the model takes no images or PDF, or not this one
RATE_LIMIT = "rate-limit"
QUOTA = "quota"  # the account has no credit left: waiting does not help
OVERLOADED = "overloaded"
AUTH = "auth"
"""The kind of a budget in US dollars; all others count things."""


class ExitCode(IntEnum):
    """Process exit codes of every command."""

    OK = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INFRASTRUCTURE = 4
    INTERRUPTED = 130


class PerstackError(Exception):
    """Base of all errors raised on purpose.

    `message` says what went wrong and where; `hint` says what to do about it.
    """

    exit_code: ExitCode = ExitCode.INFRASTRUCTURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UserError(PerstackError):
    """Something the user wrote or passed is wrong."""

    exit_code = ExitCode.USAGE


class TrustRefused(PerstackError):
    """The actor or event may not do this. The message is public."""

    exit_code = ExitCode.OK


class Superseded(PerstackError):
    """The target moved on; the job's result no longer applies."""

    exit_code = ExitCode.OK


class BudgetExceeded(PerstackError):
    """A limit of the job (steps, tokens, money, wall time, rounds) was reached.

    `used` is what was spent where the next call is not made because it would lead to `value`.
    """

    exit_code = ExitCode.INCONCLUSIVE

    def __init__(self, kind: str, *, value: float, limit: float, used: float | None = None) -> None:
        form = "${:,.4f}".format if kind == COST else "{:,.0f}".format
        shown = f"{form(value if used is None else used)} of {form(limit)}"
        ahead = "" if used is None else f", and the next call would make it {form(value)}: it is not made"
        super().__init__(f"{kind} budget reached: {shown}{ahead}")
        self.kind = kind
        self.value = value
        self.limit = limit


class InfrastructureError(PerstackError):
    """The machinery failed; nothing can be said about the candidate."""


class SandboxUnavailable(InfrastructureError):
    """No sandbox can be had, or it died. Never shown as a command's own output."""


class ForgeError(InfrastructureError):
    """The forge refused or did not answer.

    `status` is the HTTP status where there was one.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ProviderError(InfrastructureError):
    """The model did not answer as it should.

    `retryable` is True where the same request may succeed later; `retry_after_s` is the server's own wish. `kind` is
    the reason in one word, the same for every provider: `TOO_LONG` and the words after it, or empty.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        kind: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ToolError(PerstackError):
    """A tool call failed; the model sees the message and goes on."""


class InvariantBroken(PerstackError):
    """A bug of ours; the message names the invariant."""
