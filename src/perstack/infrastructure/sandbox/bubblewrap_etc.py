"""The /etc of bubblewrap sandboxes: what this machine's programs need of it by name, and a few files of its own.

One folder for all sandboxes of a harness, with copies of what is small: a bind of each file took longer than the rest
of a start together. Never /etc as a whole: the rest of it is nobody's business inside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from perstack.infrastructure.owned import remove_tree
from perstack.infrastructure.sandbox import snapshot

UID = 10001

# Not /etc/ssl itself: a harness that is root could read its private keys.
_NAMES = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/certs", "ssl/openssl.cnf", "ca-certificates",
    "pki/tls/certs", "pki/ca-trust/extracted", "localtime", "mime.types", "python3", "python3.11", "java-17-openjdk",
    "java-21-openjdk", "maven", "fonts", "nsswitch.conf", "protocols", "services",
)  # fmt: skip


# A folder with more entries than this, at any depth, is bound: copying each takes half a millisecond, twice a bind.
_MOST_COPIED = 8


def fill_etc(folder: Path, source: Path = Path("/etc")) -> list[str]:
    """Fill an empty folder; the bwrap options that bind it, and what is too much to copy."""
    folder.chmod(0o755)
    (folder / "passwd").write_text(
        f"root:x:0:0::/nonexistent:/bin/false\nperstack:x:{UID}:{UID}::{snapshot.HOME}:/bin/sh\n"
    )
    (folder / "group").write_text(f"root:x:0:\nperstack:x:{UID}:\n")
    (folder / "hosts").write_text("127.0.0.1 localhost sandbox\n::1 localhost\n")
    options = ["--ro-bind", str(folder), "/etc"]
    for name in _NAMES:
        real, target = (source / name).resolve(), folder / name
        if real.is_dir() and not _copied(real, target):
            target.mkdir(parents=True)
            options += ["--ro-bind", str(real), f"/etc/{name}"]
        elif real.is_file():
            with contextlib.suppress(OSError):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(real, target)
    return options


def _copied(real: Path, target: Path) -> bool:
    """Copy a small folder; False where it is larger or not all readable, and nothing is left of it."""
    if not os.access(real, os.R_OK | os.X_OK):
        return True  # nobody can read it, so nobody misses it
    if any(number == _MOST_COPIED for number, _ in enumerate(real.rglob("*"))):
        return False
    try:
        # with their rights: what root alone may read must not lie open to this machine's other users
        shutil.copytree(real, target, symlinks=True, copy_function=shutil.copy)
    except OSError:  # so is `shutil.Error`
        remove_tree(target)
        return False
    return True
