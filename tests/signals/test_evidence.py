"""Evidence: written beside a verdict, derived again from it, and found out when a byte was changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perstack.core.json import canonical
from perstack.core.signals import Diagnostic, SignalRun, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode, Verdict
from perstack.signals.audit import audit
from perstack.signals.evidence import EvidenceInvalid, rederive, run_from_json, run_to_json, seal_of
from tests.signals.project import BUGGY, CALC, FIXED, Project

Statement = dict[str, Any]


@pytest.fixture(scope="module")
async def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of one accepted and one refused candidate, below `good` and `bad`."""
    folder = tmp_path_factory.mktemp("evidence")
    project = Project.make(folder, CALC)
    verifier = project.verifier()
    for name, text in (("good", FIXED), ("bad", BUGGY + "\nLIMIT = 1\n")):
        request = await project.request(project.patch({"calc.py": text}))
        report = await verifier.verify(replace(request, out=folder / name))
        assert report.evidence == str(folder / name / "evidence.json")
    empty = await verifier.verify(replace(request, patch="", out=folder / "empty"))
    assert empty.verdict is Verdict.FAIL
    return folder


def load(folder: Path) -> tuple[Statement, Callable[[str], bytes]]:
    return json.loads((folder / "evidence.json").read_text()), lambda path: (folder / path).read_bytes()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "verdict", "codes"),
    [
        ("good", Verdict.PASS, set()),
        ("bad", Verdict.FAIL, {ReasonCode.STILL_FAILING, ReasonCode.NOTHING_RED}),
        ("empty", Verdict.FAIL, {ReasonCode.EMPTY_PATCH}),
    ],
)
async def test_the_same_verdict_follows_from_the_evidence(
    bundle: Path, name: str, verdict: Verdict, codes: set[ReasonCode]
) -> None:
    found, reasons = rederive(*load(bundle / name))
    assert (found, {reason.code for reason in reasons}) == (verdict, codes)


@pytest.mark.anyio
async def test_a_statement_names_the_candidate_by_its_digest(bundle: Path) -> None:
    statement, read = load(bundle / "good")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["name"] == "candidate.patch"
    assert b"ordered[middle - 1]" in read("candidate.patch")
    predicate = statement["predicate"]
    assert {row["tree"] for row in predicate["results"]} == {"base", "candidate"}
    assert len({predicate["baseTree"], predicate["candidateTree"], predicate["snapshot"]["digest"]}) == 3


def lie_about_the_verdict(statement: Statement) -> None:
    statement["predicate"]["verdict"] = "pass"
    statement["predicate"]["reasons"] = []


def leave_out_the_results(statement: Statement) -> None:
    statement["predicate"]["results"] = []


def say_nothing_was_measured(statement: Statement) -> None:
    statement["predicate"] |= {"measured": False, "verdict": "pass", "reasons": [], "extra": []}


def change_a_specification(statement: Statement) -> None:
    statement["predicate"]["signals"][0]["spec"]["priority"] = "should"


def change_a_digest(statement: Statement) -> None:
    statement["predicate"]["results"][0]["sha256"] = "0" * 64


def lose_a_part(statement: Statement) -> None:
    del statement["predicate"]["signals"]


def break_a_word(statement: Statement) -> None:
    statement["predicate"]["extra"] = [{"code": "no-such-code", "detail": "", "signal": ""}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "tamper",
    [lie_about_the_verdict, leave_out_the_results, say_nothing_was_measured, change_a_specification, change_a_digest,
     lose_a_part, break_a_word],
)  # fmt: skip
async def test_a_changed_statement_is_found_out(bundle: Path, tamper: Callable[[Statement], None]) -> None:
    statement, read = load(bundle / "bad")
    tamper(statement)
    with pytest.raises(EvidenceInvalid):
        rederive(statement, read)


@pytest.mark.anyio
async def test_a_changed_result_file_is_found_out(bundle: Path) -> None:
    statement, read = load(bundle / "bad")
    with pytest.raises(EvidenceInvalid, match="digest"):
        rederive(statement, lambda path: read(path).replace(b'"failed"', b'"passed"'))


@pytest.mark.anyio
async def test_an_audit_gives_the_verdict_and_what_a_second_run_needs(bundle: Path) -> None:
    found = audit(bundle / "good" / "evidence.json")
    assert (found.verdict, found.reasons) == (Verdict.PASS, ())
    assert "ordered[middle - 1]" in found.patch
    assert [spec.name for spec in found.specs] == ["tests"]
    assert found.files == 2 + len(list((bundle / "good" / "results").iterdir()))


@pytest.mark.anyio
async def test_no_byte_of_evidence_changes_unnoticed(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle / "good", copy)
    for path in sorted(file for file in copy.rglob("*") if file.is_file()):
        data = path.read_bytes()
        places = range(0, len(data), max(1, len(data) // 40))
        for place in places:
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(EvidenceInvalid):
                audit(copy / "evidence.json")
        for changed in (data + b" ", data[:-1], b""):
            path.write_bytes(changed)
            with pytest.raises(EvidenceInvalid):
                audit(copy / "evidence.json")
        path.write_bytes(data)
    assert audit(copy / "evidence.json").verdict is Verdict.PASS


@pytest.mark.anyio
async def test_evidence_cannot_name_a_file_outside_its_folder(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle / "good", copy)
    statement, _ = load(copy)
    (tmp_path / "other.json").write_bytes((copy / statement["predicate"]["results"][0]["path"]).read_bytes())
    statement["predicate"]["results"][0]["path"] = "../other.json"
    statement["predicate"]["seal"] = seal_of(statement)
    (copy / "evidence.json").write_text(canonical(statement) + "\n")
    with pytest.raises(EvidenceInvalid, match="never has"):
        audit(copy / "evidence.json")


def test_a_run_survives_being_written_and_read() -> None:
    run = SignalRun(
        SignalStatus.FAIL,
        1.5,
        exit_code=1,
        tests={"a": TestCase("a", TestStatus.FAILED, 0.1, "müssen", "a.py", 3)},
        diagnostics=(Diagnostic("a.py", 1, "error", "m", 2, "E1"),),
        output="text",
        problem="p",
        problem_code="timed-out",
    )
    assert run_from_json(json.loads(json.dumps(run_to_json(run)))) == run
