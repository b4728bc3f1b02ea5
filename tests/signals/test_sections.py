"""Cutting a canonical patch into files and hunks, on patches that git made."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.infrastructure.git import Repository
from perstack.signals.protected import Protection
from perstack.signals.sections import cut, keep, without_part
from perstack.signals.tree import copy_tree, effective_tree, is_cache, make_tree
from tests.signals.project import Project

LONG = "".join(f"line {number}\n" for number in range(60))
BASE = {"a.py": LONG, "old.py": "X = 1\n", "ä ö.txt": "text\n", "tests/test_a.py": "def test_a():\n    pass\n"}
CHANGES = {
    "a.py": LONG.replace("line 5\n", "line five\ndiff --git a/x b/x\n@@ -1 +1 @@\n").replace("line 50\n", "fifty\n"),
    "old.py": None,
    "new.py": "Y = 2\n",
    "ä ö.txt": "texte\n",
    "tests/test_a.py": "def test_a():\n    assert 1\n",
    "tests/test_new.py": "def test_new():\n    pass\n",
    "pkg/__pycache__/x.cpython-311.pyc": "code\n",
    "pytest.ini": "[pytest]\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.make(tmp_path, BASE)


async def candidate(project: Project) -> tuple[Repository, str, str]:
    repository = await project.repository()
    tree = await repository.apply(project.base, project.patch(CHANGES))
    return repository, tree, (await repository.diff(project.base, tree)).text


@pytest.mark.anyio
async def test_sections_are_files_and_content_cannot_pretend_to_be_a_header(project: Project) -> None:
    _, _, text = await candidate(project)
    sections = {section.path: section for section in cut(text)}
    assert set(sections) == set(CHANGES)
    assert (sections["a.py"].parts, sections["new.py"].parts, sections["old.py"].parts) == (2, 1, 1)
    assert (sections["new.py"].added, sections["old.py"].deleted) == (True, True)
    assert keep(cut(text), lambda section: True) == text
    assert cut("") == ()


@pytest.mark.anyio
async def test_a_part_taken_out_leaves_a_patch_that_applies(project: Project) -> None:
    repository, _, text = await candidate(project)
    rest = await repository.apply(project.base, without_part(cut(text), "a.py", 0))
    content = await repository.read_file(rest, "a.py")
    assert content == LONG.replace("line 50\n", "fifty\n").encode()
    assert (
        await repository.read_file(await repository.apply(project.base, without_part(cut(text), "new.py", 0)), "new.py")
        is None
    )


@pytest.mark.anyio
async def test_the_judged_tree_has_neither_protected_changes_nor_tests_nor_caches(
    project: Project, tmp_path: Path
) -> None:
    repository, tree, _ = await candidate(project)
    paths = frozenset(BASE)
    effective = await effective_tree(repository, project.base, tree, Protection.of(VerifySpec(), (), paths), paths)
    made = await make_tree(repository, effective.tree, "candidate", tmp_path / "tree")
    assert made.files == {"a.py", "new.py", "ä ö.txt", "tests/test_a.py"}
    assert (made.path / "tests/test_a.py").read_text() == BASE["tests/test_a.py"]
    assert effective.changed_tests == ("tests/test_a.py",)
    own = await make_tree(repository, effective.own_tests_tree, "own", tmp_path / "own")
    assert own.files == made.files | {"tests/test_new.py"}
    assert (own.path / "tests/test_a.py").read_text() == CHANGES["tests/test_a.py"]


@pytest.mark.anyio
async def test_runs_get_copies_and_the_digest_covers_contents(project: Project, tmp_path: Path) -> None:
    repository = await project.repository()
    tree = await make_tree(repository, project.base, "base", tmp_path / "tree")
    again = await make_tree(repository, project.base, "again", tmp_path / "again")
    await copy_tree(tree, tmp_path / "copy", leave_out=lambda path: path == "old.py")
    (tmp_path / "copy" / "a.py").write_text("changed")
    assert (tree.path / "a.py").read_text() == LONG
    assert not (tmp_path / "copy" / "old.py").exists()
    assert tree.digest == again.digest
    other = await repository.apply(project.base, project.patch({"a.py": "other\n"}))
    assert (await make_tree(repository, other, "other", tmp_path / "other")).digest != tree.digest


@pytest.mark.parametrize(
    ("path", "cache"),
    [("a/__pycache__/b.pyc", True), (".pytest_cache/v/x", True), ("x.pyc", True), ("src/cache.py", False)],
)
def test_caches_are_known_by_name(path: str, cache: bool) -> None:
    assert is_cache(path) is cache
