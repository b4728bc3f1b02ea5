"""What workflow runs leave behind, read as a stranger's: archives, JUnit reports. Runs nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from anyio import to_thread

from perstack.core.errors import UserError
from perstack.core.signals import TestCase, TestStatus
from perstack.infrastructure.archive import UnpackLimits, unpack
from perstack.signals.junit import ReportInvalid, read_junit

_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_REPORTS = UnpackLimits(files=20_000, file_bytes=32 * 1024 * 1024, total_bytes=128 * 1024 * 1024)
_MOST_REPORTS = 200


async def unpacked(data: bytes, into: Path) -> tuple[str, ...]:
    """Unpack an artifact below `into`; the names of its files. Raises: UserError for anything odd."""
    return await to_thread.run_sync(unpack, data, into)


async def red_cases(data: bytes, scratch: Path) -> tuple[TestCase, ...]:
    """The red test cases of all JUnit reports in an artifact. Files that are no reports, or odd archives, give none."""
    return await to_thread.run_sync(_red_cases, data, scratch)


def _red_cases(data: bytes, scratch: Path) -> tuple[TestCase, ...]:
    found: list[TestCase] = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        try:
            names = unpack(data, Path(folder), lambda name: name.lower().endswith(".xml"), _REPORTS)
        except UserError:
            return ()
        for name in sorted(names)[:_MOST_REPORTS]:
            try:
                cases = read_junit(Path(folder) / name)
            except ReportInvalid:
                continue
            found += [case for case in cases.values() if case.status in _RED]
    return tuple(found)
