"""Reports that real tools wrote, each with what is read from it, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.signals.junit import ReportInvalid, iterate_junit

SAMPLES = Path(__file__).parent / "junit_samples"
GOLDEN = SAMPLES / "golden.txt"


def read(path: Path) -> list[str]:
    try:
        return [f"{case.status.value} {case.id!r}" for case in iterate_junit(path)]
    except ReportInvalid as error:
        return [f"refused: {error}"]


def sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            found[line[3:]] = []
        elif line:
            found[next(reversed(found))].append(line)
    return found


def test_every_sample_has_its_golden_lines() -> None:
    assert sorted(sections()) == sorted(path.name for path in SAMPLES.glob("*.xml"))


@pytest.mark.parametrize("name", sorted(sections()))
def test_a_sample_is_read_as_its_golden_lines_say(name: str) -> None:
    assert read(SAMPLES / name) == sections()[name]


@pytest.mark.parametrize("name", sorted(sections()))
def test_a_sample_cut_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    data = (SAMPLES / name).read_bytes().rstrip()
    for share in (0, 1, 2, 3):
        path = tmp_path / "cut.xml"
        path.write_bytes(data[: len(data) * share // 4 + (share > 0)] if share < 3 else data[:-1])
        with pytest.raises(ReportInvalid):
            list(iterate_junit(path))
