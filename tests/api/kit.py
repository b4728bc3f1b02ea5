"""What API tests share: experts, and options without isolation or environment."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import perstack
from perstack.api.asking import GoOnOptions
from perstack.core.experts import BASE_SKILL
from perstack.core.messages import ModelReply
from perstack.providers.scripted import ScriptedProvider
from perstack.testing import MemoryStore, scripted

TESTER = perstack.Expert("tester", "Do what is asked.")
ASKER = perstack.Expert(
    "asker",
    "Ask first.",
    skills={"ask": perstack.SkillSpec("ask", "interactiveSkill", tools={"askUser": ("Ask.", '{"type":"object"}')})},
)
ONLY_END = {BASE_SKILL: perstack.SkillSpec(BASE_SKILL, pick=("attemptCompletion",))}


def options(tmp_path: Path, *replies: ModelReply, **changes: Unpack[GoOnOptions]) -> GoOnOptions:
    """Options of a run in this process: scripted replies, no isolation, no environment, nothing on disk."""
    plain = GoOnOptions(
        provider=scripted(*replies),
        sandbox="host",
        workspace=tmp_path,
        store=MemoryStore(),
        env={"PATH": "/usr/bin:/bin"},
    )
    return changed(plain, **changes)


def changed(before: GoOnOptions, **changes: Unpack[GoOnOptions]) -> GoOnOptions:
    """The same options with some of them replaced."""
    return {**before, **changes}


def requests_of(given: GoOnOptions) -> list[perstack.ModelRequest]:
    """What the scripted provider of these options was asked."""
    provider = given["provider"]
    assert isinstance(provider, ScriptedProvider)
    return provider.requests
