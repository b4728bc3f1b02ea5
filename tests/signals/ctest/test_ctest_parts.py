"""What is read from commands, lists and records of ctest runs."""

from __future__ import annotations

import json

import pytest

from perstack.core.signals import SignalKind, SignalSpec, TestCase, TestStatus
from perstack.signals.ctest.definitions import Definition, ListInvalid, read_definitions
from perstack.signals.ctest.plan import plan_ctest
from perstack.signals.ctest.records import Forged, read_records, siphash
from perstack.signals.ctest.results import Canaries, Ends, read_results

KEY = bytes(range(16))
FILES = ("CMakeLists.txt", "src/a.c", "tests/test_a.c")


def line(body: str) -> str:
    return f"{siphash(KEY, body.encode()):016x} {body}\n"


def started(pid: int, *words: str, value: int | None = 0) -> str:
    text = line(f"{pid} aa start {len(words)} 1 {''.join(f'{word.encode().hex()}00' for word in words)}")
    text += line(f"{pid} aa main 0 1 {words[0]}")
    return text if value is None else text + line(f"{pid} aa returned {value} ")


def spec(*run: str, cwd: str = ".") -> SignalSpec:
    return SignalSpec("tests", SignalKind.TEST, run, framework="ctest", cwd=cwd)


def test_the_seal_is_the_one_that_its_authors_published() -> None:
    assert siphash(KEY, b"") == 0x726FDB47DD0E0E31
    assert siphash(KEY, bytes(range(15))) == 0xA129CA6149BE45E5


def test_a_record_without_its_seal_spoils_all() -> None:
    good = started(7, "/b/test_a")
    assert read_records(good, KEY)[0].returned
    for bad in (good + "0123456789abcdef 7 aa returned 0 \n", good.replace("returned 0", "returned 1"), good[:-9]):
        with pytest.raises(Forged):
            read_records(bad, KEY)


def test_the_command_says_what_is_built_and_which_tests_are_meant() -> None:
    run = "cmake -S lib -B out -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER_LAUNCHER=x -G Ninja && cmake --build out"
    plan = plan_ctest(spec("sh", "-ec", f"{run}; ctest --test-dir out/unit -R fast -C Debug", cwd="native"), FILES)
    assert (plan.source, plan.options) == ("native/lib", ("-DCMAKE_BUILD_TYPE=Debug", "-GNinja"))
    assert (plan.folder, plan.selection, plan.configuration) == ("unit", ("-R", "fast"), "Debug")
    assert plan.is_test("tests/test_a.c")
    assert not plan.is_test("src/a.c")
    assert not plan.is_test("tests/test_new.c")


def test_what_a_test_runs_and_expects_is_part_of_its_identity() -> None:
    entry = {"name": "a", "command": ["/b/a"], "properties": [{"name": "WORKING_DIRECTORY", "value": "/b"}]}
    plain, other = (
        read_definitions(json.dumps({"tests": [one]}, indent=1), build="/b", root="/w")[0]
        for one in (entry, {**entry, "properties": [{"name": "WILL_FAIL", "value": True}]})
    )
    assert plain.identity(()) == "a"
    assert other.identity(()) == "a[WILL_FAIL=True]"
    assert plain.identity(("src/a.c",)) == "a[main in src/a.c]"
    assert Definition("a", ("/b/b", "x"), {}, "/b", "/w").identity(()) == "a[b x]"
    with pytest.raises(ListInvalid):
        read_definitions("no list", build="/b", root="/w")


CANARIES = Canaries("tok", "/c")


def judged(records: str, *, value: int = 8) -> tuple[dict[str, TestCase], str]:
    own = [Definition(name, ("/c", name.rpartition("_")[2]), {}, "/b", "/w") for name in CANARIES.expected]
    definitions = [*own, Definition("a", ("/b/a",), {}, "/b", "/w")]
    red = {"tok_red", "tok_asserts"}
    report = [TestCase(d.name, TestStatus.FAILED if d.name in red else TestStatus.PASSED) for d in definitions]
    programs = read_records(started(1, "/c", "green") + started(2, "/c", "leaves", value=None) + records, KEY)
    ends = Ends(programs, {"/b/a": True, "/c": True}, {}, lambda path: False)
    tests, problem = read_results(definitions, report, ends, value, CANARIES)
    return tests, problem.code.value if problem else ""


def test_only_a_return_from_main_makes_exit_code_0_a_pass() -> None:
    def status(records: str) -> TestStatus:
        return next(iter(judged(records)[0].values())).status

    assert status(started(3, "/b/a")) is TestStatus.PASSED
    assert status(started(3, "/b/a", value=None)) is TestStatus.ERROR
    assert status(started(3, "/b/a", value=1)) is TestStatus.ERROR
    assert status("") is TestStatus.ERROR
    left = started(3, "/b/a", value=None) + line("3 aa exit 0 10 /b/a")
    assert status(left) is TestStatus.ERROR


def test_an_exit_code_that_the_canaries_do_not_allow_is_no_result() -> None:
    assert judged(started(3, "/b/a"))[1] == ""
    assert judged(started(3, "/b/a"), value=0)[1] == "results-disagree"
