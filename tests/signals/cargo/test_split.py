"""Telling tests from product in Rust sources, putting the base's tests back, and what of a command is kept."""

# ruff: noqa: E501  # sources in one line

from __future__ import annotations

import pytest

from perstack.core.signals import TestStatus
from perstack.signals.cargo.lexer import Unreadable
from perstack.signals.cargo.output import read_doctests, read_events
from perstack.signals.cargo.plan import module_files, plan_cargo
from perstack.signals.cargo.split import product_of, restore, split

PRODUCT = "pub fn brace() -> char {\n    '{'\n}\n\npub fn raw<'a>(s: &'a str) -> &'a str {\n    let _ = (r#\"}\"{\"#, b'}', s);\n    s /* { /* */ */\n}\n"
TESTS = "#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n    #[test]\n    fn one() {\n        assert_eq!(super::brace(), '{', \"}}\");\n    }\n}"


def test_tests_are_found_past_brackets_in_texts_and_comments() -> None:
    found = split(f"{PRODUCT}\n{TESTS}\n\npub fn after() {{}}\n")
    assert found.tests == (TESTS,)
    assert "pub fn after() {}" in found.product
    assert "assert_eq" not in found.product
    assert found.product.count("\n") == found.text.count("\n")


def test_the_tests_of_the_base_come_back_with_the_product_of_the_candidate() -> None:
    candidate = PRODUCT.replace("'{'\n", "'['\n") + TESTS.replace("assert_eq!(", "drop((").replace('"}}")', '"}}"))')
    restored = restore(PRODUCT + TESTS, candidate)
    assert "'['\n" in restored
    assert split(restored).tests == (TESTS,)


@pytest.mark.parametrize(
    "gone",
    ["", "#[cfg(any())]\nmod tests {}\n", "mod other {}\n", TESTS.replace("#[cfg(test)]", "#[cfg(all(test, any()))]")],
)
def test_removed_and_disabled_tests_come_back(gone: str) -> None:
    assert TESTS in restore(PRODUCT + TESTS, PRODUCT + gone)


def test_a_candidate_that_leaves_the_tests_alone_stays_as_it_is() -> None:
    candidate = f"// new\n{PRODUCT}\n{TESTS}\n"
    assert restore(PRODUCT + TESTS, candidate) == candidate


def test_tests_that_only_the_candidate_has_are_taken_out() -> None:
    assert "assert_eq" not in restore("", PRODUCT + TESTS)


def test_a_test_in_a_plain_module_comes_back_into_that_module() -> None:
    base = "mod inner {\n    pub fn f() {}\n\n    #[test]\n    fn t() { f() }\n}\n"
    restored = restore(base, base.replace("#[test]", "#[test]\n    #[ignore]"))
    assert "ignore" not in restored
    assert split(restored).items[0].around == ("inner",)


def test_a_module_with_tests_that_is_gone_is_not_guessed_at() -> None:
    with pytest.raises(Unreadable, match="inner"):
        restore("mod inner {\n    #[test]\n    fn t() {}\n}\n", "fn other() {}\n")


@pytest.mark.parametrize("text", ['"', 'r#"x"', "/* /* */", "fn f() {", "fn f() )", "[)", 'b"x'])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(Unreadable):
        split(text)
    assert product_of(text) == text


def test_a_test_only_statement_inside_product_stays_product() -> None:
    assert "cfg(test)" in product_of("fn f() -> i32 {\n    #[cfg(test)]\n    return 1;\n    2\n}\n")


def test_a_command_keeps_targets_and_features_and_drops_filters() -> None:
    words = (
        "cargo +nightly test --workspace --features a,b --locked -j 4 --no-fail-fast median -- --skip slow --ignored"
    )
    plan = plan_cargo(words.split(), {}, ())
    assert plan.flags == ("--workspace", "--features=a,b", "--locked")
    assert plan.toolchain == ("+nightly",)
    assert plan.ignored


def test_doctests_run_where_the_command_would_and_the_base_has_some() -> None:
    files = {"src/lib.rs": b"/// ```\n/// f();\n/// ```\npub fn f() {}\n"}
    assert plan_cargo(["cargo", "test"], files, files).doctests
    assert not plan_cargo(["cargo", "test", "--lib"], files, files).doctests
    assert not plan_cargo(["cargo", "test"], {"src/lib.rs": b'const X: &str = "```";\n'}, files).doctests


def test_files_that_are_modules_of_tests_are_kept_whole() -> None:
    files = {"src/lib.rs": b"#[cfg(test)]\nmod checks;\n", "src/checks.rs": b"#[test]\nfn t() {}\n"}
    assert set(plan_cargo(["cargo", "test"], files, files).whole) == {"src/checks.rs"}
    assert module_files("src/a.rs", "tests") == ("src/a/tests.rs", "src/a/tests/mod.rs")


def test_events_are_read_and_contradictions_are_errors() -> None:
    start = b'{ "type": "test", "event": "started", "name": "a" }\n'
    passed, failed = (b'{ "type": "test", "name": "a", "event": "%s" }\n' % word for word in (b"ok", b"failed"))
    assert read_events(start + b"noise" + passed)["a"].status is TestStatus.PASSED
    assert read_events(start + passed + failed)["a"].status is TestStatus.ERROR
    assert read_events(start)["a"].status is TestStatus.ERROR
    assert read_events(b'\xff{\n[]\n{"type": "test"}\n') == {}


def test_a_doctest_keeps_its_id_when_lines_move() -> None:
    one, other = (b"test src/lib.rs - f (line %d) ... ok\n" % line for line in (3, 9))
    assert read_doctests(one, "").keys() == read_doctests(other, "").keys() == {"src/lib.rs::doc f #1"}
