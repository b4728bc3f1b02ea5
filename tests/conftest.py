"""Fixtures every test shares, and one rule: where CI runs, nothing is skipped."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from tests.threats.recording import ENGINES, PROPERTY, Recorder, back_end

# How long an example takes on a busy machine says nothing.
settings.register_profile("any-machine", settings.default, deadline=None)
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


# Whole files that start sandboxes, servers, processes or time-outs by the dozen: they run with the slow ones.
SLOW_FILES = frozenset(
    {
        "attacks/test_policy.py",
        "bench/test_model_server.py",
        "bench/test_waste.py",
        "compat/test_published_tools.py",
        "compat/test_published_validation.py",
        "definition/test_schema_agreement.py",
        "definition/test_schema_file.py",
        "forge/test_github_actions.py",
        "forge/test_github_checks.py",
        "forge/test_github_comments.py",
        "forge/test_github_commits.py",
        "forge/test_github_pace.py",
        "forge/test_github_people.py",
        "forge/test_github_remote.py",
        "forge/test_github_reviews.py",
        "forge/test_github_writes.py",
        "github_server/test_server.py",
        "infrastructure/test_git_remote.py",
        "infrastructure/test_git_snapshot.py",
        "infrastructure/test_isolation.py",
        "infrastructure/test_sandbox.py",
        "infrastructure/test_sandbox_disk.py",
        "infrastructure/test_sandbox_setup.py",
        "interface/test_job_refusals.py",
        "interface/test_log_command.py",
        "interface/test_markdown_limits.py",
        "interface/test_models.py",
        "interface/test_render_hostile.py",
        "interface/test_run.py",
        "interface/test_run_refusals.py",
        "providers/test_conduct.py",
        "runtime/test_going_on.py",
        "runtime/test_public_layout.py",
        "runtime/test_replay.py",
        "runtime/test_team_runs.py",
        "search/test_build.py",
        "search/test_demo_project.py",
        "signals/diagnostics/test_bad_input.py",
        "signals/judge/test_soft.py",
        "signals/test_back_ends.py",
        "signals/test_compiler.py",
        "signals/test_compiler_attacks.py",
        "signals/test_compiler_sarif.py",
        "signals/test_evidence.py",
        "signals/test_protocol.py",
        "signals/test_pytest_zoo.py",
        "signals/test_real_shapes.py",
        "skills/mcp/test_offers.py",
    }
)


# Few tests, long ones: begun last, they would leave the other workers idle at the end. Longest first.
LONG_FILES = (
    "attacks/test_verifier.py",
    "signals/screenshot/test_pages.py",
    "act/test_act.py",
    "attacks/test_adversary.py",
    "attacks/test_hijacked.py",
    "attacks/ladder/test_ladder.py",
    "signals/test_hangs.py",
    "act/test_act_sharded.py",
    "signals/held_out/test_held_out_protocol.py",
    "bench/test_report.py",
    "search/test_demo_project.py",
    "interface/test_local_commands.py",
    "interface/test_shard.py",
    "signals/maven/test_maven_runs.py",
    "test_docs_tutorial.py",
    "interface/test_install.py",
    "api/test_docs.py",
    "infrastructure/test_packages.py",
)


# Attacks in slow languages: a sample of each file runs with the slow tests, all of them in `scripts/test nightly`.
NIGHTLY_FOLDERS = ("attacks/c/", "attacks/go/", "attacks/java/", "attacks/javascript/", "attacks/rust/")
_SAMPLE = 2
TESTS = Path(__file__).parent


def _says_slow(path: Path) -> bool:
    return path.relative_to(TESTS).as_posix() in SLOW_FILES or "mark.slow" in path.read_text(encoding="utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare the reading of files whose tests are all of the other kind: reading takes longer than many tests."""
    wanted = config.option.markexpr
    if not collection_path.is_relative_to(TESTS) or not collection_path.name.startswith("test_"):
        return None
    if wanted == "not slow":
        return True if collection_path.relative_to(TESTS).as_posix() in SLOW_FILES else None
    if wanted == "slow and not nightly" and collection_path.is_file():
        return None if _says_slow(collection_path) else True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    said: dict[str, bool] = {}
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        if item.get_closest_marker("threat"):
            item.user_properties.append((PROPERTY, back_end(item)))
        if place in SLOW_FILES:
            item.add_marker(pytest.mark.slow)
        elif place not in said and item.get_closest_marker("slow"):
            said[place] = _says_slow(item.path)
            if not said[place]:
                raise pytest.UsageError(f"{place}: write pytest.mark.slow in the file itself, else nobody reads it")
        if place.startswith(NIGHTLY_FOLDERS) and item.get_closest_marker("slow"):
            kind = (place, "honest" in item.name)
            seen[kind] += 1
            if seen[kind] > _SAMPLE:
                item.add_marker(pytest.mark.nightly)
    long = {TESTS / name: place for place, name in enumerate(LONG_FILES)}
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (long.get(item.path, len(long)), -sizes[item.path]))  # stable: a file's own order stays


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-threats", metavar="FILE", help="add the results of attacks to FILE (tests/threats)")
    parser.addoption(
        "--record-as", choices=ENGINES, default="", help="DOCKER_HOST is this engine, and no Docker of root"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _listen()
    config.addinivalue_line("markers", "threat(id, …, on=back end): makes these attacks of tests/threats/catalogue.py")
    if (path := config.getoption("--record-threats")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(path), config.getoption("--record-as")))


def _listen() -> None:
    """Whoever is started in the background, or by nohup, is deaf to some signals, and so is all that it starts."""
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


_skipped: list[str] = []
_milliseconds: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _milliseconds[report.nodeid.partition("::")[0]] += round(1000 * report.duration)
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Set-up installs what tests need; a skip in CI is a hole in the set-up, not a wish."""
    if os.environ.get("CI") and _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    longest = [f"{took / 1000:.0f} s {file}" for file, took in _milliseconds.most_common(30) if took > 15_000]
    if longest:
        terminalreporter.write_line("longest files: " + ", ".join(longest))
    if os.environ.get("CI") and _skipped:
        terminalreporter.write_line(f"skipped in CI, which counts as failed: {', '.join(_skipped[:10])}", red=True)
