"""Whatever a workspace holds: its patch, applied again, gives the very tree that was judged, and no other."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from perstack.infrastructure.git import Repository
from perstack.signals.sections import cut, keep
from perstack.signals.spec_digest import patch_digest
from tests.infrastructure.gitkit import checkout

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_NAMES = (
    "a", "b.py", "-rf", "--", "a b", "'q'", '"', "\u00e9", "\u65e5\u672c", "c\u00f4t\u00e9 ", "#x", "!x", ":x", "*",
    "$(x)", "{a,b}", " b/x", "b", "dev", "null", "x => y", "@", "~", "\u202e", "\U0001f600", "n" * 200,
)  # fmt: skip
_LINES = (
    b"", b"x = 1", b"diff --git a/b b/b", b"-- a/x", b"++ b/x", b"@@ -1 +1 @@", b"index 0..1", b"\\ No newline",
    b"GIT binary patch", b"-- ", b"new file mode 100644", b"rename to x", b"\t ", b"a\rb", b"\xe9", b"\x0c", b"\x1c",
    "\u2028\u0085".encode(), b"\0", b"\xef\xbb\xbf", b"<<<<<<< x", b"From 0", b"literal 1", "\u202e".encode(),
)  # fmt: skip
_ENDS = (b"\n", b"\r\n", b"\n\n", b"\r")


class Chance:
    """Trees by chance: few names, so that files, folders and links take each other's places."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def content(self) -> bytes:
        lines = [
            self.random.choice(_LINES) + self.random.choices(_ENDS, (9, 3, 1, 1))[0]
            for _ in range(self.random.randrange(12))
        ]
        text = b"".join(lines)
        return text.rstrip(b"\r\n") if self.random.random() < 0.3 else text

    def change(self, root: Path) -> None:
        """Put, alter or take away what one name leads to."""
        place = root.joinpath(*self.random.sample(_NAMES, self.random.choice((1, 1, 2, 3))))
        for folder in (place, *place.parents):
            if folder != root and (folder.is_symlink() or folder.is_file()) and folder.is_relative_to(root):
                folder.unlink()
        if place.is_dir():
            shutil.rmtree(place)
        kind = self.random.choices(("file", "program", "link", "nothing"), (6, 2, 1, 2))[0]
        if kind == "nothing":
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            place.symlink_to(self.random.choice(_NAMES))
            return
        place.write_bytes(self.content())
        place.chmod(0o755 if kind == "program" else 0o644)

    def alter(self, root: Path) -> None:
        """Change lines of some files, line ends alone of others, and rights."""
        for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
            lines = path.read_bytes().splitlines(keepends=True)
            way = self.random.randrange(8)
            if way == 0:
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
            elif way == 1 and lines:
                lines[self.random.randrange(len(lines))] = self.content()
                path.write_bytes(b"".join(lines))
            elif way == 2:
                path.chmod(path.stat().st_mode ^ 0o111)


def listing(root: Path) -> dict[str, tuple[str, bytes]]:
    """Everything that counts of a directory, read without git."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()).encode())
        elif path.is_file():
            found[name] = ("program" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
    return found


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(n, marks=pytest.mark.nightly) for n in range(2, 300))])
async def test_a_candidate_is_byte_for_byte_what_its_patch_gives(seed: int, tmp_path: Path) -> None:
    chance = Chance(seed)
    work = tmp_path / "work"
    repository = await Repository.from_checkout(checkout(tmp_path / "source", {"a": "x\n"}), tmp_path / "own")
    work.mkdir()
    for _ in range(25):
        chance.change(work)
    before, first = await repository.snapshot("HEAD", work)
    for _ in range(10):
        chance.change(work)
    chance.alter(work)
    tree, patch = await repository.snapshot(before, work)
    assert await repository.apply("HEAD", first.text) == before
    assert await repository.apply(before, patch.text) == tree
    assert keep(cut(patch.text), lambda _: True) == patch.text
    assert sorted({section.path for section in cut(patch.text)}) == list(patch.files)
    # As evidence keeps it: bytes in a file, told apart by their digest.
    (tmp_path / "candidate.patch").write_bytes(patch.text.encode("utf-8", "surrogateescape"))
    kept = (tmp_path / "candidate.patch").read_bytes().decode("utf-8", "surrogateescape")
    assert patch_digest(kept) == patch.digest
    assert await repository.apply(before, kept) == tree
    inside = {name: what for name, what in listing(work).items() if what[0] != "link"}
    await repository.export(tree, tmp_path / "again")
    again = listing(tmp_path / "again")
    assert {name: what for name, what in again.items() if what[0] != "link"} == inside
    assert (await repository.snapshot(tree, tmp_path / "again"))[0] == tree
    back = await repository.diff(tree, before)
    assert await repository.apply(tree, back.text) == before
