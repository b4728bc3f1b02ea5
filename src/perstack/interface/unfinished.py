"""What a job has begun to show on the forge and not yet ended: kept in a file, for the step that runs after its death.

The job writes it as check runs and comments begin and end; `perstack finish` reads it. Nothing here asks the forge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from perstack.core.errors import InfrastructureError

_NAME = "open-checks.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One job's check run (`id`, 0 for none) and its comment in conversation `number` (0 for none)."""

    id: int
    name: str
    head_sha: str
    number: int = 0
    key: str = ""


def place(env: Mapping[str, str]) -> Path:
    """The folder in which a job on a runner keeps what it leaves."""
    return Path(env.get("RUNNER_TEMP") or ".") / "perstack"


def write(folder: Path, unfinished: Sequence[Unfinished]) -> None:
    """Replace the list at once, so that a job killed at any moment leaves a whole one. An empty list leaves no file."""
    path = folder / _NAME
    if not unfinished:
        path.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(each) for each in unfinished]), encoding="utf-8")
    fresh.replace(path)


def read(folder: Path) -> tuple[Unfinished, ...]:
    """What the last job left; nothing where it ended as it should.

    Raises: InfrastructureError for a file that is not ours.
    """
    path = folder / _NAME
    try:
        return tuple(Unfinished(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise InfrastructureError(f"{path}: cannot be read as a list of what is unfinished: {error}") from error
