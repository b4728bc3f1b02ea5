"""Comparing two pictures: sizes, masks, pixels with a threshold and tolerance for anti-aliasing, and a picture of it.

Pictures may come from the code under test: only PNG is read, and nothing of absurd size. Pure but for decoding.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageDraw, UnidentifiedImageError
from pixelmatch.contrib.PIL import pixelmatch

_MOST_PIXELS: Final = 40_000_000
_FINE_LIMIT: Final = 4_000
"""Up to so many unequal pixels anti-aliasing is looked at one by one (about 0.1 ms each); beyond, none is excused."""
_FEW: Final = 16  # pixels that are not of the main colour: fewer is a blank picture
_GAP: Final = 8
_TILE: Final = 32


class PictureInvalid(Exception):
    """Not a PNG picture that can be compared; the message says why."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is the same: `threshold` is a colour distance from 0 to 1, `masks` are x, y, width, height."""

    threshold: float = 0.1
    pixels: int = 0
    antialiasing: bool = True
    masks: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many pixels differ, a sentence where that is too much, and then `before | after | difference` as PNG."""

    pixels: int
    problem: str = ""
    picture: bytes = b""


def read_png(data: bytes) -> Image.Image:
    """Decode a picture onto white.

    Raises: PictureInvalid.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.width * image.height > _MOST_PIXELS or getattr(image, "n_frames", 1) > 1:
            raise PictureInvalid(f"{image.width}×{image.height} pixels, or animated: cannot be compared")
        image = image.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureInvalid(f"not a readable PNG picture ({type(error).__name__})") from error
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def is_blank(image: Image.Image, tolerance: Tolerance) -> bool:
    """Whether next to nothing but one colour is to be seen outside of the masks."""
    main = _main_colour(image)[1]
    shown = _masked(image, tolerance, main)
    return image.width * image.height - _main_colour(shown)[0] < _FEW


def _main_colour(image: Image.Image) -> tuple[int, tuple[int, int, int]]:
    """The most frequent colour, with how many pixels have it."""
    counts = image.getcolors(maxcolors=image.width * image.height) or [(0, (0, 0, 0))]
    count, colour = max(counts, key=lambda entry: entry[0])
    return count, (colour[0], colour[1], colour[2]) if isinstance(colour, tuple) else (0, 0, 0)


def compare_pictures(before: Image.Image, after: Image.Image, tolerance: Tolerance) -> Outcome:
    """Compare what was with what is."""
    if before.size != after.size:
        sizes = [f"{image.width}×{image.height}" for image in (before, after)]
        picture = side_by_side(before, after, Image.new("RGB", before.size, "red"))
        return Outcome(before.width * before.height, f"the size changed from {sizes[0]} to {sizes[1]}", picture)
    one, two = (_masked(image, tolerance, (0, 0, 0)) for image in (before, after))
    difference = ImageChops.difference(one, two)
    box = difference.getbbox()
    if box is None:
        return Outcome(0)
    marks = _distance(difference, 0)
    if marks.histogram()[255] <= _FINE_LIMIT:
        count, marks = _fine(one, two, (marks, box), tolerance)
    else:
        marks = _distance(difference, round(tolerance.threshold * 255))
        count = marks.histogram()[255]
    if count <= tolerance.pixels:
        return Outcome(count)
    problem = f"{count} pixel(s) differ, {tolerance.pixels} may, around x={box[0]}…{box[2]}, y={box[1]}…{box[3]}"
    faded = Image.blend(before, Image.new("RGB", before.size, "white"), 0.8)
    faded.paste((255, 0, 0), mask=marks)
    return Outcome(count, problem, side_by_side(before, after, faded))


def unequal(one: Image.Image, two: Image.Image) -> int:
    """How many pixels are not exactly equal; all of them for another size."""
    if one.size != two.size:
        return max(one.width * one.height, two.width * two.height)
    return int(_distance(ImageChops.difference(one, two), 0).histogram()[255])


def side_by_side(before: Image.Image, after: Image.Image, difference: Image.Image) -> bytes:
    """Three pictures in a row as PNG."""
    images = (before, after, difference)
    whole = Image.new("RGB", (sum(i.width for i in images) + 2 * _GAP, max(i.height for i in images)), (90, 90, 90))
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + _GAP
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


def _masked(image: Image.Image, tolerance: Tolerance, colour: tuple[int, int, int]) -> Image.Image:
    if not tolerance.masks:
        return image
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    for x, y, width, height in tolerance.masks:
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    return copy


def _distance(difference: Image.Image, above: int) -> Image.Image:
    """255 where any channel differs by more than `above`, else 0."""
    red, green, blue = difference.split()
    worst = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return worst.point([0] * (above + 1) + [255] * (255 - above))


def _fine(
    one: Image.Image, two: Image.Image, unequal_in: tuple[Image.Image, Sequence[int]], tolerance: Tolerance
) -> tuple[int, Image.Image]:
    """Count with pixelmatch, which tells anti-aliasing from change, where the pictures are not equal."""
    unequal_at, box = unequal_in
    margin = 3  # it looks two pixels around each
    marks = Image.new("L", one.size, 0)
    for left, top, right, bottom in _tiles(unequal_at, box):
        area = (
            max(0, left - margin),
            max(0, top - margin),
            min(one.width, right + margin),
            min(one.height, bottom + margin),
        )
        before, after = (image.crop(area).convert("RGBA") for image in (one, two))
        shown = Image.new("RGBA", before.size)
        excused = not tolerance.antialiasing
        pixelmatch(before, after, shown, threshold=tolerance.threshold, includeAA=excused, diff_mask=True)
        red, green, _blue, alpha = shown.split()
        changed = ImageChops.multiply(ImageChops.multiply(red, ImageChops.invert(green)), alpha)
        inner = (left - area[0], top - area[1], right - area[0], bottom - area[1])
        marks.paste(changed.point([0] * 128 + [255] * 128).crop(inner), (left, top))
    return int(marks.histogram()[255]), marks


def _tiles(unequal_at: Image.Image, box: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """The parts of a picture in which something is unequal: the rest need not be looked at pixel by pixel."""
    for top in range(box[1], box[3], _TILE):
        for left in range(box[0], box[2], _TILE):
            tile = (left, top, min(left + _TILE, box[2]), min(top + _TILE, box[3]))
            if unequal_at.crop(tile).getbbox() is not None:
                yield tile
