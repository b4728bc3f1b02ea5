"""Git's ways in and out: borrowing from a checkout on this machine, fetching from and pushing to a forge.

Threat: a checkout's configuration and a remote's answers are hostile; a token must show neither in an argument list
nor in a file. So credentials travel in git's environment, and only the transport that the URL names is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import ForgeError, InfrastructureError, Superseded, UserError
from perstack.core.sandbox import ExecResult
from perstack.infrastructure.git_command import Git, last_line

_TRANSFER_S = 600.0
_MOVED = ("stale info", "non-fast-forward", "fetch first", "already exists", "cannot lock ref", "failed to update ref")
_HTTP_STATUS = re.compile(r"returned error: (\d{3})")


@dataclass(frozen=True, slots=True)
class Source:
    """A repository on this machine. `common` holds objects and refs; `root` is where a user would run git.

    `own` holds what belongs to this working tree alone, the index among it.
    """

    root: Path
    common: Path
    own: Path
    bare: bool = False


def locate(checkout: Path) -> Source:
    """Find the repository that `checkout` is in, reading as few of its files as possible and running nothing.

    Raises: UserError where there is none.
    """
    start = checkout.resolve()
    for folder in (start, *start.parents):
        marker = folder / ".git"
        if marker.is_dir():
            return Source(folder, _common(marker), marker)
        if marker.is_file():
            text = marker.read_text("utf-8", "replace").strip()
            if text.startswith("gitdir:"):
                own = (folder / text.removeprefix("gitdir:").strip()).resolve()
                return Source(folder, _common(own), own)
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            return Source(folder, _common(folder), folder, bare=True)
    raise UserError(f"not a git repository: {checkout}", hint="Run in a checkout, or name one with --repo.")


def _common(directory: Path) -> Path:
    """A linked working tree keeps objects and refs in the main one."""
    marker = directory / "commondir"
    return (directory / marker.read_text("utf-8").strip()).resolve() if marker.is_file() else directory


async def borrow(git: Git, source: Source) -> None:
    """Let `git` see a checkout's objects, and copy its refs. Only upload-pack runs over there, which runs nothing."""
    objects = source.common / "objects"
    if "\n" in str(objects):
        raise UserError(f"a repository path with a line break cannot be used: {str(source.root)!r}")
    (git.directory / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (git.directory / "objects" / "info" / "alternates").write_text(f"{objects}\n", "utf-8")
    shallow = source.common / "shallow"
    if shallow.is_file():
        (git.directory / "shallow").write_bytes(shallow.read_bytes())
    result = await git.run("ls-remote", "--symref", str(source.root), protocols="file")
    if result.exit_code:
        raise UserError(f"{source.root}: git cannot read this repository: {last_line(result.stderr)}")
    head, refs = _parse_refs(result.stdout.decode("utf-8", "surrogateescape"))
    if any(len(sha) != 40 for sha in refs.values()):
        raise UserError(f"{source.root}: repositories with SHA-256 object names are not supported")
    at_head = refs.pop("HEAD", "")
    refs = {name: sha for name, sha in refs.items() if name.startswith("refs/")}
    if (await _point(git, refs)).exit_code:  # one ref to nothing (a damaged or partial clone) must not cost the others
        refs = await _existing(git, refs)
        if (failed := await _point(git, refs)).exit_code:
            raise InfrastructureError(f"git update-ref failed: {last_line(failed.stderr)}")
    if head in refs:
        await git.check("symbolic-ref", "HEAD", head)
    elif at_head:
        await git.check("update-ref", "--no-deref", "HEAD", at_head)


async def _point(git: Git, refs: Mapping[str, str]) -> ExecResult:
    lines = "".join(f"update {name}\0{sha}\0\0" for name, sha in refs.items())
    return await git.run("update-ref", "-z", "--stdin", stdin=lines.encode("utf-8", "surrogateescape"))


async def _existing(git: Git, refs: Mapping[str, str]) -> dict[str, str]:
    """The refs whose objects are there."""
    shas = "".join(f"{sha}\n" for sha in refs.values()).encode()
    told = (await git.check("cat-file", "--batch-check=%(objectname)", stdin=shas)).decode().splitlines()
    return {name: sha for (name, sha), line in zip(refs.items(), told, strict=True) if line == sha}


def _parse_refs(text: str) -> tuple[str, dict[str, str]]:
    head = ""
    refs: dict[str, str] = {}
    for line in text.split("\n"):  # a ref's name may hold other characters that end lines elsewhere
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            head = value.removeprefix("ref: ") if name == "HEAD" else head
        elif name and not name.endswith("^{}") and not name.startswith("refs/replace/"):
            refs[name] = value
    return head, refs


async def fetch(git: Git, url: str, sha: str, *, header: str, depth: int | None) -> None:
    """Fetch one commit and keep it reachable under `refs/perstack/`."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
        raise UserError(f"not a full commit SHA: {sha!r}")
    options = ["--no-tags", "--no-write-fetch-head", "--quiet", "--force"]
    if depth is not None:
        options.append(f"--depth={depth}")
    elif (git.directory / "shallow").exists():
        options.append("--unshallow")
    refspec = f"+{sha}:refs/perstack/fetched/{sha}"
    result = await git.run(
        "fetch", *options, "--", url, refspec, env=credentials(url, header), protocols=protocol(url),
        timeout_s=_TRANSFER_S,
    )  # fmt: skip
    if result.exit_code:
        raise refused(f"commit {sha[:12]} could not be fetched", result)


async def push(git: Git, url: str, commit: str, branch: str, *, expected: str, header: str) -> None:
    """Move a branch from `expected` to `commit`, or make it. The lease and the ancestry are both checked."""
    ref = f"refs/heads/{branch}"
    if (await git.run("check-ref-format", ref)).exit_code:
        raise UserError(f"not a branch name: {branch!r}")
    if expected and (await git.run("merge-base", "--is-ancestor", expected, commit)).exit_code:
        raise Superseded(f"{branch}: the new commit does not follow {expected[:12]}; nothing was pushed")
    result = await git.run(
        "push", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected}", "--", url, f"{commit}:{ref}",
        env=credentials(url, header), protocols=protocol(url), timeout_s=_TRANSFER_S,
    )  # fmt: skip
    if result.exit_code == 0:
        return
    rejected = [line for line in result.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!\t")]
    if any(word in line for line in rejected for word in _MOVED):
        raise Superseded(f"{branch} is no longer at {expected[:12] or 'nothing'}; nothing was pushed")
    raise refused(f"{branch} could not be pushed", result, rejected)


def credentials(url: str, header: str) -> dict[str, str]:
    """git's environment: the header, for this URL only. Other users of the machine cannot read an environment."""
    if not header:
        return {}
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{url}.extraHeader", "GIT_CONFIG_VALUE_0": header}


def protocol(url: str) -> str:
    """The one transport that a URL may use. Raises: InfrastructureError for one that nobody may."""
    scheme = url.split("://", 1)[0] if "://" in url else "file"
    if scheme not in {"https", "http", "file"}:
        raise InfrastructureError(f"git may not use this transport: {scheme}")
    return scheme


def refused(what: str, result: ExecResult, rejected: list[str] | None = None) -> ForgeError:
    """The remote's own sentence, without what git adds around it."""
    text = result.stderr.decode("utf-8", "replace")
    remote = [line.removeprefix("remote:").strip() for line in text.splitlines() if line.startswith("remote:")]
    said = [line for line in remote if line] or [line.split("\t")[-1] for line in rejected or []]
    said = said or [line for line in text.splitlines() if line.startswith("fatal:")][:1]  # what follows is advice
    status = _HTTP_STATUS.search(text)
    return ForgeError(
        f"{what}: {' '.join(said)[:500] or last_line(result.stderr)}",
        status=int(status.group(1)) if status else None,
    )
