"""Reading JUnit XML of many producers, and refusing what is not a report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import junitparser
import pytest

from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalKind, SignalSpec, SignalStatus, TestStatus
from perstack.signals.junit import ReportInvalid, read_junit
from perstack.signals.junit_case import seconds
from perstack.signals.junit_run import clear_reports, judge_reports, report_pattern

NODE = """<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testcase name="adds" time="0.001" classname="test"/>
  <testcase name="fails" time="" classname="test"><failure type="x" message="3 !== 2.5">stack</failure></testcase>
  <testsuite name="group" time="1,234.5">
    <testcase name="adds" classname="inner" time="1,234.5" file="a.js" line="7"/>
    <testcase name="skipped" classname="inner"><skipped type="skip"/></testcase>
  </testsuite>
</testsuites>"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "report.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def suite(cases: str) -> str:
    return f'<testsuite name="s" tests="99" failures="0">{cases}</testsuite>'


def statuses(path: Path) -> dict[str, str]:
    return {identity: case.status.value for identity, case in read_junit(path).items()}


def test_cases_outside_a_suite_are_read_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, NODE)
    assert statuses(path) == {
        "test::adds": "passed", "test::fails": "failed", "a.js::inner::adds": "passed", "inner::skipped": "skipped",
    }  # fmt: skip
    assert read_junit(path)["a.js::inner::adds"].seconds == 1234.5
    library = sum(1 for outer in junitparser.JUnitXml.fromfile(str(path)) for _ in outer)
    assert library < len(read_junit(path)), "where the library is right as well, our own walk can go"


def test_inside_suites_we_read_what_the_library_reads(tmp_path: Path) -> None:
    cases = "".join(
        f'<testcase classname="c" name="n{n}">{child}</testcase>'
        for n, child in enumerate(("", "<failure/>", "<error/>", "<skipped/>", "<system-out>x</system-out>"))
    )
    deep = suite(suite('<testcase name="deep"/>'))
    path = write(tmp_path, f"<testsuites>{suite(cases)}{deep}</testsuites>")
    library = {
        f"{case.classname}::{case.name}": case.is_passed
        for outer in junitparser.JUnitXml.fromfile(str(path))
        for case in outer
    }
    ours = {identity: case.status is TestStatus.PASSED for identity, case in read_junit(path).items()}
    assert {key.removeprefix("None::"): passed for key, passed in library.items()} == ours


@pytest.mark.parametrize(
    ("children", "status"),
    [
        ("<failure/><error/>", "error"),
        ('<skipped type="pytest.xfail"/>', "xfailed"),
        ('<skipped type="XFAIL"/>', "xfailed"),
        ('<skipped type="todo"/><failure message="m"/>', "xfailed"),
        ("<results><case><failure/></case></results>", "failed"),
        ("<failure/><flakyFailure/>", "failed"),
        ('<rerunFailure message="m"/>', "failed"),
        ('<flakyFailure message="m"/>', "skipped"),
        ("<system-err>failure</system-err><properties><property name='a' value='b'/></properties>", "passed"),
    ],
)
def test_the_worst_word_about_a_case_counts(tmp_path: Path, children: str, status: str) -> None:
    assert statuses(write(tmp_path, suite(f'<testcase name="a">{children}</testcase>'))) == {"a": status}


@pytest.mark.parametrize(
    ("word", "status"),
    [("notrun", "skipped"), ("disabled", "skipped"), ("fail", "failed"), ("run", "passed"), ("odd", "skipped")],
)
def test_a_status_attribute_is_heard(tmp_path: Path, word: str, status: str) -> None:
    assert statuses(write(tmp_path, suite(f'<testcase name="a" status="{word}"/>'))) == {"a": status}


def test_one_name_twice_is_the_worse_of_both(tmp_path: Path) -> None:
    twice = '<testcase name="a"><failure/></testcase><testcase name="a"/>'
    assert statuses(write(tmp_path, suite(twice))) == {"a": "failed"}


