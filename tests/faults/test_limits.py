"""The harness itself out of memory or of open files: told as such, and the candidate is not judged by it."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench

pytestmark = pytest.mark.slow


@pytest.mark.threat("F5")
@pytest.mark.parametrize("limit", ["-v 250000", "-n 12", *(
    pytest.param(f"-v {size}", marks=pytest.mark.nightly) for size in range(100_000, 900_000, 100_000)
)])  # fmt: skip
def test_a_harness_without_memory_or_files_says_so(bench: Bench, limit: str) -> None:
    done = bench("verify", before=["sh", "-c", f'ulimit {limit}; exec "$@"', "sh"])
    assert done.code == 0 or done.is_told(4), done.err
    assert "verdict: fail" not in done.out
    if limit in {"-v 250000", "-n 12"}:
        assert "memory" in done.err or "Too many open files" in done.err, done.err
    assert bench.left() == []


def test_a_directory_that_is_gone_is_told(bench: Bench) -> None:
    gone = bench.checkout.parent / "gone"
    gone.mkdir()
    done = bench("verify", before=["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh"])
    assert done.is_told(2), done.err
    assert "the current directory is gone" in done.err
