"""Comparing pictures: sizes, thresholds, masks, anti-aliasing, blank ones, and files that are no pictures."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image, ImageDraw
from pixelmatch.contrib.PIL import pixelmatch

from perstack.signals.screenshot.pixels import PictureInvalid, Tolerance, compare_pictures, is_blank, read_png
from perstack.signals.screenshot.places import out_of_place, unfound


def drawn(shift: float = 0.0, *, size: tuple[int, int] = (120, 80), colour: str = "black") -> Image.Image:
    """A slanted line with soft edges."""
    big = Image.new("RGB", (size[0] * 4, size[1] * 4), "white")
    ImageDraw.Draw(big).line((40 + shift * 4, 20, 300 + shift * 4, 300), fill=colour, width=12)
    return big.resize(size, Image.Resampling.LANCZOS)


def test_equal_pictures_are_equal_and_a_moved_line_is_counted_and_shown() -> None:
    assert compare_pictures(drawn(), drawn(), Tolerance()).pixels == 0
    moved = compare_pictures(drawn(), drawn(6), Tolerance())
    assert moved.pixels > 100
    assert "pixel(s) differ" in moved.problem
    assert read_png(moved.picture).size == (3 * 120 + 16, 80)
    assert compare_pictures(drawn(), drawn(6), Tolerance(pixels=5000)).problem == ""


def test_soft_edges_are_tolerated_only_where_that_is_configured() -> None:
    strict = compare_pictures(drawn(), drawn(0.5), Tolerance(antialiasing=False)).pixels
    assert compare_pictures(drawn(), drawn(0.5), Tolerance()).pixels < strict


def test_masks_hide_and_only_what_they_cover() -> None:
    other = drawn()
    ImageDraw.Draw(other).rectangle((0, 60, 20, 79), fill="red")
    assert compare_pictures(drawn(), other, Tolerance(masks=((0, 60, 21, 20),))).problem == ""
    assert compare_pictures(drawn(), other, Tolerance(masks=((0, 60, 10, 20),))).problem


def test_another_size_is_a_difference() -> None:
    assert "size changed" in compare_pictures(drawn(), drawn(size=(120, 81)), Tolerance(pixels=10**9)).problem


def test_next_to_one_colour_is_blank_masks_aside() -> None:
    blank = Image.new("RGB", (100, 100), "navy")
    assert is_blank(blank, Tolerance())
    ImageDraw.Draw(blank).rectangle((0, 0, 9, 9), fill="white")
    assert not is_blank(blank, Tolerance())
    assert is_blank(blank, Tolerance(masks=((0, 0, 10, 10),)))


def test_a_change_of_everything_is_counted_in_reasonable_time() -> None:
    white, grey = Image.new("RGB", (1280, 720), "white"), Image.new("RGB", (1280, 720), "grey")
    assert compare_pictures(white, grey, Tolerance()).pixels == 1280 * 720


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"<svg/>", b"\0" * 1000])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureInvalid):
        read_png(data)


def test_a_cut_picture_and_an_absurd_one_are_refused() -> None:
    out = io.BytesIO()
    drawn().save(out, "PNG")
    with pytest.raises(PictureInvalid):
        read_png(out.getvalue()[:-200])
    huge = bytearray(out.getvalue())
    huge[16:24] = (100_000).to_bytes(4, "big") * 2
    with pytest.raises(PictureInvalid):
        read_png(bytes(huge))


def test_changes_far_apart_are_found_without_looking_at_all_that_lies_between() -> None:
    before = Image.new("RGB", (1600, 1200), "white")
    after = before.copy()
    for x, y in ((1, 1), (1595, 5), (31, 1190), (1590, 1195), (800, 600)):
        ImageDraw.Draw(after).rectangle((x, y, x + 2, y + 2), fill="black")
    started = time.process_time()
    assert compare_pictures(before, after, Tolerance()).pixels == 5 * 9
    assert time.process_time() - started < 1.5


def test_pictures_are_judged_as_pixelmatch_judges_the_whole() -> None:
    for shift in (0.25, 0.5, 1.0):
        one, two = drawn(), drawn(shift)
        whole = pixelmatch(one.convert("RGBA"), two.convert("RGBA"), threshold=0.1)
        assert compare_pictures(one, two, Tolerance()).pixels == whole


def test_masked_elements_are_those_of_the_base_and_little_may_move() -> None:
    before = [(0, 10, 10, 50, 20), (1, 0, 0, 5, 5)]
    assert out_of_place(["#a", ".b"], before, [(0, 12, 10, 54, 20), (1, 0, 0, 5, 5)]) == ""
    assert "is not where" in out_of_place(["#a", ".b"], before, [(0, 0, 0, 640, 400), (1, 0, 0, 5, 5)])
    assert "matches 2" in out_of_place(["#a", ".b"], before, [*before, (1, 0, 0, 640, 400)])
    assert unfound(["#a", ".b", ".c"], {"640x400": before}) == ".c"