def test_control_characters_do_not_make_a_report_unreadable(tmp_path: Path) -> None:
    raw = b'<testsuite><testcase name="a\x07b"><failure>\x1b[31mred</failure></testcase></testsuite>'
    assert statuses(write(tmp_path, raw)) == {"ab": "failed"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not XML"),
        ("<testsuite><testcase name='a'/>", "not XML"),
        ("8 passed in 0.1s", "not XML"),
        ("<html><testcase name='a'/></html>", "root element"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>', "document type"),
        (" " * ((1 << 18) - 4) + '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (b"\xff\xfe<\x00t\x00>\x00", "root element"),
        (b"\xff\xfe<\x00t\x00>", "encoding that it says"),
        (b"<testsuite name='\xe9'/>", "not XML"),
        ("<?xml version='1.0' encoding='cp037'?><testsuite/>", "encoding cp037, which is not read"),
        ("<?xml version='1.0' encoding='utf-7'?><testsuite/>", "encoding utf-7"),
        ('<testsuites><testsuite name="gone" tests="3" failures="2"/></testsuites>', "of `gone` say 2 failed"),
        ("<testsuite>" * 70 + "</testsuite>" * 70, "64 deep"),
        (f"<testsuite><testcase name='{'n' * 20_001}'/></testsuite>", "longer than 20000"),
        (f"<testsuite><testcase name='{'n' * 5_000_000}'/></testsuite>", "4000000 bytes"),
        (b'<!DOC\x00TYPE x [<!ENT\x01ITY a "b">]><testsuite/>', "document type"),
        (b"".join(bytes([c, 0]) for c in b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>'), "document type"),
    ],
)
def test_what_is_not_one_whole_report_is_refused(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(ReportInvalid, match=why):
        read_junit(write(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1", "cp1252"])
def test_encodings_that_say_what_they_are_are_read(tmp_path: Path, encoding: str) -> None:
    declared = {"utf-8-sig": "UTF-8", "cp1252": "windows-1252"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?>' + suite('<testcase name="né"/>')
    assert statuses(write(tmp_path, text.encode(encoding))) == {"né": "passed"}


def test_forbidden_characters_as_references_are_left_out_even_across_chunks(tmp_path: Path) -> None:
    for padding in range((1 << 18) - 90, (1 << 18) - 60):
        text = (
            f"<testsuite>{' ' * padding}<testcase name='a&#x1b;b&#0;&#10;&amp;'><failure>&#27;[31m</failure></testcase>"
        )
        assert statuses(write(tmp_path, f"{text}</testsuite>")) == {"ab\n&": "failed"}


def test_a_suite_that_speaks_for_itself_is_a_case(tmp_path: Path) -> None:
    text = '<testsuites><testsuite name="s"><error message="no module"/><testcase name="a"/></testsuite></testsuites>'
    assert statuses(write(tmp_path, text)) == {"suite::s": "error", "a": "passed"}


def test_a_case_without_a_name_has_not_passed(tmp_path: Path) -> None:
    assert statuses(write(tmp_path, suite("<testcase time='0.0'/>"))) == {"": "error"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.25", 0.25), ("", 0), ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("0,012", 0.012), ("1,234,567", 1234567),
        ("1 234,5", 1234.5), ("1e-05", 1e-05), ("-1", 0), ("nan", 0), ("inf", 0), ("1e999", 1e9), ("9" * 99, 1e9),
        ("12s", 0),
    ],
)  # fmt: skip
def test_a_time_is_read_in_whatever_form(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


def test_more_cases_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perstack.signals.junit.CASE_LIMIT", 3)
    with pytest.raises(ReportInvalid, match="more than 3 test cases"):
        read_junit(write(tmp_path, suite("<testcase name='a'/>" * 4)))


def test_a_report_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path, "<testsuite>")
    with path.open("r+b") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(ReportInvalid, match="3000000000 bytes"):
        read_junit(path)


def test_a_link_is_not_a_report(tmp_path: Path) -> None:
    link = tmp_path / "link.xml"
    link.symlink_to(write(tmp_path, suite('<testcase name="a"/>')))
    with pytest.raises(ReportInvalid, match="regular file"):
        read_junit(link)


SPEC = SignalSpec("js", SignalKind.TEST, ("npx", "jest"), framework="jest", expect={"report": "out/*.xml"})


@pytest.mark.parametrize(
    ("text", "exit_code", "code"),
    [
        (suite('<testcase name="a"/>'), 0, ""),
        (suite('<testcase name="a"/>'), 1, "results-disagree"),
        (suite('<testcase name="a"><failure/></testcase>'), 0, "results-disagree"),
        (suite('<testcase name="a"><failure/></testcase>'), 1, ""),
        (suite(""), 0, "no-tests"),
        ("<oops", 0, "report-invalid"),
        (None, 0, "report-missing"),
        (suite('<testcase name="a"/>'), 127, "signal-error"),
    ],
)
def test_report_and_exit_code_must_agree(tmp_path: Path, text: str | None, exit_code: int, code: str) -> None:
    (tmp_path / "out").mkdir()
    if text is not None:
        (tmp_path / "out" / "r.xml").write_text(text)
    run = judge_reports(SPEC, ExecResult(exit_code, b"", b"", 1.0), tmp_path, report_pattern(SPEC))
    assert run.problem_code == code
    assert (run.status is SignalStatus.ERROR) == bool(code)


def test_stale_reports_are_deleted_and_patterns_stay_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.xml").write_text(suite('<testcase name="a"/>'))
    clear_reports(tmp_path, "out/*.xml")
    assert list((tmp_path / "out").iterdir()) == []
    for pattern in ("../x.xml", "/etc/*.xml", ""):
        assert report_pattern(SignalSpec("a", SignalKind.TEST, ("x",), expect={"report": pattern})) == ""


MEASURE = """
import sys, time
from pathlib import Path
from xml.parsers import expat
from perstack.core.signals import SignalRun, SignalStatus
from perstack.signals.compare_tests import compare_tests
from perstack.signals.junit import read_junit
started = time.process_time()
runs = [[SignalRun(SignalStatus.FAIL, 1.0, tests=read_junit(Path(name)))] for name in sys.argv[1:]]
delta = compare_tests(*runs, ()).delta
taken = time.process_time() - started
parser_alone = time.process_time()
for name in sys.argv[1:]:
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = (lambda tag, attributes: None), (lambda tag: None)
    with open(name, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 18), b""):
            parser.Parse(chunk, False)
parser_alone = time.process_time() - parser_alone
# not ru_maxrss: that still counts the process this one was forked from
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
print(len(delta.fail_to_pass), delta.pass_to_pass, len(delta.still_failing), taken, parser_alone, peak)
"""


def big_report(path: Path, every: int) -> Path:
    """A hundred thousand tests in a hundred megabytes, of which every n-th fails."""
    noise = "x" * 870
    said = (f"<failure message='no'>{noise}</failure>", f"<system-out>{noise}</system-out>")
    cases = (
        f'<testcase classname="pkg.m{n % 100}" name="test_{n}" file="tests/test_{n % 100}.py" time="0.01">'
        f"{said[n % every > 0]}</testcase>"
        for n in range(100_000)
    )
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    assert path.stat().st_size > 95_000_000
    return path


@pytest.mark.slow
def test_two_reports_of_a_hundred_thousand_tests_are_compared_in_six_seconds_and_400_megabytes(tmp_path: Path) -> None:
    paths = [str(big_report(tmp_path / f"{every}.xml", every)) for every in (10, 20)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    fixed, kept, failing, taken, parser_alone, megabytes = done.stdout.split()
    assert (fixed, kept, failing) == ("5000", "90000", "5000")
    # a machine that is busy with other things slows the bare parser as well, which needs one second here
    assert float(taken) < max(6, 6 * float(parser_alone)), done.stdout
    assert int(megabytes) < 400, done.stdout
