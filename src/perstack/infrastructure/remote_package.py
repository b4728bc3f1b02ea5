"""Reads a few text files out of somebody's repository, at one commit. Not a checkout: nothing is written but objects.

Threat: the server, its answers and the repository are hostile. git runs with our configuration alone (no hooks, no
filters, no submodules, no LFS, no redirects), nothing is checked out, links are refused, and sizes and times end.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from perstack.core.errors import ForgeError, UserError
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.git_command import Git
from perstack.infrastructure.git_remote import credentials, protocol, refused

MAX_FILE = 256 * 1024
MAX_TRANSFER = 64 * 1024 * 1024
_TIMEOUT_S = 120.0
_LOOK_S = 0.1
_LINKS = {"120000": "a symbolic link", "160000": "a submodule"}
_NAME = "package"
_SHA = re.compile(r"[0-9a-f]{40}")

Choose = Callable[[Iterable[str], str], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository and how it is reached: a whole HTTP header for it alone, an HTTP proxy; empty for none."""

    url: str
    header: str = ""
    proxy: str = ""

    def environment(self) -> dict[str, str]:
        """What git gets beside its fixed environment."""
        ways = {"https_proxy": self.proxy, "http_proxy": self.proxy} if self.proxy else {}
        return {**credentials(self.url, self.header), **ways}


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of files, name and text each, of which the first that fits is wanted; `commit` is "" for a folder."""

    commit: str
    files: tuple[tuple[tuple[str, str], ...], ...]


async def resolve(remote: Remote, ref: str, scratch: Path) -> str:
    """The commit that a branch, a tag or the default branch ("") of a remote is at now.

    Raises: UserError where there is no such ref; ForgeError where the remote does not answer.
    """
    if _SHA.fullmatch(ref):
        return ref
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        git = await _empty(Path(folder))
        result = await git.run(
            "ls-remote",
            "--",
            remote.url,
            env=remote.environment(),
            protocols=protocol(remote.url),
            timeout_s=_TIMEOUT_S,
        )
    if result.exit_code:
        raise _unreachable(refused(f"{remote.url} could not be read", result))
    refs: dict[str, str] = {}
    for line in result.stdout.decode("utf-8", "replace").splitlines():
        sha, _, name = line.partition("\t")
        if _SHA.fullmatch(sha):
            refs[name] = sha
    # A tag comes before a branch of the same name: it is what an author published.
    names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}") if ref else ("HEAD",)
    for name in names:
        if name in refs:
            return refs[name]
    known = sorted(name.rpartition("/")[2] for name in refs if name.startswith("refs/tags/") and "^" not in name)
    some = f"its tags: {', '.join(known[-8:])}" if known else "it has no tags"
    raise UserError(
        f"{remote.url} has no branch or tag `{ref or 'HEAD'}`", hint=f"Name a tag, a branch or a commit; {some}."
    )


async def read_commit(remote: Remote, commit: str, path: str, choose: Choose, scratch: Path) -> Groups:
    """The definition files of one commit that `choose` picks for `path`. Large blobs are not asked for.

    Raises: UserError where there is none, or one is a link or too large; ForgeError.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        git = await _partial(Path(folder), remote)
        await _fetch(
            git, remote, f"+{commit}:refs/perstack/package", f"--filter=blob:limit={MAX_FILE + 1}", "--depth=1"
        )
        listing = await git.check("ls-tree", "-r", "-z", "--full-tree", commit)
        entries: dict[str, tuple[str, str]] = {}
        for row in listing.split(b"\0"):
            meta, _, file = row.partition(b"\t")
            if file:
                mode, _, sha = meta.decode().split()
                entries[file.decode("utf-8", "surrogateescape")] = (mode, sha)
        wanted = choose(entries, path)
        _require(wanted, path, [f"{remote.url} at {commit[:12]}", *_links(entries, path)])
        for name in {name for group in wanted for name in group}:
            if (mode := entries[name][0]) in _LINKS:
                raise _link(name, _LINKS[mode])
        texts = await _texts(git, {name: entries[name][1] for group in wanted for name in group})
    return Groups(commit, tuple(tuple((name, texts[name]) for name in group) for group in wanted))


async def read_folder(place: Path, choose: Choose) -> Groups:
    """The same out of a folder of this machine, or of one file. Raises: UserError."""
    return await to_thread.run_sync(_read_folder, place, choose)


def _read_folder(place: Path, choose: Choose) -> Groups:
    root, path = (place.parent, place.name) if place.suffix == ".toml" and not place.is_dir() else (place, "")
    try:
        names = [entry.name for entry in root.iterdir()] + [
            f"experts/{entry.name}" for entry in (root / "experts").glob("*")
        ]
        wanted = choose(names, path)
        _require(wanted, path, [str(place)])
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UserError(f"{place}: cannot be read: {error.strerror}", hint="Name a folder or a *.toml file.") from error
    try:
        return Groups("", tuple(tuple((name, _read(fd, root, name)) for name in group) for group in wanted))
    finally:
        os.close(fd)


