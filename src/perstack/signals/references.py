"""Which files of the base a signal compares with: golden files and pictures. They are protected. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import join, normpath

from perstack.core.signals import SignalKind, SignalSpec


def golden_files(spec: SignalSpec) -> Mapping[str, str]:
    """Of `diff`: what is written → the golden file it must equal, both relative to the repository."""
    golden = spec.expect.get("golden") if spec.kind is SignalKind.DIFF else None
    if not isinstance(golden, Mapping):
        return {}
    return {normpath(join(spec.cwd, made)): normpath(join(spec.cwd, str(path))) for made, path in golden.items()}


def baseline_folder(spec: SignalSpec) -> str:
    """Of `screenshot`: the folder of pictures to reach; empty where the base's own look is the baseline."""
    folder = spec.expect.get("baseline") if spec.kind is SignalKind.SCREENSHOT else None
    return normpath(join(spec.cwd, folder)) if isinstance(folder, str) and folder else ""


def reference_globs(spec: SignalSpec) -> tuple[str, ...]:
    """Patterns of the files that a candidate may not touch because the signal compares with them."""
    folder = baseline_folder(spec)
    return (*(f"/{path}" for path in golden_files(spec).values()), *([f"/{folder}/**"] if folder else []))
