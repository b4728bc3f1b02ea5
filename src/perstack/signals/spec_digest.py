"""A signal specification as canonical JSON, and its digest. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from perstack.core.json import JsonObject, canonical
from perstack.core.signals import SignalSpec


def spec_to_json(spec: SignalSpec) -> JsonObject:
    """All fields of a specification; enums as their words."""
    return {**asdict(spec), "kind": spec.kind.value, "priority": spec.priority.value}


def spec_digest(spec: SignalSpec) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(spec_to_json(spec)).encode()).hexdigest()
