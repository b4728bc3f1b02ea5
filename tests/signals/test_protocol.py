"""The protocol from patch to verdict, on real repositories in real sandboxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import HunkNecessity, Verdict
from tests.signals.project import BUGGY, CALC, FIXED, PYTEST, TESTS, Project, codes

GREEN_TESTS = {**CALC, "calc.py": FIXED}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.make(tmp_path, CALC)


@pytest.mark.anyio
async def test_an_honest_fix_passes_with_every_hunk_judged(project: Project) -> None:
    report = await project.verify({"calc.py": FIXED, "README.md": "# calc\n\nMedian is right now.\n"})
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    (signal,) = report.signals
    assert signal.tests is not None
    assert signal.tests.fail_to_pass == ("tests/test_calc.py::test_median_even[values0-2.5]",)
    assert signal.tests.pass_to_pass == 3
    assert report.necessity == (
        HunkNecessity("README.md", 1, verified=False),
        HunkNecessity("calc.py", 1, verified=True),
    )


@pytest.mark.anyio
async def test_a_patch_that_fixes_nothing_fails(project: Project) -> None:
    report = await project.verify({"calc.py": BUGGY + "\n\ndef mode(values):\n    return values[0]\n"})
    assert report.verdict is Verdict.FAIL
    assert "still-failing" in codes(report)
    assert report.signals[0].failures[0].message.startswith("assert 3 == 2.5")


@pytest.mark.anyio
@pytest.mark.parametrize("patch", ["", "\n\n"])
async def test_the_empty_patch_is_never_accepted(project: Project, patch: str) -> None:
    request = await project.request(patch)
    for needs_red in (True, False):
        report = await project.verifier().verify(replace(request, needs_red=needs_red))
        assert (report.verdict, codes(report)) == (Verdict.FAIL, {"empty-patch"})
    assert project.events == []


@pytest.mark.anyio
async def test_a_patch_for_another_base_is_refused(project: Project) -> None:
    request = await project.request(project.patch({"calc.py": FIXED}).replace("    return ordered", "    return other"))
    report = await project.verifier().verify(request)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"patch-does-not-apply"})


@pytest.mark.anyio
async def test_without_signals_nothing_can_be_said(project: Project) -> None:
    request = await project.request(project.patch({"calc.py": FIXED}))
    report = await project.verifier().verify(replace(request, specs=()))
    assert (report.verdict, codes(report)) == (Verdict.INCONCLUSIVE, {"no-signals"})


@pytest.mark.anyio
async def test_a_syntax_error_loses_every_test(project: Project) -> None:
    report = await project.verify({"calc.py": "def median(:\n"})
    assert report.verdict is Verdict.FAIL
    assert "test-vanished" in codes(report)


@pytest.mark.anyio
async def test_tests_are_as_on_the_base_whatever_the_patch_does(project: Project) -> None:
    weaker = TESTS.replace("assert median(values) == wanted", "assert median(values) is not None")
    report = await project.verify({"tests/test_calc.py": weaker, "calc.py": BUGGY + "\nLIMIT = 1\n"})
    assert report.verdict is not Verdict.PASS
    assert {"protected-path", "test-change-needed", "still-failing"} & codes(report)


@pytest.mark.anyio
async def test_added_configuration_and_plugins_do_not_reach_the_run(project: Project) -> None:
    hook = "import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    report = await project.verify(
        {"conftest.py": hook, "pytest.ini": "[pytest]\naddopts = -k mean\n", "calc.py": BUGGY + "\nLIMIT = 1\n"}
    )
    assert report.verdict is Verdict.FAIL
    assert {"protected-path", "still-failing"} <= codes(report)
    assert report.signals[0].tests is not None
    assert report.signals[0].tests.vanished == ()


@pytest.mark.anyio
async def test_tests_the_candidate_brings_are_told_and_never_count(project: Project) -> None:
    report = await project.verify({"calc.py": FIXED, "tests/test_more.py": "def test_more():\n    assert True\n"})
    assert report.verdict is Verdict.PASS
    assert "tests: the candidate brings 1 test(s) of its own, 1 pass" in report.remarks
    assert report.signals[0].tests is not None
    assert report.signals[0].tests.pass_to_pass == 3


@pytest.mark.anyio
async def test_a_green_base_is_nothing_to_fix_but_a_pull_request_may_pass(tmp_path: Path) -> None:
    project = Project.make(tmp_path, GREEN_TESTS)
    request = await project.request(project.patch({"calc.py": FIXED + "\nLIMIT = 1\n"}))
    verifier = project.verifier()
    fix = await verifier.verify(request)
    assert (fix.verdict, codes(fix)) == (Verdict.INCONCLUSIVE, {"nothing-red"})
    pull = await verifier.verify(replace(request, needs_red=False))
    assert (pull.verdict, codes(pull)) == (Verdict.PASS, set())
    base_runs = [payload for kind, payload in project.events if kind == "startSignal" and payload["tree"] == "base"]
    assert len(base_runs) == 1, "the base is measured once for all candidates"


@pytest.mark.anyio
async def test_a_suite_without_tests_proves_nothing(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"calc.py": BUGGY, "tests/helpers.py": "X = 1\n"})
    report = await project.verify({"calc.py": FIXED})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no-tests" in codes(report)


@pytest.mark.anyio
async def test_a_base_that_cannot_be_collected_is_not_red_for_a_reason_of_behaviour(tmp_path: Path) -> None:
    project = Project.make(
        tmp_path,
        {
            "calc.py": BUGGY,
            "tests/test_calc.py": "from calc import mode\n\n\ndef test_mode():\n    assert mode([1]) == 1\n",
        },
    )
    report = await project.verify({"calc.py": BUGGY + "\n\ndef mode(values):\n    return values[0]\n"})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "red-not-behavioural" in codes(report)


@pytest.mark.anyio
async def test_an_unreadable_configuration_of_the_base_is_the_users_to_correct(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**CALC, "pytest.toml": "[pytest\n"})
    with pytest.raises(UserError, match=r"pytest\.toml of the base commit cannot be read"):
        await project.verify({"calc.py": FIXED})


@pytest.mark.anyio
async def test_a_command_signal_gates_beside_the_tests(project: Project) -> None:
    command = SignalSpec("compiles", SignalKind.COMMAND, ("python3", "-m", "py_compile", "calc.py"), repeat=1)
    wanted = replace(command, name="says", run=("python3", "-c", "print('two'); print('words')"),
                     expect={"stdout": "^words$"})  # fmt: skip
    report = await project.verify({"calc.py": FIXED}, PYTEST, command, wanted)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert [signal.status.value for signal in report.signals] == ["pass", "pass", "pass"]


@pytest.mark.anyio
async def test_a_program_that_is_not_there_is_an_error_and_not_a_failure(project: Project) -> None:
    missing = SignalSpec("lint", SignalKind.COMMAND, ("no-such-linter",), repeat=1)
    report = await project.verify({"calc.py": FIXED}, missing)
    assert report.verdict is Verdict.ERROR
    assert "`no-such-linter` is not in the sandbox" in report.reasons[0].detail


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_coin_flip_is_seen_by_repeats(project: Project) -> None:
    coin = BUGGY.replace(
        "    return ordered[middle]\n",
        "    import os\n    if os.environ.get('CI') and len(ordered) % 2 == 0:\n"
        "        return (ordered[middle - 1] + ordered[middle]) / 2\n    return ordered[middle]\n",
    )
    tolerant = VerifySpec(suspicious="report")
    report = await project.verify({"calc.py": coin}, replace(PYTEST, repeat=2), verify=tolerant)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "test-flaky" in codes(report)


@pytest.mark.slow
@pytest.mark.anyio
async def test_order_dependent_suites_do_not_refuse_a_right_fix(tmp_path: Path) -> None:
    state = {
        f"tests/test_{name}.py": f"import calc\n\n\ndef test_{name}():\n    calc.SEEN = getattr(calc, 'SEEN', 0) + 1\n"
        f"    assert calc.SEEN == {number}\n"
        for number, name in enumerate(("a", "b", "d"), 1)
    }
    project = Project.make(tmp_path, {**CALC, **state})
    report = await project.verify({"calc.py": FIXED}, replace(PYTEST, repeat=2))
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    assert "depend on the order in which test files run" in report.remarks[0]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_flood_of_output_and_a_fork_bomb_free_what_they_took(project: Project) -> None:
    flood = replace(PYTEST, kind=SignalKind.COMMAND, framework="", run=("sh", "-c", "yes"), timeout_s=5)
    report = await project.verify({"calc.py": FIXED}, flood)
    assert report.verdict is Verdict.ERROR
    again = await project.verify({"calc.py": FIXED})
    assert again.verdict is Verdict.PASS