def _read(root: int, shown: Path, name: str) -> str:
    try:
        with os.fdopen(open_beneath(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _link(f"{shown / name}", "no regular file")
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        if (shown / name).is_symlink() or (shown / name).parent.is_symlink():
            raise _link(f"{shown / name}", _LINKS["120000"]) from error
        raise UserError(f"{shown / name}: cannot be read: {error.strerror}", hint="Check its permissions.") from error
    return _decoded(f"{shown / name}", data)


async def _empty(folder: Path) -> Git:
    git = Git(folder)
    await git.check("init", "--bare", "--quiet", "--template=", "--initial-branch=main")
    return git


async def _partial(folder: Path, remote: Remote) -> Git:
    """A repository that may lack what the remote has: without that, git refuses an answer without blobs."""
    git = await _empty(folder)
    await git.check("config", f"remote.{_NAME}.url", remote.url)
    config = folder / "config"
    settings = f"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = {_NAME}\n"
    promise = f'[remote "{_NAME}"]\n\tpromisor = true\n\tpartialclonefilter = blob:limit={MAX_FILE + 1}\n'
    config.write_text(config.read_text("utf-8") + settings + promise, "utf-8")
    return git


async def _fetch(git: Git, remote: Remote, refspec: str, *options: str) -> None:
    """One fetch with an end to its size. Raises: ForgeError, InfrastructureError, UserError."""
    words = ["fetch", "--no-tags", "--no-write-fetch-head", "--quiet", "--no-recurse-submodules", *options]
    too_large = False

    async def look(scope: anyio.CancelScope) -> None:
        nonlocal too_large
        while not too_large:
            await anyio.sleep(_LOOK_S)
            too_large = await to_thread.run_sync(_size, git.directory) > MAX_TRANSFER
        scope.cancel()

    result = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look, tasks.cancel_scope)
        result = await git.run(
            *words, "--", _NAME, refspec, env=remote.environment(), protocols=protocol(remote.url),
            timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        tasks.cancel_scope.cancel()
    if too_large or result is None:
        raise UserError(
            f"{remote.url} sends more than {MAX_TRANSFER // 2**20} MiB for a definition",
            hint="Ask its author to put the experts into a repository of their own, or copy the file over.",
        )
    if result.exit_code:
        raise _unreachable(refused(f"{remote.url} did not give {refspec.partition(':')[0].lstrip('+')[:12]}", result))


def _size(folder: Path) -> int:
    """Bytes of all files below a folder that git is still writing."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(at) / name).lstat().st_size
            except OSError:  # git took it away meanwhile
                continue
    return total


async def _texts(git: Git, wanted: dict[str, str]) -> dict[str, str]:
    """File name → text of the blob; those that are too large were left out of the answer, where the server can."""
    texts: dict[str, str] = {}
    for name, sha in wanted.items():
        found = await git.run("cat-file", "-s", sha)
        if found.exit_code or int(found.stdout) > MAX_FILE:
            raise _too_large(name)
        texts[name] = _decoded(name, await git.check("cat-file", "blob", sha))
    return texts


def _require(wanted: Sequence[Sequence[str]], path: str, told: Sequence[str]) -> None:
    if not wanted:
        raise UserError(
            f"there is no definition at `{path or '/'}` of {told[0]}{''.join(told[1:])}",
            hint="A definition is a perstack.toml or experts/*.toml; name its folder or file behind `//`.",
        )


def _links(entries: dict[str, tuple[str, str]], path: str) -> list[str]:
    """That a part of the path is a link, where that is why nothing was found."""
    parents = [path[:i] for i, char in enumerate(path) if char == "/"] + [path]
    return [
        f": `{part}` is {_LINKS[entries[part][0]]}"
        for part in parents
        if part in entries and entries[part][0] in _LINKS
    ]


def _decoded(name: str, data: bytes) -> str:
    if len(data) > MAX_FILE:
        raise _too_large(name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text (byte {error.start})", hint="Tell its author.") from error


def _too_large(name: str) -> UserError:
    return UserError(f"{name}: larger than {MAX_FILE // 1024} KiB", hint="A definition holds experts only.")


def _link(name: str, what: str) -> UserError:
    return UserError(f"{name}: is {what}, and a definition has to be a file", hint="Name the file itself.")


def _unreachable(error: ForgeError) -> ForgeError:
    hint = "Check the address and the network; redirects are not followed, so name where it is now."
    if error.status in {401, 403, 404} or re.search("could not read Username|not found", error.message):
        hint = "Check the name; for a private repository set GITHUB_TOKEN (it is sent to GitHub's own host only)."
    return ForgeError(error.message, hint=hint, status=error.status)
