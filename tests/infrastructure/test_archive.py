"""Archives of strangers: plain files come out, everything else is refused before or while it is written."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure.archive import UnpackLimits, unpack


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return data.getvalue()


def linked(name: str, mode: int = stat.S_IFLNK | 0o777) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_wanted_files_are_written_below_the_folder(tmp_path: Path) -> None:
    data = zipped(("a.xml", b"<a/>"), ("deep/er/b.xml", b"<b/>"), ("../c.txt", b"no"), ("folder/", b""))
    assert unpack(data, tmp_path, lambda name: name.endswith(".xml")) == ("a.xml", "deep/er/b.xml")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == ["a.xml", "deep/er/b.xml"]


@pytest.mark.threat("W9")
@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "C:\\x",
        "a\\..\\b",
        "a/./b",
        "a/ /b",
        "x\ny",
        "-rf",
        ".git/config",
        "a.",
    ],
)
def test_a_name_that_is_not_plain_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="not unpacked"):
        unpack(zipped((name, b"x")), tmp_path / "into")
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "into"])


@pytest.mark.threat("W9")
def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for mode in (stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o600, stat.S_IFCHR | 0o600):
        with pytest.raises(UserError, match="no plain file"):
            unpack(zipped((linked("a", mode), b"/etc/passwd")), tmp_path)


def test_sizes_and_numbers_are_counted_as_they_come_out(tmp_path: Path) -> None:
    limits = UnpackLimits(files=3, file_bytes=1000, total_bytes=1500)
    with pytest.raises(UserError, match="larger than"):
        unpack(zipped(("a", b"x" * 1001)), tmp_path, limits=limits)
    with pytest.raises(UserError, match="larger than"):
        unpack(zipped(("a", b"x" * 900), ("b", b"x" * 900)), tmp_path, limits=limits)
    with pytest.raises(UserError, match="holds 4 files"):
        unpack(zipped(*((str(n), b"") for n in range(4))), tmp_path, limits=limits)


def test_two_names_that_are_one_on_some_disks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="twice"):
        unpack(zipped(("A.txt", b"1"), ("a.txt", b"2")), tmp_path)


def test_what_is_no_archive_is_said_plainly(tmp_path: Path) -> None:
    good = zipped(("a", b"x" * 5000))
    for data in (b"", b"PK\x03\x04", good[: len(good) // 2], good.replace(b"PK\x03\x04", b"PK\x03\x05", 1)):
        with pytest.raises(UserError, match="cannot be read"):
            unpack(data, tmp_path)
