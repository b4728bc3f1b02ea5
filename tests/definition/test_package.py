"""Packages of others: what a source may say, what comes in under which name, and how the line of it is written."""

from __future__ import annotations

import tomllib

import pytest

from perstack.core.errors import UserError
from perstack.definition.load import load_config
from perstack.definition.package import definition_files, experts_as, permissions, read_package, require_free
from perstack.definition.package_entry import with_entry, without_entry
from perstack.definition.package_source import parse_source

TEAM = """
model = "theirs"
[signals.x]
run = "true"
[experts.review]
instruction = "Review."
delegates = ["@review/deep"]
colour = "red"
[experts."@review/deep"]
instruction = "Look."
[experts."@review/deep".skills.s]
type = "mcpStdioSkill"
command = "uvx"
packageName = "server"
requiredEnv = ["KEY"]
allowedDomains = ["a.example.com"]
"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("github:acme/experts", ("github", "acme/experts", "", "")),
        ("github:acme/experts//a/b.toml@feature/x", ("github", "acme/experts", "a/b.toml", "feature/x")),
        ("git+https://x.example.com:84/t/e.git//x@v1.0", ("git", "https://x.example.com:84/t/e.git", "x", "v1.0")),
        ("git+file:///srv/e//x@v1", ("git", "file:///srv/e", "x", "v1")),
        ("git+http://127.0.0.1:80/a/b", ("git", "http://127.0.0.1:80/a/b", "", "")),
        ("../experts", ("local", "../experts", "", "")),
    ],
)  # fmt: skip
def test_a_source_is_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    source = parse_source(text)
    assert (source.kind, source.where, source.path, source.ref) == parts


@pytest.mark.parametrize(
    "text",
    [
        "acme/experts", "github:acme", "github:acme/experts@--upload-pack=x", "github:acme/experts@a..b",
        "github:acme/experts//../x", "github:acme/experts//a/../../x", "github:acme/experts//.git/config",
        "github:acme/experts//@v1", "github:-x/experts", "github:acme/..", "github:аcme/experts", "github:a/b\x1b[31m",
        "git+https://user:pass@host/x", "git+https://user:pass@host/x@v1", "git+https://xn--80ak6aa92e.com/x",
        "git+http://example.com/x", "git+ssh://host/x", "ext::sh -c id", "git+https:///x", "git+https://h/../x",
        "github:acme/experts@main.lock", "./a//b", "git+https://host/-x", "github:acme/experts@@{0}",
    ],
)  # fmt: skip
def test_a_source_that_could_mean_more_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        parse_source(text)


def test_only_experts_come_in_and_the_rest_is_named() -> None:
    package = read_package([("p", TEAM)])
    assert set(package.tables) == {"review", "@review/deep"}
    assert set(package.left_out) == {"model", "[signals]", "experts.review.colour"}
    assert "colour" not in str(package.tables)


def test_a_team_comes_in_under_the_name_it_is_given_and_its_delegates_with_it() -> None:
    experts = experts_as(read_package([("p", TEAM)]), "sec")
    assert set(experts) == {"sec", "@sec/deep"}
    assert experts["sec"].delegates == ("@sec/deep",)


def test_a_digest_is_of_what_is_said_and_not_of_its_layout() -> None:
    first = read_package([("p", TEAM)])
    again = read_package([("p", "# other words\n" + TEAM.replace("\n", "\r\n").replace('"true"', '"false"'))])
    assert first.digest == again.digest
    assert first.digest != read_package([("p", TEAM.replace("Look.", "Look!"))]).digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[experts.a]\ninstruction = "x"\ndelegates = ["deploy"]', "does not bring"),
        ("[signals.x]\nrun = 'true'", "no expert"),
        ('[experts.Review]\ninstruction = "x"', "Invalid expert key"),
        ('[experts."rеview"]\ninstruction = "x"', "Invalid expert key"),
        ('[experts.a]\ninstruction = "x"\n[experts."a@1.0.0"]\ninstruction = "y"', "one name"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply|not valid TOML"),
        ("x = " + "9" * 10_000, "not valid TOML"),
        ("#" * 300_000, "larger than"),
        ("\n".join(f'[experts.a{n}]\ninstruction = "x"' for n in range(65)), "at most 64"),
        ("[experts.a]\ninstruction = 2020-01-01", "instruction"),
    ],
)
def test_a_package_that_is_wrong_or_not_whole_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_package([("p", text)])


def test_a_dependency_replaces_nobody_and_joins_no_team() -> None:
    require_free(["review"], {"fix", "@fix/plan"}, "d")
    for taken in ("review", "review@2.0.0", "@review/extra"):
        with pytest.raises(UserError, match="replaces nobody"):
            require_free(["review", "@review/deep"], {taken}, "d")


def test_rights_are_told_one_by_one() -> None:
    rights = permissions(experts_as(read_package([("p", TEAM)]), "review")["@review/deep"])
    assert 'skill "s" is given the variable KEY' in rights
    assert 'skill "s" may reach a.example.com' in rights
    assert 'skill "s" starts ["uvx","server"]' in rights
    assert "base tool exec" in rights


def test_the_definition_is_looked_for_where_people_put_it() -> None:
    names = ["perstack.toml", "experts/a.toml", "experts/sub/b.toml", "t/x.toml", "t/y.txt"]
    assert definition_files(names, "") == (("perstack.toml",), ("experts/a.toml",))
    assert definition_files(names, "t") == (("t/x.toml",),)
    assert definition_files(names, "t/x.toml") == (("t/x.toml",),)
    assert definition_files(names, "none") == ()


@pytest.mark.parametrize(
    "text",
    [
        "", 'model = "m"', '# words\r\nmodel = "m"\r\n', '[experts.a]\ninstruction = """\n[dependencies]\nx = 1\n"""\n',
        '[dependencies]\nother = "./o"  # why\n\n[experts.a]\ninstruction = "x"\n',
    ],
)  # fmt: skip
def test_a_line_is_put_in_and_taken_out_and_all_else_stays(text: str) -> None:
    added = with_entry(text, "perstack.toml", "new", "github:a/b@v1")
    assert load_config(added).dependencies["new"] == "github:a/b@v1"
    changed = with_entry(added, "perstack.toml", "new", "github:a/b@v2")
    assert changed == added.replace("@v1", "@v2")
    back = without_entry(changed, "perstack.toml", "new")
    assert back.rstrip() == text.rstrip()
    assert tomllib.loads(back) == tomllib.loads(text)


def test_a_comment_behind_a_changed_line_stays() -> None:
    text = "[dependencies]\nnew = './a' # reason\nlast = './b'"
    assert with_entry(text, "p", "new", "./c") == "[dependencies]\nnew = \"./c\" # reason\nlast = './b'"


def test_a_table_that_cannot_be_edited_line_by_line_is_left_alone() -> None:
    with pytest.raises(UserError, match="line by line"):
        with_entry('dependencies = { a = "./a" }\n', "p", "b", "./b")
