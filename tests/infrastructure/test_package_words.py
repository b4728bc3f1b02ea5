"""What may stand after `npx` and `uvx`, and what is refused."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure.package_words import Wanted, package_name, pinned, wanted


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("npx -y pkg", Wanted("npm", ("pkg",), "", ())),
        ("npx pkg", Wanted("npm", ("pkg",), "", ())),
        ("/usr/bin/npx pkg@1.2.3 -y --stdio", Wanted("npm", ("pkg@1.2.3",), "", ("-y", "--stdio"))),
        (
            "npx --yes @scope/server-x@latest /w",
            Wanted("npm", ("@scope/server-x@latest",), "", ("/w",)),
        ),
        ("npx -p @scope/a --package=b@^2 run it", Wanted("npm", ("@scope/a", "b@^2"), "run", ("it",))),
        ("npx -- pkg -p", Wanted("npm", ("pkg",), "", ("-p",))),
        (
            "uvx mcp-server-time --tz UTC",
            Wanted("pypi", ("mcp-server-time",), "mcp-server-time", ("--tz", "UTC")),
        ),
        ("uvx tool@1.0.2", Wanted("pypi", ("tool==1.0.2",), "tool", ())),
        ("uvx tool@latest x", Wanted("pypi", ("tool",), "tool", ("x",))),
        ("uvx tool[cli]>=1,<2", Wanted("pypi", ("tool[cli]>=1,<2",), "tool", ())),
        ("uvx --from pkg==2.0 --with a,b --with=c~=1 run", Wanted("pypi", ("pkg==2.0", "a", "b", "c~=1"), "run", ())),
        ("uvx --python 3.12 tool", Wanted("pypi", ("tool",), "tool", (), "3.12")),
        ("uvx -p python3.11 tool", Wanted("pypi", ("tool",), "tool", (), "3.11")),
    ],
)
def test_packages_programs_and_arguments_are_told_apart(line: str, expected: Wanted) -> None:
    command, *words = line.split()
    assert wanted(command, words) == expected


@pytest.mark.parametrize("command", ["node", "python3", "/opt/server", "npx-like", "bunx", "pnpm"])
def test_other_programs_are_started_as_they_are(command: str) -> None:
    assert wanted(command, ["pkg"]) is None


NPX_REFUSED = [
    "../up", "/abs", "./here", "a/b", "git+https://x/y", "https://x/y.tgz", "file:x", "x.tgz", "x@file:../y",
    "x@npm:other@1", "x@github:a/b", "@a/b/c", "@/x", "x@", "x@1@2", "-x", "--registry=evil", "x y", "x;id", "$(id)",
    "x..y", "x\n", "", "ü", "x" * 400, "@scope", "x@1/../2",
]  # fmt: skip


@pytest.mark.parametrize("word", NPX_REFUSED)
@pytest.mark.parametrize("before", [(), ("-y",), ("-p",)])
def test_npx_takes_only_names_of_the_registry(word: str, before: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        wanted("npx", [*before, word, "x"])


UVX_REFUSED = [
    "../up", "/abs", "./here", "a/b", "git+https://x/y", "https://x/y.whl", "x.whl", "x.tar.gz", "x@git+https://y",
    "x @ file:///y", "x@", "-x", "--index-url=evil", "--with-requirements", "x;id", "x[a", "x==", "x==1;python_version",
    "x..y", "", "ü", "x" * 400,
]  # fmt: skip


@pytest.mark.parametrize("word", UVX_REFUSED)
@pytest.mark.parametrize("before", [(), ("--from",), ("--with",)])
def test_uvx_takes_only_names_of_the_registry(word: str, before: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        wanted("uvx", [*before, word, "x"])


@pytest.mark.parametrize(
    "line", ["npx", "npx -y", "npx -p x", "npx -c id", "uvx", "uvx --from x", "uvx --python ~/x y"]
)
def test_a_line_without_its_package_says_so(line: str) -> None:
    command, *words = line.split()
    with pytest.raises(UserError) as failure:
        wanted(command, words)
    assert failure.value.hint


@pytest.mark.parametrize(
    ("line", "name", "spec"),
    [
        ("npx -y pkg", "pkg", "pkg@1.2.3"),
        ("npx @scope/server-x@latest /w", "@scope/server-x", "@scope/server-x@1.2.3"),
        ("npx -p pkg@^1 run", "pkg", "pkg@1.2.3"),
        ("uvx Some_Tool", "some-tool", "Some_Tool==1.2.3"),
        ("uvx tool[cli]>=1,<2", "tool", "tool[cli]==1.2.3"),
        ("uvx --from pkg==2.0 --with a run", "pkg", "pkg==1.2.3"),
    ],
)
def test_the_first_package_is_named_and_pinned_and_nothing_else_changes(line: str, name: str, spec: str) -> None:
    command, *words = line.split()
    want = wanted(command, words)
    assert want is not None
    assert package_name(want) == name
    exact = pinned(want, "1.2.3")
    assert exact.specs == (spec, *want.specs[1:])
    assert (exact.program, exact.arguments) == (want.program, want.arguments)


@pytest.mark.parametrize("line", ["npx pkg", "uvx pkg"])
@pytest.mark.parametrize("version", ["--evil", "1 --evil", "file:x", "../x", "https://example.com/x.tgz", ""])
def test_what_is_no_version_is_refused_wherever_it_comes_from(line: str, version: str) -> None:
    command, *words = line.split()
    want = wanted(command, words)
    assert want is not None
    with pytest.raises(UserError):
        pinned(want, version)
