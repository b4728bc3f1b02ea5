"""How a project's code is started in a plain process. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Python:
    """How the project's Python is started and where its packages lie, as its suite's plan has it."""

    interpreter: str
    roots: tuple[str, ...]
    provides: tuple[str, ...]
    version_files: tuple[tuple[str, str], ...]
