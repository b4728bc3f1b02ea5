"""Files of people that are changed in one step: whole, or not at all. Knows none of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from perstack.api.stamps import new_id
from perstack.core.errors import InfrastructureError


def put(path: Path, data: bytes) -> None:
    """Write a whole file in one step; one that is there keeps its rights, and a link its place.

    Raises: InfrastructureError where it cannot be written; the old one stays as it was.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{new_id()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: cannot be written: {error.strerror}", hint="Free some space, or make the folder writable."
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
