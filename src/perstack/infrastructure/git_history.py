"""What git remembers up to one commit: messages, changes of code, who last touched a line. Reads; decides nothing.

Threat: a later commit may hold the very fix. So every question starts at one full commit id and sees its ancestors
alone, never a ref. Neither the attributes of a tree nor its configuration start a program.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from perstack.core.errors import UserError
from perstack.infrastructure.git_command import Git, last_line

_SECONDS = 20.0
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FORMAT = "--format=%x01%H%x00%at%x00%an%x00%B"
_QUIET = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-decorate", "--no-notes")


@dataclass(frozen=True, slots=True)
class PastCommit:
    """One commit of the past. `time` is in seconds since 1970; `message` is untrusted text."""

    sha: str
    time: int
    author: str
    message: str

    @property
    def subject(self) -> str:
        return self.message.strip().split("\n", 1)[0]


@dataclass(frozen=True, slots=True)
class PastLine:
    """A line as it is now, and the commit that made it so."""

    line: int
    text: str
    commit: PastCommit


async def log(
    git: Git, base: str, *, message: str = "", code: str = "", path: str = "", limit: int = 20
) -> tuple[PastCommit, ...]:
    """Ancestors of `base` (itself included), newest first, whose message holds a text (case ignored), that changed
    how often a piece of code occurs, below a path.

    Raises: InfrastructureError where it takes too long; UserError for a base that is no full commit id.
    """
    options = [f"--max-count={limit}"]
    if message:
        options += ["--fixed-strings", "--regexp-ignore-case", f"--grep={message}"]
    if code:
        options.append(f"-S{code}")
    paths = (path,) if path else ()
    raw = await git.check(
        "log", "-s", *_QUIET, *options, _FORMAT, _full(base), "--", *paths, env=_LITERAL, timeout_s=_SECONDS
    )
    return _commits(raw)


async def changes(git: Git, base: str, *, limit: int, seconds: float) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Messages of ancestors of `base` (itself included, merges not), newest first, with the paths each one changed.

    Raises: InfrastructureError where it takes longer than `seconds`; UserError for a base that is no full commit id.
    """
    mark = secrets.token_hex(8)  # so that no message ends itself and goes on as another commit
    raw = await git.check(
        "log", *_QUIET, "--no-merges", "--no-renames", "--name-only", "-z", f"--max-count={limit}",
        f"--format=%x01{mark}%B%x02{mark}", _full(base), "--", timeout_s=seconds,
    )  # fmt: skip
    made = []
    for record in raw.decode("utf-8", "surrogateescape").split(f"\x01{mark}")[1:]:
        message, _, names = record.partition(f"\x02{mark}")
        paths = (name.removeprefix("\n") for name in names.split("\0"))
        made.append((message.strip(), tuple(path for path in paths if path)))
    return tuple(made)


async def log_of_lines(git: Git, base: str, path: str, first: int, last: int, *, limit: int) -> tuple[PastCommit, ...]:
    """Ancestors of `base` that touched these lines (1-based, as they are at `base`), newest first.

    Raises: UserError where the commit has no such lines; InfrastructureError where it takes too long.
    """
    result = await git.run(
        "log", "-s", *_QUIET, f"--max-count={limit}", _FORMAT, f"-L{first},{last}:{path}", _full(base),
        timeout_s=_SECONDS,
    )  # fmt: skip
    if result.exit_code:
        raise UserError(f"{path}:{first}-{last}: {last_line(result.stderr)}", hint="Name lines that the file has.")
    return _commits(result.stdout)


async def blame(git: Git, base: str, path: str, first: int, last: int) -> tuple[PastLine, ...]:
    """Who last touched each of these lines.

    Raises: UserError where the commit has no such lines; InfrastructureError where it takes too long.
    """
    result = await git.run(
        "blame", "--line-porcelain", "--no-textconv", f"-L{first},{last}", _full(base), "--", path,
        env=_LITERAL, timeout_s=_SECONDS,
    )  # fmt: skip
    if result.exit_code:
        raise UserError(f"{path}:{first}-{last}: {last_line(result.stderr)}", hint="Name lines that the file has.")
    return _blamed(result.stdout.decode("utf-8", "replace"))


def is_shallow(git: Git) -> bool:
    """Whether the clone ends before the beginning."""
    return (git.directory / "shallow").is_file()


def _full(base: str) -> str:
    if not _SHA.fullmatch(base):
        raise UserError(f"not a full commit id: {base!r}")
    return base


def _commits(raw: bytes) -> tuple[PastCommit, ...]:
    made = []
    for record in raw.decode("utf-8", "replace").split("\x01")[1:]:
        fields = record.split("\0", 3)
        if len(fields) == 4:
            sha, seconds, author, message = fields
            made.append(PastCommit(sha, _time(seconds), author, message.strip()))
    return tuple(made)


def _time(text: str) -> int:
    """0 for a date that is none: old clients wrote such, and anybody can."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else 0


def _blamed(text: str) -> tuple[PastLine, ...]:
    made: list[PastLine] = []
    facts: dict[str, str] = {}
    for row in text.split("\n"):
        if row.startswith("\t"):
            commit = PastCommit(
                facts["sha"], _time(facts.get("author-time", "")), facts.get("author", ""), facts.get("summary", "")
            )
            made.append(PastLine(int(facts["line"]), row[1:], commit))
            facts = {}
        elif not facts:
            head = row.split(" ")
            facts = {"sha": head[0], "line": head[2]} if len(head) > 2 else {}
        else:
            key, _, value = row.partition(" ")
            facts[key] = value
    return tuple(made)
