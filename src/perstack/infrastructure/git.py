"""Git, made safe: a bare repository the harness owns. It never runs git inside somebody's checkout.

Files leave a commit only through `export` and come back only through `snapshot`; both are in `git_tree.py`.
Talking to remotes is in `git_remote.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from perstack.core.commits import CommitContents
from perstack.core.errors import InfrastructureError, ToolError, UserError
from perstack.infrastructure import git_commits, git_ignore, git_remote, git_tree, git_worktree
from perstack.infrastructure.git_command import Git, last_line, not_here
from perstack.infrastructure.git_tree import Found, ScanLimits, TreeEntry

__all__ = ["Identity", "Patch", "Repository", "ScanLimits", "TreeEntry"]

_DIFF = (
    "diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=none",
    "--submodule=short",
)  # fmt: skip
_PATCH = ("-p", "--full-index", "--binary", "--src-prefix=a/", "--dst-prefix=b/", "-U3", "--diff-algorithm=histogram")


@dataclass(frozen=True, slots=True)
class Identity:
    """An author or committer."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A candidate. `digest` is the SHA-256 of `text` in hex; `files` are the touched paths, sorted."""

    text: str
    digest: str
    files: tuple[str, ...]
    insertions: int
    deletions: int

    @property
    def is_empty(self) -> bool:
        return not self.text


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare git directory the harness owns. It must outlive a checkout's objects only where those were fetched."""

    path: Path

    @property
    def _git(self) -> Git:
        return Git(self.path)

    @classmethod
    async def create(cls, path: Path) -> Repository:
        """Make an empty bare repository at `path` (parents included); an existing one is kept."""
        await anyio.Path(path).mkdir(parents=True, exist_ok=True)
        repository = cls(Path(await anyio.Path(path).resolve()))
        await repository._git.check("init", "--bare", "--quiet", "--template=", "--initial-branch=main")
        return repository

    @classmethod
    async def from_checkout(cls, checkout: Path, into: Path) -> Repository:
        """A bare repository at `into` that sees all commits and refs of a checkout and none of its configuration.

        Objects are borrowed, not copied: `checkout` must stay while the result is used.
        Raises: UserError where `checkout` is not inside a git repository.
        """
        source = git_remote.locate(checkout)
        repository = await cls.create(into)
        await git_remote.borrow(repository._git, source)
        return repository

    async def resolve(self, rev: str) -> str:
        """The full SHA of the commit `rev` names.

        Raises: UserError for an unknown revision.
        """
        result = await self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        if result.exit_code:
            hint = self._history_hint("Name a commit, branch or tag.")
            if rev == "HEAD":
                raise UserError("the repository has no commit yet (unknown revision: HEAD)", hint="Commit first.")
            raise UserError(f"unknown revision: {rev}", hint=hint)
        return result.stdout.decode().split()[0]

    async def merge_base(self, a: str, b: str) -> str:
        """The best common ancestor of two commits.

        Raises: UserError where they have none.
        """
        result = await self._git.run("merge-base", await self.resolve(a), await self.resolve(b))
        if result.exit_code:
            hint = self._history_hint("The histories are unrelated: name the base commit itself.")
            raise UserError(f"no common ancestor of {a} and {b}", hint=hint)
        return result.stdout.decode().split()[0]

    async def read_file(self, commit: str, path: str) -> bytes | None:
        """A file's bytes as stored in the commit; None where there is no such file.

        Raises: InfrastructureError where there is one, and its content is not here.
        """
        if path.split("/", maxsplit=1)[0] in {"", ".", ".."}:
            return None
        result = await self._git.run("cat-file", "blob", f"{commit}:{path}")
        if result.exit_code == 0:
            return result.stdout
        # A definition that is only not here must not be taken for none.
        listed = await self._git.run("--literal-pathspecs", "ls-tree", "-l", "-z", "--full-tree", commit, "--", path)
        found = [] if listed.exit_code else git_tree.parse_ls_tree(listed.stdout)
        if any(entry.type == "blob" and entry.path == path for entry in found):
            raise not_here(path, found[0].sha)
        return None

    async def list_files(self, commit: str) -> tuple[TreeEntry, ...]:
        """Every file, link and submodule of a commit or tree, in git's order."""
        return git_tree.parse_ls_tree(await self._git.check("ls-tree", "-r", "-l", "-z", "--full-tree", commit))

    async def folded_away(self, entries: Iterable[TreeEntry], paths: Sequence[str]) -> dict[str, str]:
        """Paths whose changes forges hide from readers, by the `.gitattributes` among `entries`."""
        rules = [entry for entry in entries if entry.path.rpartition("/")[2] == ".gitattributes"]
        return await git_ignore.folded_away(self._git, rules, paths)

    async def export(self, commit: str, into: Path, entries: Sequence[TreeEntry] | None = None) -> None:
        """Write a commit's files into a directory (made where missing) exactly as stored; no `.git`.

        Links that leave the tree and submodules are left out. `entries` are the commit's, where they are known.
        Raises: UserError for a tree with a path that no safe checkout has.
        """
        known = await self.list_files(commit) if entries is None else entries
        await git_tree.export(self._git, known, into)

    async def diff(self, base: str, other: str) -> Patch:
        """The difference of two commits or trees."""
        numbers = await self._git.check(*_DIFF, "--numstat", "-z", base, other)
        raw = await self._git.check(*_DIFF, *_PATCH, base, other) if numbers else b""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = (await self._diff_of_odd_bytes(base, other)).decode("utf-8", "backslashreplace")
        rows = [row.split(b"\t", 2) for row in numbers.split(b"\0") if row]
        return Patch(
            text=text,
            digest=hashlib.sha256(text.encode()).hexdigest(),
            files=tuple(sorted(row[2].decode("utf-8", "backslashreplace") for row in rows)),
            insertions=sum(int(row[0]) for row in rows if row[0] != b"-"),
            deletions=sum(int(row[1]) for row in rows if row[1] != b"-"),
        )

    async def raw_diff(self, base: str, other: str) -> bytes:
        """The difference as git writes it: text in any encoding as lines, binary is what holds null bytes."""
        return await self._git.check(*_DIFF, *_PATCH, base, other)

    async def snapshot(self, base: str, workspace: Path, *, limits: ScanLimits | None = None) -> tuple[str, Patch]:
        """The candidate in a workspace: its tree and its difference to `base`.

        Only the base's own `.gitignore` files count. `perstack/` and `.git` at the root stay as in the base.
        Raises: ToolError for special files, nested repositories, or more data than `limits` allow.
        """
        rules = tuple(entry for entry in await self.list_files(base) if entry.path.split("/")[-1] == ".gitignore")
        return await self._record(base, workspace, limits or ScanLimits(), rules=rules)

    async def tree_of_worktree(self, base: str, checkout: Path, without: Sequence[str] = ()) -> tuple[str, Patch]:
        """A user's working tree: changes of tracked files, and untracked files that are not ignored.

        `without` are folders in it that are not looked at, unless the base has files there.
        Raises: UserError where something in it cannot be recorded.
        """
        try:
            return await self._record(base, checkout, ScanLimits(), rules=None, without=without)
        except ToolError as error:
            raise UserError(f"the working tree cannot be recorded: {error.message}", hint=error.hint) from error

    async def apply(self, base: str, patch_text: str) -> str:
        """The tree of `base` with a patch applied.

        Raises: UserError where it does not apply, with git's own place.
        """
        async with self._index(base) as env:
            if patch_text.strip():
                data = patch_text.encode("utf-8", "surrogateescape")
                result = await self._git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=data, env=env)
                if result.exit_code:
                    lines = result.stderr.decode("utf-8", "replace").strip().splitlines()
                    where = "; ".join(line.removeprefix("error: ") for line in lines[:3])
                    if "No valid patches" in where:  # git goes on with advice about an option that nobody has here
                        where = "it holds no diff"
                    raise UserError(f"patch does not apply: {where}", hint="Make it against the base commit.")
            return (await self._git.check("write-tree", env=env)).decode().strip()

    async def commit(self, tree: str, parents: Sequence[str], message: str, *, author: Identity, timestamp: int) -> str:
        """Make a commit object; its SHA. `timestamp` is in seconds since 1970."""
        date = f"@{timestamp} +0000"
        env = {
            "GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email, "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": author.name, "GIT_COMMITTER_EMAIL": author.email, "GIT_COMMITTER_DATE": date,
        }  # fmt: skip
        options = [option for parent in parents for option in ("-p", parent)]
        out = await self._git.check("commit-tree", tree, *options, "-F", "-", stdin=message.encode(), env=env)
        return out.decode().strip()

    async def fetch(self, url: str, sha: str, *, header: str = "", depth: int | None = 1) -> None:
        """Fetch one commit. `header` is a whole HTTP header; `depth` None means all history.

        Raises: ForgeError where the remote refuses.
        """
        await git_remote.fetch(self._git, url, sha, header=header, depth=depth)

    async def push(self, url: str, commit: str, branch: str, *, expected: str, header: str = "") -> None:
        """Publish a commit on a branch that is at `expected` now ("" makes a new branch). Never a forced update.

        Raises: Superseded when the branch moved; ForgeError when the remote refuses.
        """
        await git_remote.push(self._git, url, commit, branch, expected=expected, header=header)

    async def contents(self, commit: str, most_bytes: int) -> CommitContents:
        """What a commit changes against its first parent; no contents over `most_bytes` together."""
        return await git_commits.read(self._git, commit, most_bytes)

    async def set_ref(self, ref: str, sha: str) -> None:
        """Point a full ref name (`refs/…`) at a commit."""
        await self._git.check("update-ref", ref, sha)

    def _history_hint(self, otherwise: str) -> str:
        if (self.path / "shallow").exists():
            return "The clone is shallow: fetch more history (`git fetch --unshallow`, or `fetch-depth: 0` in CI)."
        return otherwise

    @contextlib.asynccontextmanager
    async def _index(self, tree: str) -> AsyncIterator[dict[str, str]]:
        """An index of its own, filled from `tree` (empty for ""), as environment for git; gone afterwards."""
        folder = tempfile.mkdtemp(prefix="index-", dir=self.path)
        try:
            env = {"GIT_INDEX_FILE": f"{folder}/index"}
            if tree:
                await self._git.check("read-tree", tree, env=env)
            yield env
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _record(
        self,
        base: str,
        root: Path,
        limits: ScanLimits,
        *,
        rules: tuple[TreeEntry, ...] | None,
        without: Sequence[str] = (),
    ) -> tuple[str, Patch]:
        """Tree and patch of a directory. `rules` None: a user's checkout with its own ignore files."""
        tracked = {entry.path: entry for entry in await self.list_files(base)}
        checkout = rules is None
        skip = git_tree.reserved(tracked, checkout=checkout) | {
            name.casefold() for name in without if not any(path.startswith(f"{name}/") for path in tracked)
        }
        found = await anyio.to_thread.run_sync(lambda: git_tree.scan(root, limits, skip, checkout=checkout))
        if rules is None:
            wanted, absent, same = await self._as_its_user_sees(root, found, tracked)
            left_out: Collection[str] = absent
        else:
            wanted = found.without(await git_ignore.ignored_by(self._git, rules, found.beside(tracked)))
            absent, same = {}, git_tree.never
            left_out = await git_tree.links_left_out(self._git, root, wanted, tracked)
            git_tree.refuse_odd_names(wanted, tracked)
        git_tree.refuse_problems(wanted)
        changes = await anyio.to_thread.run_sync(
            lambda: git_tree.read_changes(
                root,
                wanted,
                tracked,
                limits,
                keep=lambda entry: git_tree.stays(entry, wanted, skip, left_out),
                same=same,
            )
        )
        changes = git_tree.with_absent(changes, absent, wanted, tracked)
        async with self._index(base) as env:
            await git_tree.store(self._git, changes, env)
            tree = (await self._git.check("write-tree", env=env)).decode().strip()
        return tree, await self.diff(base, tree)

    async def _as_its_user_sees(
        self, root: Path, found: Found, tracked: Mapping[str, TreeEntry]
    ) -> tuple[Found, dict[str, tuple[str, str]], git_tree.Same]:
        """What of a checkout counts, what it leaves out on purpose, and who tells an unchanged file in other form."""
        source = git_remote.locate(root)
        ignored = await git_worktree.ignored(self._git, source, found.beside(tracked))
        ignored -= {entry.path for entry in await self._head_files()}
        is_sparse = (source.own / "info" / "sparse-checkout").exists() or not found.paths.keys() >= tracked.keys()
        absent = await git_worktree.left_out(self._git, source) if is_sparse else {}
        here = [path for path in tracked if path in found.paths]
        return found.without(ignored), absent, await git_worktree.written_otherwise(self._git, source, here)

    async def _head_files(self) -> tuple[TreeEntry, ...]:
        try:
            return await self.list_files("HEAD")
        except InfrastructureError:
            return ()

    async def _diff_of_odd_bytes(self, base: str, other: str) -> bytes:
        """The same difference with files that are not UTF-8 as binary sections, so the patch is always text."""
        rows = (await self._git.check(*_DIFF, "--raw", "-z", "--no-abbrev", base, other)).split(b"\0")
        lines = []
        for meta, path in zip(rows[0::2], rows[1::2], strict=False):
            for sha in meta.split()[2:4]:
                blob = await self._git.run("cat-file", "blob", sha.decode())
                if not _is_utf8(blob.stdout):
                    lines.append(_attribute_pattern(path) + b" -diff\n")
                    break
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            attributes = Path(folder) / "attributes"
            attributes.write_bytes(b"".join(lines))
            options = ("-c", f"core.attributesFile={attributes}", "-c", "core.quotePath=true")
            result = await self._git.run(*options, *_DIFF, *_PATCH, base, other)
        if result.exit_code:
            raise InfrastructureError(f"git diff-tree failed: {last_line(result.stderr)}")
        return result.stdout


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _attribute_pattern(path: bytes) -> bytes:
    """A line of an attributes file that matches exactly this path from the root."""
    escaped = re.sub(rb'([\\*?\[\]!# "])', rb"\\\1", path)
    return b'"/' + escaped.replace(b"\\", b"\\\\").replace(b'\\\\"', b'\\"') + b'"'
