"""Screenshot signals whose command writes the pictures itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Verdict
from tests.signals.project import Project, codes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

PLOT = """\
import pathlib
import struct
import zlib
from values import color


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


rows = [b"\\0" + bytes(v for x in range(60) for v in color(x, y)) for y in range(40)]
head = chunk(b"IHDR", struct.pack(">2I5B", 60, 40, 8, 2, 0, 0, 0))
data = b"\\x89PNG\\r\\n\\x1a\\n" + head + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/a.png").write_bytes(data)
"""
VALUES = "def color(x, y):\n    return (255, 0, 0) if x > y else (0, 0, 255)\n"
SPEC = SignalSpec(
    "chart", SignalKind.SCREENSHOT, ("python3", "plot.py"), repeat=1, timeout_s=20, expect={"files": ["out/*.png"]}
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values.py": VALUES + "\n\nNAME = 'chart'\n"}, ""),
        ({"values.py": VALUES.replace("x > y", "x > y + 3")}, "pixel(s) differ"),
        ({"values.py": "def color(x, y):\n    return (1, 2, 3)\n"}, "nothing is to be seen"),
        ({"plot.py": "import values\n"}, "wrote no file"),
        ({"plot.py": PLOT.replace("write_bytes(data)", "write_bytes(data[:60])")}, "not a readable PNG"),
        ({"plot.py": PLOT.replace("write_bytes(data)", "symlink_to('/etc/passwd')")}, "wrote no file"),
    ],
    ids=["as-before", "changed", "blank", "missing", "cut", "link"],
)
async def test_pictures_of_a_command_are_as_on_the_base(
    tmp_path: Path, changes: dict[str, str | None], words: str
) -> None:
    project = Project.make(tmp_path, {"plot.py": PLOT, "values.py": VALUES})
    report = await project.verify(changes, SPEC, needs_red=False)
    assert (report.verdict is Verdict.PASS) == (not words)
    assert codes(report) <= ({"command-failed"} if words else set())
    assert words in " ".join(reason.detail for reason in report.reasons)
