"""Check runs on GitHub: their life, their annotations, and what happens where they are not permitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perstack.core.errors import ForgeError
from perstack.core.signals import Diagnostic
from perstack.forge.contract import CheckOutput, CheckStatus, Ref
from perstack.forge.limits import CHECK_TEXT_LIMIT, utf16_units
from tests.forge.bench import SECRET, Bench
from tests.github_server import READ_ALL, Fault
from tests.github_server.state import GITHUB_ACTIONS, CheckRun

WORKING = CheckOutput("Working", "just started")
DONE = CheckOutput("Proved", "red → green", "the table")


def finding(line: int = 1, **changes: Any) -> Diagnostic:
    return replace(Diagnostic("calc.py", line, "error", f"finding {line}"), **changes)


def start(bench: Bench, output: CheckOutput = WORKING, external_id: str = "job-1") -> Ref:
    return bench.forge.start_check("perstack", bench.scene.head_sha, output, external_id=external_id)


def complete(bench: Bench, check: Ref, output: CheckOutput, conclusion: str = "failure") -> CheckRun:
    bench.forge.update_check(check, output, status=CheckStatus.COMPLETED, conclusion=conclusion)
    return bench.scene.repository.checks[check.id]


def test_a_check_run_goes_from_start_to_conclusion(bench: Bench) -> None:
    check = start(bench)
    assert check.url
    bench.forge.update_check(check, replace(WORKING, summary="half"), status=CheckStatus.IN_PROGRESS)
    run = complete(bench, check, DONE, "success")
    assert run.history == ["in_progress", "in_progress", "completed:success"]
    assert (run.name, run.head_sha, run.external_id) == ("perstack", bench.scene.head_sha, "job-1")
    assert run.output == {"title": "Proved", "summary": "red → green", "text": "the table"}


def test_a_check_run_links_to_the_workflow_run(bench: Bench) -> None:
    forge = bench.make(details_url="https://github.com/o/r/actions/runs/1")
    forge.start_check("perstack", bench.scene.head_sha, WORKING, external_id="x")
    assert bench.checks[0].details_url == "https://github.com/o/r/actions/runs/1"


def test_annotations_go_in_batches_of_fifty_and_the_conclusion_goes_first(bench: Bench) -> None:
    check = start(bench)
    run = complete(bench, check, replace(DONE, annotations=tuple(finding(n) for n in range(1, 121))))
    sizes = [len(r["body"]["output"]["annotations"]) for r in bench.requests("PATCH")]
    assert sizes == [50, 50, 20]
    assert [a["start_line"] for a in run.annotations] == list(range(1, 121))
    assert bench.requests("PATCH")[0]["body"]["conclusion"] == "failure"


def test_annotations_beyond_what_is_useful_are_counted(bench: Bench) -> None:
    check = start(bench)
    many = (*(finding(n, severity="note") for n in range(1, 600)), finding(9999))
    run = complete(bench, check, replace(DONE, summary="s" * 70_000, annotations=many))
    assert len(run.annotations) == 500
    assert run.annotations[0]["start_line"] == 9999
    assert run.output["summary"].endswith("100 more findings are not annotated here.\n")


def test_no_annotation_is_sent_twice(bench: Bench) -> None:
    output = replace(DONE, annotations=(finding(1), finding(1), finding(2)))
    check = start(bench, output)
    bench.forge.update_check(check, output, status=CheckStatus.IN_PROGRESS)
    run = complete(bench, check, replace(output, annotations=(*output.annotations, finding(3))))
    assert [a["start_line"] for a in run.annotations] == [1, 2, 3]


def test_annotations_say_place_level_and_code(bench: Bench) -> None:
    findings = (
        finding(3, column=7, code="E501"),
        finding(4, severity="warning"),
        finding(0, severity="hint", column=5),
    )
    run = complete(bench, start(bench), replace(DONE, annotations=findings))
    first, second, third = run.annotations
    assert (first["start_column"], first["end_column"], first["title"]) == (7, 7, "E501")
    assert [a["annotation_level"] for a in run.annotations] == ["failure", "warning", "notice"]
    assert "start_column" not in third
    assert (second["start_line"], third["start_line"], third["end_line"]) == (4, 1, 1)


def test_findings_github_cannot_place_are_left_out_and_counted(bench: Bench) -> None:
    paths = ["", "/etc/passwd", "../x.py", "a/../../b", "new\nline.py"]
    findings = (finding(1), *(finding(1, path=path) for path in paths), finding(2, message=" "))
    run = complete(bench, start(bench), replace(DONE, annotations=findings))
    assert len(run.annotations) == 1
    assert "6 more findings are not annotated here." in run.output["summary"]


def test_long_texts_are_cut_to_the_limits(bench: Bench) -> None:
    text = "🎉" * CHECK_TEXT_LIMIT
    output = CheckOutput("t" * 1000, text, text, (finding(1, message="é" * 70_000, code="c" * 300),))
    run = complete(bench, start(bench, replace(output, annotations=())), output)
    assert all(utf16_units(run.output[name]) <= CHECK_TEXT_LIMIT for name in ("summary", "text"))
    assert len(run.annotations[0]["message"].encode()) <= 64 * 1024
    assert len(run.annotations[0]["title"]) <= 255


def test_empty_texts_are_filled(bench: Bench) -> None:
    run = complete(bench, start(bench, CheckOutput("", "")), CheckOutput("Only a title", ""))
    assert run.output["summary"] == "Only a title"


def test_secrets_are_redacted_everywhere(bench: Bench) -> None:
    output = CheckOutput(SECRET, f"a {SECRET}", SECRET, (finding(1, message=SECRET, code=SECRET),))
    run = complete(bench, start(bench, output), output)
    assert "s3cr" not in f"{run.output}{run.annotations}"


def test_columns_github_refuses_are_left_out(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("status", method="PATCH", status=422, message="Invalid column"))
    run = complete(bench, start(bench), replace(DONE, annotations=(finding(3, column=500),)))
    assert "start_column" not in run.annotations[0]
    assert bench.log == []


def test_annotations_github_refuses_go_to_the_log(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("status", method="PATCH", status=422, times=2, message="Invalid"))
    run = complete(bench, start(bench), replace(DONE, annotations=(finding(3),)))
    assert (run.status, run.annotations) == ("completed", [])
    assert bench.log == ["::error file=calc.py,line=3::finding 3"]


@pytest.mark.parametrize("problem", ["read-only", "personal"])
def test_without_permission_findings_go_to_log_and_summary(bench: Bench, problem: str) -> None:
    bench.forge = bench.make(READ_ALL) if problem == "read-only" else bench.make(app=None, user=bench.scene.actor)
    check = start(bench)
    assert check == Ref(0)
    bench.forge.update_check(check, WORKING, status=CheckStatus.IN_PROGRESS)
    output = replace(DONE, annotations=(finding(2, column=4, code="x"),))
    bench.forge.update_check(check, output, status=CheckStatus.COMPLETED, conclusion="failure")
    start(bench)
    assert bench.checks == []
    assert bench.log[0].startswith("::notice title=No check run::cannot create the check run")
    assert bench.log[1:] == ["::error file=calc.py,line=2,col=4,title=x::finding 2"]
    assert bench.summary.read_text(encoding="utf-8").count("No check run") == 1


def test_an_unknown_commit_is_told(bench: Bench) -> None:
    with pytest.raises(ForgeError, match="No commit found for SHA"):
        bench.forge.start_check("perstack", "0" * 40, WORKING, external_id="x")


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
def test_a_check_run_whose_answer_was_lost_is_not_created_twice(bench: Bench, kind: str) -> None:
    start(bench, external_id="earlier")
    bench.scene.server.faults.add(Fault(kind, method="POST", path="/check-runs$"))
    check = start(bench, external_id="now")
    assert [run.external_id for run in bench.checks] == ["earlier", "now"]
    assert complete(bench, check, DONE).external_id == "now"


def test_an_update_survives_server_errors(bench: Bench) -> None:
    check = start(bench)
    fault = bench.scene.server.faults.add(Fault("status", method="PATCH", times=3, status=503))
    assert complete(bench, check, DONE).conclusion == "failure"
    assert fault.hits == 3


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
def test_annotations_whose_answer_was_lost_are_not_added_twice(bench: Bench, kind: str) -> None:
    check = start(bench)
    bench.scene.server.faults.add(Fault(kind, method="PATCH"))
    run = complete(bench, check, replace(DONE, annotations=tuple(finding(n) for n in range(1, 61))))
    assert [a["start_line"] for a in run.annotations] == list(range(1, 61))
    assert run.conclusion == "failure"


def test_twenty_thousand_findings_cost_ten_requests(bench: Bench) -> None:
    check = start(bench)
    before = len(bench.scene.server.state.requests)
    many = tuple(finding(n, severity="warning") for n in range(1, 20_000))
    run = complete(bench, check, replace(DONE, annotations=(*many, finding(20_000))))
    assert len(bench.scene.server.state.requests) - before == 10
    assert run.annotations[0]["start_line"] == 20_000
    assert "19,500 more findings" in run.output["summary"]


def test_check_runs_are_found_by_name_with_their_states_among_a_thousand(bench: Bench) -> None:
    first = start(bench, external_id="dead")
    complete(bench, start(bench, external_id="over"), DONE)
    for number in range(1000):
        run = CheckRun(10_000 + number, "other", bench.scene.head_sha, GITHUB_ACTIONS)
        bench.scene.repository.checks[run.id] = run
    forge = bench.make()
    before = len(bench.scene.server.state.requests)
    found = forge.find_checks(bench.scene.head_sha, "perstack")
    assert [(external, status.value) for _, external, status in found] == [
        ("over", "completed"),
        ("dead", "in_progress"),
    ]
    assert found[1][0].id == first.id
    assert len(bench.scene.server.state.requests) - before == 1
    assert len(forge.find_checks(bench.scene.head_sha, "other")) == 1000
    assert len(bench.scene.server.state.requests) - before == 11
    forge.update_check(found[1][0], DONE, status=CheckStatus.COMPLETED, conclusion="cancelled")
    assert bench.scene.repository.checks[first.id].conclusion == "cancelled"


def test_where_the_token_may_not_look_there_are_no_check_runs(bench: Bench) -> None:
    start(bench)
    assert bench.make({"contents": "read"}).find_checks(bench.scene.head_sha, "perstack") == ()


def test_a_rate_limit_is_not_taken_for_a_missing_permission(bench: Bench) -> None:
    bench.scene.server.faults.add(Fault("primary", method="POST", times=50))
    with pytest.raises(ForgeError):
        start(bench)
    assert bench.log == []


def test_progress_that_was_overtaken_does_not_open_a_completed_check_run(bench: Bench) -> None:
    check = start(bench)
    complete(bench, check, DONE, "success")
    bench.forge.update_check(check, WORKING, status=CheckStatus.IN_PROGRESS)
    assert bench.checks[0].history[-1] == "completed:success"
