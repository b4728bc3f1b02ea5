"""A signal specification as canonical JSON, and its digest. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from perstack.core.json import JsonObject, canonical
from perstack.core.signals import SignalSpec


def spec_to_json(spec: SignalSpec) -> JsonObject:
    """All fields of a specification; enums as their words."""
    return {**asdict(spec), "kind": spec.kind.value, "priority": spec.priority.value}


def patch_digest(patch: str) -> str:
    """SHA-256 of a patch as git wrote it."""
    return hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest()


def spec_digest(spec: SignalSpec) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(spec_to_json(spec)).encode()).hexdigest()
