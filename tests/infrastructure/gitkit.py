"""Builds real checkouts with the real git, for the tests of this folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
}


def git(where: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git as a user would; its output without the last line break."""
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=ENV, input=stdin, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().rstrip("\n")


def write(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files below `root`."""
    for name, content in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


def checkout(root: Path, files: dict[str, str | bytes]) -> Path:
    """A repository at `root` with one commit of `files` on `main`."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    write(root, files)
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", "first")
    return root


def commit(root: Path, files: dict[str, str | bytes], message: str = "next") -> str:
    """Add a commit; its SHA."""
    write(root, files)
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")
