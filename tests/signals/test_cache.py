"""Kept results: only what is deterministic, only for the very same things, never what somebody touched."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.sandbox import Limits, Snapshot
from perstack.core.signals import (
    Diagnostic,
    Measurement,
    Picture,
    SignalKind,
    SignalRun,
    SignalSpec,
    SignalStatus,
    TestCase,
    TestStatus,
)
from perstack.core.verdict import Report, Verdict
from perstack.infrastructure.sandbox.host import Host
from perstack.signals.audit import audit
from perstack.signals.cache import ResultCache, Setting, is_deterministic, toolchain_of
from perstack.signals.ground import Workbench
from perstack.signals.measure import Measured
from perstack.signals.protocol import Verifier, VerifyRequest
from tests.signals.project import BUGGY, CALC, FIXED, PYTEST, Project, sandbox

SPEC = SignalSpec("tests", SignalKind.TEST, ("pytest",))
SETTING = Setting("bubblewrap", Snapshot("ref", "digest"), "base")
RUN = SignalRun(SignalStatus.PASS, 1.5, 0, {"a::b": TestCase("a::b", TestStatus.PASSED)}, output="é\n")
TWICE = Measured(Measurement(SPEC, (RUN, replace(RUN, seconds=2.0))), replaced=frozenset({"a hook"}))


def kept(folder: Path) -> ResultCache:
    cache = ResultCache(folder / "cache")
    cache.keep(TWICE, "tree", SETTING)
    return cache


def entry(cache: ResultCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def test_what_was_kept_comes_back_and_says_so(tmp_path: Path) -> None:
    known = kept(tmp_path).measured(SPEC, "tree", SETTING)
    assert known == replace(TWICE, cached=True)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert entry(kept(tmp_path)).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("spec", "tree", "setting", "toolchain"),
    [
        (replace(SPEC, timeout_s=1.0), "tree", SETTING, ""),
        (SPEC, "other", SETTING, ""),
        (SPEC, "tree", replace(SETTING, base="other"), ""),
        (SPEC, "tree", replace(SETTING, sandbox="host"), ""),
        (SPEC, "tree", replace(SETTING, snapshot=Snapshot("ref", "other")), ""),
        (SPEC, "tree", replace(SETTING, snapshot=Snapshot("ref", "digest", Limits(memory_mb=1))), ""),
        (SPEC, "tree", replace(SETTING, snapshot=Snapshot("ref", "digest", env=(("A", "1"),))), ""),
        (SPEC, "tree", SETTING, "another compiler"),
    ],
)
def test_nothing_is_known_about_anything_else(
    tmp_path: Path, spec: SignalSpec, tree: str, setting: Setting, toolchain: str
) -> None:
    cache = kept(tmp_path)
    assert replace(cache, toolchain=toolchain).measured(spec, tree, setting) is None


def test_pictures_are_kept_with_the_result_and_only_where_all_runs_show_the_same(tmp_path: Path) -> None:
    shown = replace(RUN, status=SignalStatus.FAIL, pictures=(Picture("page", b"\x89PNG\r\n\x00"),))
    pair = replace(TWICE, measurement=Measurement(SPEC, (shown, shown)))
    cache = ResultCache(tmp_path / "cache")
    cache.keep(pair, "tree", SETTING)
    known = cache.measured(SPEC, "tree", SETTING)
    assert known is not None
    assert known.measurement.runs[1].pictures == shown.pictures
    other = replace(shown, pictures=(Picture("page", b"\x89PNG\r\n\x01"),))
    assert not is_deterministic(replace(pair, measurement=Measurement(SPEC, (shown, other))))


RED = {"a::b": TestCase("a::b", TestStatus.FAILED)}


@pytest.mark.parametrize(
    "runs",
    [
        (RUN,),
        (RUN, replace(RUN, status=SignalStatus.FAIL, tests=RED)),
        (RUN, replace(RUN, tests={})),
        (RUN, replace(RUN, exit_code=1)),
        (RUN, replace(RUN, diagnostics=(Diagnostic("a.c", 1, "error", "no"),))),
        (replace(RUN, status=SignalStatus.ERROR), replace(RUN, status=SignalStatus.ERROR)),
        (replace(RUN, problem_code="timed-out"), RUN),
    ],
)
def test_what_is_flaky_or_went_wrong_or_ran_once_is_never_kept(tmp_path: Path, runs: tuple[SignalRun, ...]) -> None:
    measured = Measured(Measurement(SPEC, runs))
    assert not is_deterministic(measured)
    cache = ResultCache(tmp_path / "cache")
    cache.keep(measured, "tree", SETTING)
    assert not cache.folder.exists()


@pytest.mark.parametrize("flaw", [{"shuffled": RUN}, {"order_dependent": frozenset("a")}])
def test_what_depends_on_order_is_never_kept(flaw: dict[str, object]) -> None:
    assert not is_deterministic(replace(TWICE, **flaw))  # type: ignore[arg-type]


def test_any_changed_cut_or_foreign_entry_is_as_good_as_absent(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    path = entry(cache)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert cache.measured(SPEC, "tree", SETTING) is None, position
    for poison in (whole[:-1], whole + b" ", b"", b"\n", whole.partition(b"\n")[2], b"\xff" * 99):
        path.write_bytes(poison)
        assert cache.measured(SPEC, "tree", SETTING) is None
    path.write_bytes(whole)
    assert cache.measured(SPEC, "tree", SETTING) is not None


def test_an_entry_under_another_name_does_not_count(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    good = entry(cache)
    cache.keep(TWICE, "bad tree", SETTING)
    (other,) = set(cache.folder.iterdir()) - {good}
    other.write_bytes(good.read_bytes())
    assert cache.measured(SPEC, "bad tree", SETTING) is None


def test_links_and_folders_that_others_can_write_are_not_read(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    path = entry(cache)
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)
    assert cache.measured(SPEC, "tree", SETTING) is None
    path.unlink()
    os.mkfifo(path)
    assert cache.measured(SPEC, "tree", SETTING) is None
    path.unlink()
    moved.rename(path)
    cache.folder.chmod(0o777)
    assert cache.measured(SPEC, "tree", SETTING) is None


def test_old_entries_do_not_count_and_are_deleted(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    later = replace(cache, now=time.time() + 8 * 24 * 3600)
    assert later.measured(SPEC, "tree", SETTING) is None
    later.collect()
    assert list(cache.folder.iterdir()) == []


def test_the_oldest_go_where_all_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = kept(tmp_path)
    old = entry(cache)
    os.utime(old, (time.time() - 60, time.time() - 60))
    cache.keep(TWICE, "other", SETTING)
    monkeypatch.setattr("perstack.signals.cache._TOTAL_LIMIT", old.stat().st_size + 1)
    cache.collect()
    assert not old.exists()
    assert cache.measured(SPEC, "other", SETTING) is not None


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ResultCache(tmp_path / "file" / "cache")
    cache.keep(TWICE, "tree", SETTING)
    cache.collect()
    assert cache.measured(SPEC, "tree", SETTING) is None


def test_an_installed_program_makes_another_toolchain(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    before = toolchain_of((tmp_path / "bin",))
    (tmp_path / "bin" / "cc").write_text("")
    os.utime(tmp_path / "bin", (1, 1))
    assert toolchain_of((tmp_path / "bin",)) != before


def test_where_code_under_test_could_write_there_nothing_is_kept(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache")
    assert Workbench(Host(), lambda *_: None, tmp_path, cache).cache is None
    assert Workbench(sandbox(), lambda *_: None, tmp_path, cache).cache is cache


async def verify(project: Project, request: VerifyRequest, cache: ResultCache) -> tuple[Report, int]:
    """The report, and how many runs there were."""
    runs: list[str] = []
    verifier = Verifier(
        project.sandbox, lambda kind, _: runs.append(kind) if kind == "startSignal" else None, project.scratch, cache
    )
    return await verifier.verify(request), len(runs)


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_same_patch_again_runs_nothing_in_300_milliseconds_and_evidence_says_so(tmp_path: Path) -> None:
    project, cache = Project.make(tmp_path, CALC), ResultCache(tmp_path / "cache")
    request = await project.request(project.patch({"calc.py": FIXED}), replace(PYTEST, repeat=2))
    first, ran = await verify(project, request, cache)
    assert first.verdict is Verdict.PASS
    assert ran >= 4
    began, busy = time.monotonic(), time.process_time()
    again, ran = await verify(project, replace(request, out=tmp_path / "out"), cache)
    taken = min(time.monotonic() - began, 3 * (time.process_time() - busy))
    assert (again.verdict, ran, again.reasons) == (Verdict.PASS, 0, ())
    assert again.signals[0].tests == first.signals[0].tests
    assert again.necessity == first.necessity
    assert taken < 0.3, taken
    assert any("results of base and candidate are an earlier job's" in remark for remark in again.remarks)
    assert '"cached":["base/tests","candidate/tests"]' in (tmp_path / "out" / "evidence.json").read_text()
    assert audit(tmp_path / "out" / "evidence.json").verdict is Verdict.PASS


@pytest.mark.slow
@pytest.mark.anyio
async def test_another_patch_gets_nothing_of_a_good_ones_result(tmp_path: Path) -> None:
    project, cache = Project.make(tmp_path, CALC), ResultCache(tmp_path / "cache")
    spec = replace(PYTEST, repeat=2)
    request = await project.request(project.patch({"calc.py": FIXED}), spec)
    assert (await verify(project, request, cache))[0].verdict is Verdict.PASS
    bad = replace(request, patch=project.patch({"calc.py": BUGGY + "\nX = 1\n"}))
    report, ran = await verify(project, bad, cache)
    assert report.verdict is Verdict.FAIL
    assert ran == 2


@pytest.mark.slow
@pytest.mark.anyio
async def test_code_under_test_sees_no_cache_and_a_file_in_a_patch_is_none(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache")
    look = f"import os, sys; sys.exit(os.path.exists({str(cache.folder)!r}) or os.path.exists('seen'))"
    spec = SignalSpec("look", SignalKind.COMMAND, ("python3", "-c", look), repeat=2)
    project = Project.make(tmp_path, CALC)
    cache.folder.mkdir(mode=0o700)
    request = replace(await project.request(project.patch({"README.md": "# new\n"}), spec), needs_red=False)
    report, _ = await verify(project, request, cache)
    assert report.verdict is Verdict.PASS, report.reasons
    # whoever knows everything but the folder can only leave entries in the tree, where nobody looks
    stolen = {f"cache/{path.name}": path.read_text() for path in cache.folder.iterdir()}
    poisoned = replace(request, patch=project.patch({**stolen, "seen": "1"}))
    report, ran = await verify(project, poisoned, cache)
    assert report.verdict is Verdict.FAIL
    assert ran == 2


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_flaky_suite_is_never_taken_from_the_cache(tmp_path: Path) -> None:
    sometimes = SignalSpec(
        "coin", SignalKind.COMMAND, ("python3", "-c", "import os; print(os.environ['CI'])"), repeat=2
    )
    project, cache = Project.make(tmp_path, CALC), ResultCache(tmp_path / "cache")
    request = replace(await project.request(project.patch({"calc.py": FIXED}), sometimes), needs_red=False)
    for _ in range(2):
        report, ran = await verify(project, request, cache)
        assert report.verdict is not Verdict.PASS
        assert ran == 4
    assert not cache.folder.exists()
