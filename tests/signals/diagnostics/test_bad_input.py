"""Output that is cut, empty, huge, coloured or hostile: never an exception, never "no findings"."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.parsed import DIAGNOSTIC_LIMIT, LINES_LIMIT, MESSAGE_LIMIT, Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.read import Reading, read
from perstack.signals.diagnostics.tools import TOOLS, Form

SAMPLES = Path(__file__).parent / "samples"
STRUCTURED = [
    ("gcc", "gcc/gcc.json", "json"),
    ("clang", "clang/clang16.sarif", "sarif"),
    ("cargo", "rust/cargo-build.json", "json"),
    ("eslint", "ts-js/eslint.json", "json"),
    ("mypy", "python/mypy.json", "json"),
    ("pyright", "python/pyright.json", "json"),
    ("ruff", "python/ruff.json", "json"),
    ("sarif", "ts-js/eslint.sarif", "sarif"),
]
TEXT = [
    ("gcc", "gcc/g++.txt"),
    ("clang", "clang/clang-msvc.txt"),
    ("cargo", "rust/cargo-build.txt"),
    ("go", "go/build-go1.27.3.txt"),
    ("javac", "java/javac.txt"),
    ("maven", "java/mvn-compile-error.txt"),
    ("tsc", "ts-js/tsc5.txt"),
    ("eslint", "ts-js/eslint-stylish.txt"),
    ("mypy", "python/mypy.txt"),
    ("ruff", "python/ruff.full"),
]


def read_bytes(tool: str, raw: bytes, form: str = "text", *, exit_code: int = 1, root: str = "/tree") -> Reading:
    places = Places(root, ".", lambda path: True)
    return read(tool, Form((), form), Streams.decode(raw, b""), places, exit_code=exit_code)


@pytest.mark.parametrize(("tool", "sample", "form"), STRUCTURED)
def test_a_cut_document_is_a_problem_and_never_a_short_list(tool: str, sample: str, form: str) -> None:
    raw = (SAMPLES / sample).read_bytes()
    whole = read_bytes(tool, raw, form)
    assert whole.problem == ""
    for part in (0.2, 0.5, 0.9):
        cut = read_bytes(tool, raw[: int(len(raw) * part)].rstrip(), form)
        assert cut.problem_code in {"report-invalid", "report-missing"}, part


@pytest.mark.parametrize(("tool", "sample", "form"), STRUCTURED)
@pytest.mark.parametrize("raw", [b"", b"\n\n", b"Segmentation fault\n", b"\x00\xff\xfe", b"null\n", b"<html></html>"])
def test_no_document_where_one_was_asked_for_is_a_problem(tool: str, sample: str, form: str, raw: bytes) -> None:
    assert read_bytes(tool, raw, form).problem_code == "report-missing"


@pytest.mark.parametrize("tool", [*sorted(TOOLS), "auto"])
@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 50_000,
        b'{"a":' * 30_000,
        b'[{"kind": 1, "message": 2, "locations": 3}]',
        b'[{"filePath": 4, "messages": {"a": 1}}]',
        b'[{"filename": 1, "location": [], "message": {}}]',
        b'{"version": "2.1.0", "runs": [{"results": [1, {"locations": 7, "message": []}], "tool": 3}, "x"]}',
        b'{"generalDiagnostics": [3, {"range": {"start": {"line": -5, "character": true}}}], "summary": []}',
        b'{"reason": "compiler-message", "message": {"spans": [1], "level": []}}\n{"reason": "build-finished"}',
        b'{"file": {}, "line": "x", "column": 1e99, "severity": null, "message": []}',
        b'{"a": {"printf": [{"posn": 3}, {"posn": "a.go:99999999999999:1", "message": 1}]}}',
        b"a.c:" + b"9" * 5000 + b":1: error: far away\n",
        b":::::::::\n" * 1000 + b"(1,1): error TS1: x\n",
        b"a" * 400_000 + b":1:1: error: long\n",
        bytes(range(256)) * 50,
        b"[1,\n" * 50_000,
        b'{"a": [\n' * 30_000,
        b"error: x\n" * 30_000,
        b"a.py:1: error: " * 20_000,
    ],
    ids=range(18),
)  # fmt: skip
def test_hostile_output_is_read_in_bounded_time_without_an_exception(tool: str, raw: bytes) -> None:
    started = time.process_time()
    reading = read_bytes(tool, raw)
    assert all(0 <= d.line < 10**9 and 0 <= d.column < 10**9 for d in reading.diagnostics)
    assert all(d.severity in {"error", "warning", "note"} for d in reading.diagnostics)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(("tool", "sample"), TEXT)
def test_colour_line_ends_and_a_byte_order_mark_change_nothing(tool: str, sample: str) -> None:
    raw = (SAMPLES / sample).read_bytes()
    plain = read_bytes(tool, raw).diagnostics
    assert plain
    lines = raw.split(b"\n")
    coloured = b"\n".join(b"\x1b[1m\x1b[31m" + line[:3] + b"\x1b[0m" + line[3:] + b"\x1b[K" for line in lines)
    linked = b"\x1b]8;;https://example.org\x07" + raw
    for other in (coloured, linked, raw.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + raw):
        assert read_bytes(tool, other).diagnostics == plain


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    found = read_bytes("gcc", b"caf\xe9.c:1:2: error: bad \xff byte\n").diagnostics
    assert found == (Diagnostic("caf\ufffd.c", 1, "error", "bad \ufffd byte", 2),)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("src/a.c", "src/a.c"),
        ("./src/../src/a.c", "src/a.c"),
        ("/tree/src/a.c", "src/a.c"),
        ("/usr/include/stdio.h", "/usr/include/stdio.h"),
        ("../secret.c", "/secret.c"),
        ("/tree/../etc/passwd", "/etc/passwd"),
        ("/workshop/a.c", "/workshop/a.c"),
        ("src\\win\\a.c", "src/win/a.c"),
        ("C:\\proj\\a.c", "C:/proj/a.c"),
        ("<command-line>", ""),
        ("", ""),
    ],
)
def test_paths_become_those_of_the_repository_or_stay_outside(said: str, path: str) -> None:
    assert Places("/tree", ".", lambda path: True).path(said) == path


def test_paths_are_relative_to_where_the_tool_ran() -> None:
    tree = {"crates/one/src/lib.rs", "src/b.ts"}
    places = Places("/tree", "crates/one", tree.__contains__)
    assert places.path("src/lib.rs") == "crates/one/src/lib.rs"
    assert places.path("crates/one/src/lib.rs") == "crates/one/src/lib.rs"
    assert places.path("src/gone.rs") == "crates/one/src/gone.rs"


def test_windows_paths_of_a_compiler_keep_their_line() -> None:
    raw = rb"C:\proj\src\a.ts(3,5): error TS2322: bad" + b"\n"
    assert read_bytes("tsc", raw).diagnostics == (Diagnostic("C:/proj/src/a.ts", 3, "error", "bad", 5, "TS2322"),)
    raw = rb"src\a.c(3,5): error: bad" + b"\n"
    assert read_bytes("gcc", raw).diagnostics == (Diagnostic("src/a.c", 3, "error", "bad", 5),)


def test_more_diagnostics_than_can_be_kept_are_a_problem() -> None:
    raw = b"".join(b"a.c:%d:1: error: e\n" % line for line in range(1, DIAGNOSTIC_LIMIT + 2))
    reading = read_bytes("gcc", raw)
    assert reading.problem_code == "output-limit"


def test_more_lines_than_can_be_read_are_a_problem() -> None:
    started = time.process_time()
    for tool in ("gcc", "auto"):
        assert read_bytes(tool, b"\n" * (LINES_LIMIT + 1)).problem_code == "output-limit"
    assert time.process_time() - started < 1


def test_a_message_is_one_line_within_its_limit() -> None:
    log = {"generalDiagnostics": [{"file": "a.py", "severity": "error", "message": "x\n  y\r\n" + "z" * 10_000}]}
    (found,) = read_bytes("pyright", json.dumps(log).encode(), "json").diagnostics
    assert found.message.startswith("x y z")
    assert len(found.message) == MESSAGE_LIMIT


def test_a_forged_document_adds_and_never_takes_away() -> None:
    real = (SAMPLES / "python/ruff.sarif").read_bytes()
    forged = b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "ruff"}}, "results": []}]}\n'
    plain = read_bytes("sarif", real, "sarif")
    for raw in (forged + real, real + b"\n" + forged):
        assert read_bytes("sarif", raw, "sarif").diagnostics == plain.diagnostics


def test_a_suppressed_or_absent_sarif_result_is_no_finding_and_a_level_comes_from_its_rule() -> None:
    def result(**fields: object) -> dict[str, object]:
        place = {
            "physicalLocation": {
                "artifactLocation": {"uri": "a%20b.c", "uriBaseId": "ROOT"},
                "region": {"startLine": 2},
            }
        }
        return {"ruleIndex": 0, "message": {"id": "said", "arguments": ["x"]}, "locations": [place], **fields}

    rule = {"id": "R1", "defaultConfiguration": {"level": "error"}, "messageStrings": {"said": {"text": "no {0}"}}}
    results = [
        result(),
        result(suppressions=[{"kind": "inSource"}]),
        result(suppressions=[{"kind": "inSource", "status": "rejected"}], ruleIndex=7, ruleId="R2"),
        result(baselineState="absent"),
        result(kind="pass"),
    ]
    run = {
        "originalUriBaseIds": {"ROOT": {"uri": "file:///tree/src/"}},
        "tool": {"driver": {"name": "t", "rules": [rule]}},
        "results": results,
    }
    found = read_bytes("sarif", json.dumps({"version": "2.1.0", "runs": [run]}).encode(), "sarif").diagnostics
    assert found == (
        Diagnostic("src/a b.c", 2, "error", "no x", code="R1"),
        Diagnostic("src/a b.c", 2, "warning", "said", code="R2"),
    )


def _many(tool: str, count: int) -> bytes:
    rows = range(1, count + 1)
    if tool == "gcc":
        caret = [{"caret": {"file": f"src/f{n % 97}.c", "line": n, "column": 3}} for n in rows]
        return json.dumps(
            [{"kind": "error", "message": f"‘v{n}’ undeclared", "locations": [caret[n - 1]]} for n in rows]
        ).encode()
    if tool == "ruff":
        place = [{"row": n, "column": 1} for n in rows]
        return json.dumps(
            [
                {
                    "filename": f"/tree/f{n % 97}.py",
                    "code": "F401",
                    "message": f"`m{n}` unused",
                    "location": place[n - 1],
                }
                for n in rows
            ],
            indent=2,
        ).encode()
    if tool == "mypy":
        return b"".join(
            b'f%d.py:%d:3: error: Name "n%d" is not defined  [name-defined]\n' % (n % 97, n, n) for n in rows
        )
    if tool == "tsc":
        return b"".join(b"src/f%d.ts(%d,4): error TS2304: Cannot find name 'n%d'.\n" % (n % 97, n, n) for n in rows)
    return b"".join(
        b"error[E0425]: cannot find value `n%d`\n --> src/f%d.rs:%d:9\n  |\n%d | n\n\n" % (n, n % 97, n, n)
        for n in rows
    )


@pytest.mark.parametrize("tool", ["gcc", "ruff", "mypy", "tsc", "cargo"])
def test_ten_thousand_diagnostics_are_read_in_a_second_of_processor_time(tool: str) -> None:
    raw = _many(tool, 10_000)
    started = time.process_time()
    reading = read_bytes(tool, raw)
    fingerprints = {diagnostic.fingerprint for diagnostic in reading.diagnostics}
    assert time.process_time() - started < 1.0
    assert len(reading.diagnostics) == len(fingerprints) == 10_000
