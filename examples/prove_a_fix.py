"""Judge a change and let one be made: the verification protocol and the model-free builder, on a small repository.

No model is asked: provider="search" is a plain program. The verdict is computed by running the real tests.

Prints:
    nothing changed: fail (empty-patch)
    found and proved: pass
    the file now says: return (ordered[middle - 1] + ordered[middle]) / 2
"""

import asyncio
import subprocess
import tempfile
from pathlib import Path

import perstack

MEDIAN = """def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle] + ordered[middle]) / 2
"""
TESTS = """from stats import median


def test_odd():
    assert median([3, 1, 2]) == 2


def test_even():
    assert median([4, 1, 3, 2]) == 2.5
"""


def repository(folder: Path) -> None:
    """A git repository with a bug and a test that shows it."""
    (folder / "stats.py").write_text(MEDIAN)
    (folder / "test_stats.py").write_text(TESTS)
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    identity = ["-c", "user.name=Example", "-c", "user.email=example@example.invalid"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository(folder)
        report = await perstack.verify(folder)
        print(f"nothing changed: {report.verdict} ({', '.join(reason.code for reason in report.reasons)})")
        outcome = await perstack.fix("median is wrong for even lists", repo=folder, provider="search", apply=True)
        print(f"found and proved: {outcome.verdict}")
        print(f"the file now says: {(folder / 'stats.py').read_text().splitlines()[-1].strip()}")


if __name__ == "__main__":
    asyncio.run(main())
