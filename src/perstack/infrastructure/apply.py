"""Writing a proved change into a user's checkout. All or nothing; never over work that is not committed."""

from __future__ import annotations

from pathlib import Path

from perstack.core.errors import UserError
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_tree import TreeEntry


async def apply_tree(repository: Repository, base: str, tree: str, checkout: Path) -> tuple[str, ...]:
    """Write the files in which `tree` differs from `base`; returns their paths.

    Raises: UserError, with nothing written, where a file in the checkout is not as in `base`.
    """
    before = {entry.path: entry for entry in await repository.list_files(base)}
    after = {entry.path: entry for entry in await repository.list_files(tree)}
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    contents: dict[str, bytes | None] = {}
    for path in changed:
        target = _place(checkout, path)
        expected = await repository.read_file(base, path) if path in before else None
        if _current(target) != expected:
            raise UserError(
                f"{path} in the working tree is not as in {base[:12]}: nothing was written",
                hint="commit or stash your changes to it, or apply the printed patch by hand",
            )
        contents[path] = await repository.read_file(tree, path) if path in after else None
    for path in changed:
        _write(_place(checkout, path), contents[path], after.get(path))
    return tuple(changed)


def _place(checkout: Path, path: str) -> Path:
    """Where a path of the tree lies; a link on the way could lead out of the checkout."""
    target = checkout / path
    if target.parent.resolve() != (checkout.resolve() / path).parent:
        raise UserError(f"{path} lies behind a symbolic link in the working tree: nothing was written")
    return target


def _current(target: Path) -> bytes | None:
    if target.is_symlink():
        return str(target.readlink()).encode()
    return target.read_bytes() if target.is_file() else None


def _write(target: Path, content: bytes | None, entry: TreeEntry | None) -> None:
    if content is None or entry is None:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.perstack")
    draft.write_bytes(content)
    draft.chmod(0o755 if entry.mode == "100755" else 0o644)
    draft.replace(target)
