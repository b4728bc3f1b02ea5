"""The harness's own secrets in a candidate, in what a run says, and in evidence; each is pure."""

from __future__ import annotations

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Diagnostic, SignalRun, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import PolicyFinding, ReasonCode, Report, Verdict
from perstack.infrastructure.secrets import Redactor
from perstack.signals.evidence import Evidence
from perstack.signals.unsaid import cleared, secrets_added, secrets_in_binary, without_secrets

KEY = "gw-7Qm2Zx9LpT4vWc8Rb1NdYk"
SHORT = "p4ss-w0rd99xQ"
SECRETS = Redactor([KEY])
HEAD = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"


def patch(*lines: str) -> str:
    old = sum(line[0] != "+" for line in lines)
    new = sum(line[0] != "-" for line in lines)
    return f"{HEAD}@@ -1,{old} +1,{new} @@\n" + "".join(f"{line}\n" for line in lines)


@pytest.mark.threat("K6")
@pytest.mark.parametrize("written", [KEY, KEY[::-1], KEY.encode().hex(), KEY[:20], "', '".join(KEY)])
def test_a_candidate_that_adds_a_secret_of_the_harness_is_refused_however_it_is_written(written: str) -> None:
    (found,) = secrets_added(patch(" import os", f"+k = '{written}'"), SECRETS)
    assert (found.code, found.path, found.line) == (ReasonCode.SECRET_IN_PATCH, "a.py", 2)
    assert KEY not in found.detail


@pytest.mark.parametrize(
    "lines", [(f" k = '{KEY}'", "+x = 1"), (f"-k = '{KEY}'", f"+K = '{KEY}'"), (f"+k = '{KEY[:10]}'",),
              ("+our production",)]
)  # fmt: skip
def test_what_the_base_says_already_and_what_is_too_short_to_tell_is_no_news(lines: tuple[str, ...]) -> None:
    assert list(secrets_added(patch(*lines), Redactor([KEY, "production-database"]))) == []
    assert list(secrets_added("no patch", SECRETS)) == []


@pytest.mark.threat("K6")
@pytest.mark.parametrize(
    "lines",
    [(f"+k = '{SHORT}'",), (f"+k = '{KEY[:13]}'", f"+j = '{KEY[13:]}'"), (f"-k = '{KEY[:14]}'", f"+k = '{KEY}'")],
)
def test_a_short_secret_a_piece_of_one_and_more_than_was_there_before_are_refused(lines: tuple[str, ...]) -> None:
    found = [*secrets_added(patch(*lines), Redactor([KEY, SHORT]))]
    assert {one.code for one in found} == {ReasonCode.SECRET_IN_PATCH}


@pytest.mark.threat("K6")
def test_a_secret_in_a_name_or_in_a_file_that_is_no_text_is_refused_and_a_moved_one_is_not() -> None:
    new = f"diff --git a/{KEY}.txt b/{KEY}.txt\nnew file mode 100644\nindex 0000000..e69de29\n"
    rename = "diff --git a/{0} b/{1}\nsimilarity index 100%\nrename from {0}\nrename to {1}\n"
    assert [one.line for text in (new, rename.format("a", KEY)) for one in secrets_added(text, SECRETS)] == [0, 0]
    assert [*secrets_added(rename.format(f"a/{KEY}", f"b/{KEY}"), SECRETS)] == []
    token = b"ghp_0123456789abcdefABCDEFGHIJ"
    for said in (KEY.encode(), token):
        found = [*secrets_in_binary("a.bin", b"\0", b"\0" + said + b"\xff", SECRETS)]
        assert [(one.code, said.decode() in one.detail) for one in found] == [(ReasonCode.SECRET_IN_PATCH, False)]
        assert [*secrets_in_binary("a.bin", b"\0\0" + said, b"\0" + said, SECRETS)] == []


@pytest.mark.threat("K1")
def test_what_a_run_says_is_cleared_and_its_identities_stay() -> None:
    tests = {
        "t::a": TestCase("t::a", TestStatus.FAILED, message=f"assert {KEY} == 1"),
        "t::b": TestCase("t::b", TestStatus.PASSED),
    }
    found = (Diagnostic("a.py", 1, "error", f"bad literal {KEY}"),)
    run = SignalRun(SignalStatus.FAIL, 1.0, 1, tests, found, output=f"token {KEY}", problem=f"no {KEY}")
    done = cleared(run, SECRETS)
    assert KEY not in repr(done)
    assert (done.tests.keys(), done.status, done.output) == (run.tests.keys(), run.status, "token [redacted]")
    assert cleared(run, Redactor()) is run
    assert (
        cleared(replaced := SignalRun(SignalStatus.PASS, 1.0, output="ghp_0123456789abcdefABCDEF"), SECRETS) is replaced
    )


@pytest.mark.threat("K6")
@pytest.mark.parametrize("refused", [True, False])
def test_evidence_withholds_a_patch_that_holds_a_secret(refused: bool) -> None:
    token = "ghp_0123456789abcdefABCDEFGHIJ"
    policy = (PolicyFinding(ReasonCode.SECRET_IN_PATCH, "a.py", "GitHub token", 1),) if refused else ()
    report = Report(Verdict.FAIL, (), (), policy=policy, candidate_digest="d")

    def of(text: str) -> Evidence:
        return without_secrets(
            Evidence(
                specs=(), verify=VerifySpec(), targets=(), needs_red=False, changed_tests=(), patch=text,
                snapshot=Snapshot("host", ""), base_tree="", candidate_tree="", measurements={}, extra=(),
                report=report,
            ),
            SECRETS,
        )  # fmt: skip

    assert (KEY in of(f" {KEY}").patch, of(f" {KEY}").withheld) == (False, True)
    packed = "diff --git a/x b/x\nGIT binary patch\nliteral 9\nzcmd\n\nliteral 0\n\ndiff --git a/y b/y\n"
    assert ("zcmd" in of(packed).patch, "a/y b/y" in of(packed).patch) == (not refused, True)
    assert (token in of(token).patch, of(token).withheld) == (not refused, refused), (
        "a fixture that looks like one stays"
    )
