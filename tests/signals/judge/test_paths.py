"""Names in a patch that are one name on some disk, or mean git's own directory there; honest ones are let through."""

from __future__ import annotations

import pytest

from perstack.core.experts import VerifySpec
from perstack.signals.policy_patch import parse_patch
from perstack.signals.policy_paths import check_paths
from perstack.signals.protected import Protection

BASE = {"src/stats.py": "100644", "docs/caf\u00e9.md": "100644", "Makefile": "100644", "man/Foo::Bar.3": "100644"}


def refused(path: str) -> set[str]:
    """The codes that block a patch that adds a file of this name."""
    patch = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    protection = Protection.of(VerifySpec(), (), BASE)
    return {finding.code.value for finding in check_paths(parse_patch(patch), BASE, protection) if finding.blocks}


@pytest.mark.parametrize(
    "path",
    ["SRC/new.py", "src/stats.py.", "src/stats.py ", "src/Stats.PY", "src/stats.py::$DATA", "src./new.py",
     "docs/cafe\u0301.md", "docs/CAF\u00c9.md", "src/stats\uff0epy", "makefile"],
)  # fmt: skip
def test_a_name_that_replaces_another_on_some_disk_is_refused(path: str) -> None:
    assert refused(path) & {"path-escape", "hidden-characters"}


@pytest.mark.parametrize(
    "path",
    [".GIT/config", "sub/.git /hooks/x", ".git./x", "git~1/x", "a/.git::$INDEX_ALLOCATION/x", ".git:x", ".g\u200cit/x"],
)
def test_a_name_that_means_gits_own_directory_is_refused(path: str) -> None:
    assert refused(path) & {"path-escape", "hidden-characters"}


@pytest.mark.parametrize(
    "path",
    [
        "src/stats2.py",
        "src/stats.pyi",
        ".github2/x",
        "src/git.py",
        "a..b",
        "docs/caf\u00e9/x",
        "e.g/x",
        "man/Foo::Baz.3",
        "man/Foo",
    ],
)
def test_names_of_their_own_are_let_through(path: str) -> None:
    assert refused(path) == set()
