"""The token of a server: made, kept in a file, compared. Prints nothing.

Threat: every process of this machine can connect to loopback. Only who can read the token's file, or the terminal the
server was started on, gets in.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from perstack.core.errors import UserError

_SHORTEST = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


def new_token() -> str:
    """256 bits that cannot be guessed, as one word."""
    return secrets.token_urlsafe(32)


def token_of(path: Path) -> str:
    """The token in a file; where there is no such file, a new token in a new one that only its owner can read.

    Raises: UserError where others can read the file, it is not ours, or holds no token.
    """
    try:
        return _made(path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise UserError(
            f"--token-file {path}: cannot be written: {error.strerror}", hint="Name a file in a folder of yours."
        ) from error


def is_same(given: str, token: str) -> bool:
    """Whether the token was given; takes as long for a wrong one as for the right one."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def _made(path: Path) -> str:
    token = new_token()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(token + "\n")
    return token


def _read(path: Path) -> str:
    try:
        # Not waiting: a named pipe would hold up the start for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:
            facts = os.fstat(opened.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UserError(f"--token-file {path}: not a regular file", hint="Name a file with one line.")
            _require_private(path, facts)
            text = opened.read(4097)
    except OSError as error:
        raise UserError(f"--token-file {path}: cannot be read: {error.strerror}", hint="Make it yours.") from error
    token = text.decode("ascii", "replace").strip()
    if not (_SHORTEST <= len(token) <= 4096 and _TOKEN.fullmatch(token)):
        raise UserError(
            f"--token-file {path}: holds no token of {_SHORTEST} or more letters, digits and - . _ ~ + / =",
            hint="Remove the file: a new one is made with a good token.",
        )
    return token


def _require_private(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid != os.geteuid():
        raise UserError(f"--token-file {path}: belongs to another user", hint="Name a file of your own.")
    if facts.st_mode & 0o077:
        raise UserError(
            f"--token-file {path}: others may read or write it (mode {stat.S_IMODE(facts.st_mode):04o})",
            hint=f"chmod 600 {path}",
        )
