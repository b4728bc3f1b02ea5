"""Perstack: a verifier that cannot be fooled, a loop that works against it, a bot that carries both.

The programmatic API. Names are loaded when they are first used: `import perstack` costs nothing.
"""

from __future__ import annotations

import importlib

from perstack.core.version import __version__

TYPE_CHECKING = False  # type checkers know the name; `typing` itself costs more than all of this

if TYPE_CHECKING:
    from perstack.api.asking import Answer, Proceed, Resume, RunResult
    from perstack.api.programmatic import (
        answer,
        answer_sync,
        fix,
        fix_sync,
        jobs,
        proceed,
        proceed_sync,
        resume,
        resume_sync,
        run,
        run_sync,
        stream,
        verify,
        verify_sync,
    )
    from perstack.api.stream import RunStream
    from perstack.core.contracts import Provider, Skill
    from perstack.core.errors import InfrastructureError, PerstackError, ProviderError, ToolError, UserError
    from perstack.core.events import Event
    from perstack.core.experts import BASE_SKILL, Config, Expert, ProviderSpec, SkillSpec
    from perstack.core.messages import (
        Delta,
        ExpertMessage,
        ModelReply,
        ModelRequest,
        StopReason,
        TextPart,
        ThinkingPart,
        ToolCall,
        ToolDefinition,
        ToolMessage,
        ToolResult,
        UserMessage,
    )
    from perstack.core.outcome import Ending, FixOutcome
    from perstack.core.storage import JobRecord, LogContents, Store
    from perstack.core.usage import Usage
    from perstack.core.verdict import Report, Verdict
    from perstack.runtime.store import record_from

# Module below `perstack` → the names it gives.
_PLACES = {
    "api.asking": "Answer Proceed Resume RunResult",
    "api.programmatic": "answer answer_sync fix fix_sync jobs proceed proceed_sync resume resume_sync run run_sync "
    "stream verify verify_sync",
    "api.stream": "RunStream",
    "core.contracts": "Provider Skill",
    "core.errors": "InfrastructureError PerstackError ProviderError ToolError UserError",
    "core.events": "Event",
    "core.experts": "BASE_SKILL Config Expert ProviderSpec SkillSpec",
    "core.messages": "Delta ExpertMessage ModelReply ModelRequest StopReason TextPart ThinkingPart ToolCall "
    "ToolDefinition ToolMessage ToolResult UserMessage",
    "core.outcome": "Ending FixOutcome",
    "core.storage": "JobRecord LogContents Store",
    "core.usage": "Usage",
    "core.verdict": "Report Verdict",
    "runtime.store": "record_from",
}
_NAMES = {name: f"perstack.{module}" for module, names in _PLACES.items() for name in names.split()}

__all__ = [
    "BASE_SKILL",
    "Answer",
    "Config",
    "Delta",
    "Ending",
    "Event",
    "Expert",
    "ExpertMessage",
    "FixOutcome",
    "InfrastructureError",
    "JobRecord",
    "LogContents",
    "ModelReply",
    "ModelRequest",
    "PerstackError",
    "Proceed",
    "Provider",
    "ProviderError",
    "ProviderSpec",
    "Report",
    "Resume",
    "RunResult",
    "RunStream",
    "Skill",
    "SkillSpec",
    "StopReason",
    "Store",
    "TextPart",
    "ThinkingPart",
    "ToolCall",
    "ToolDefinition",
    "ToolError",
    "ToolMessage",
    "ToolResult",
    "Usage",
    "UserError",
    "UserMessage",
    "Verdict",
    "__version__",
    "answer",
    "answer_sync",
    "fix",
    "fix_sync",
    "jobs",
    "proceed",
    "proceed_sync",
    "record_from",
    "resume",
    "resume_sync",
    "run",
    "run_sync",
    "stream",
    "verify",
    "verify_sync",
]


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
