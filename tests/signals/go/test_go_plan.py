"""What of a `go test` command is kept, and how the output of test binaries is read."""

# ruff: noqa: E501  # sources in one line

from __future__ import annotations

import pytest

from perstack.core.signals import SignalKind, SignalSpec, TestStatus
from perstack.signals.go.output import read_outcomes, read_packages, test_functions
from perstack.signals.go.plan import GoPlan, plan_go
from perstack.signals.suites.registry import framework_of


@pytest.mark.parametrize(
    ("command", "plan"),
    [
        ("go test ./...", GoPlan()),
        ("go test -count=1 -run ^TestX$ ./a ./b", GoPlan(("./a", "./b"))),
        ("go test -tags integration -race ./...", GoPlan(build=("-tags=integration", "-race"))),
        ("go test -short -timeout 5m -v ./...", GoPlan(run=("-test.short",))),
        ("go test -exec true -toolexec x -vet off", GoPlan((".",))),
        ("env CGO_ENABLED=0 go test ./...", GoPlan(environment={"CGO_ENABLED": "0"})),
        ("go test ./... -args -update=false", GoPlan(arguments=("-update=false",))),
        ("make test", GoPlan()),
    ],
)
def test_what_makes_tests_work_is_kept_and_what_chooses_or_reports_is_not(command: str, plan: GoPlan) -> None:
    assert plan_go(command.split()) == plan


@pytest.mark.parametrize(
    ("command", "name"), [("go test ./...", "go"), ("cargo test --locked", "cargo"), ("go vet", "")]
)
def test_a_test_signal_without_a_framework_is_recognised_by_its_command(command: str, name: str) -> None:
    framework = framework_of(SignalSpec("t", SignalKind.TEST, tuple(command.split())))
    assert (framework.name if framework else "") == name


def test_results_are_read_by_marks_wherever_a_test_left_the_cursor() -> None:
    said = b"\x16=== RUN   TestA\nno newline\x16--- FAIL: TestA (0.10s)\n\x16=== NAME  \n\x16=== RUN   TestB\n\x16--- PASS: TestB (0.00s)\n"
    found = read_outcomes(said)
    assert {name: outcome.status for name, outcome in found.items()} == {
        "TestA": TestStatus.FAILED,
        "TestB": TestStatus.PASSED,
    }
    assert "no newline" in found["TestA"].message


def test_a_line_without_the_mark_is_no_result() -> None:
    assert read_outcomes(b"--- PASS: TestA (0.00s)\nPASS\n") == {}


def test_two_results_of_one_test_are_an_error() -> None:
    twice = b"\x16=== RUN   TestA\n\x16--- PASS: TestA (0.00s)\n\x16--- FAIL: TestA (0.00s)\n"
    assert read_outcomes(twice)["TestA"].status is TestStatus.ERROR


def test_a_test_that_only_began_is_an_error() -> None:
    assert read_outcomes(b"\x16=== RUN   TestA\n")["TestA"].status is TestStatus.ERROR


@pytest.mark.parametrize("text", [b"", b"\x16", b"{", b"\xff\x16--- PASS", b"\x16--- PASS: \n"])
def test_broken_output_holds_no_result(text: bytes) -> None:
    assert read_outcomes(text) == {}
    assert read_packages(text, "/w") == []


def test_names_of_tests_come_from_code_and_not_from_texts() -> None:
    source = (
        "package a\n/*\nfunc TestComment(t *testing.T) {}\n*/\nvar s = `\nfunc TestText(t *testing.T) {}\n`\n"
        "func TestMain(m *testing.M) {}\nfunc Testify(t *testing.T) {}\nfunc TestReal(t *testing.T) {}\n"
        "func FuzzReal(f *testing.F) {}\nfunc ExampleReal() {}\nfunc (x T) TestMethod(t *testing.T) {}\n"
    )
    assert list(test_functions(source)) == ["TestReal", "FuzzReal", "ExampleReal"]
