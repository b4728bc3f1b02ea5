"""How a `screenshot` signal is measured: pictures of a tree, compared with pictures of the base or of a folder of it.

What is compared is the base's business alone: settings, masks, baseline pictures. Beside the configured viewports two
pictures are taken that nobody could prepare for: one of a slightly other size, one with the text in another colour. A
page that shows a picture of itself does not follow. Where a folder is the baseline nobody knows how another size should
look; but that a page changed in windows of the asked size, and in none beside it, is no fix.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import basename, join, normpath
from random import SystemRandom
from typing import Any, Final

import anyio
import anyio.to_thread

from perstack.core.json import Json
from perstack.core.signals import Diagnostic, Picture, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure.owned import remove_tree
from perstack.signals.command import OUTPUT_LIMIT, judge_command
from perstack.signals.difference.files import read_regular
from perstack.signals.http.inside import error_run, run_inside, service_request, variables
from perstack.signals.references import baseline_folder
from perstack.signals.screenshot.pixels import (
    Outcome,
    PictureInvalid,
    Tolerance,
    compare_pictures,
    is_blank,
    read_png,
    unequal,
)
from perstack.signals.screenshot.places import Places, out_of_place, places_of, unfound, widened
from perstack.signals.suites.contract import Framework, Place, SuiteRun

_WORKER = Path(__file__).parent / "worker"
_PROGRAMS = (_WORKER / "camera.py", _WORKER / "perstack_browser.py")
_COLOUR, _SIZE = "probe of another text colour", "probe of another size"
_BESIDE: Final = "probe beside "
_MOST_FILES: Final = 50
_RESPONDS: Final = 50  # pixels that must follow a change of the text's colour before a page counts as one with text


@dataclass(frozen=True, slots=True)
class Taken:
    """Pictures by name, with the places of masked elements in each.

    `wrong` is why there are none that is the tree's doing; `error` one that is not.
    """

    pictures: Mapping[str, bytes] = field(default_factory=dict)
    places: Mapping[str, Places] = field(default_factory=dict)
    wrong: str = ""
    error: SignalRun | None = None
    seconds: float = 0.0
    output: str = ""


@dataclass(slots=True)
class _Shared:
    """The base's own pictures, taken once for all runs of a plan."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    taken: Taken | None = None


@dataclass(frozen=True, slots=True)
class ScreenshotPlan:
    """`page` empty: the command writes `files`. `folder` empty: the base's own look is the baseline."""

    page: str
    element: str
    viewports: tuple[tuple[int, int], ...]
    files: tuple[str, ...]
    folder: str
    baseline: Mapping[str, bytes]
    tolerance: Tolerance
    selectors: tuple[str, ...]
    colour: str
    shrink: tuple[int, int]
    base: Path | None = None
    shared: _Shared = field(default_factory=_Shared)

    @property
    def shuffles(self) -> bool:
        """Nothing here has an order."""
        return False

    def narrowed(self, _targets: Sequence[str]) -> ScreenshotPlan:
        """There is nothing smaller to run."""
        return self

    def on(self, base: Path) -> ScreenshotPlan:
        """The same plan with the base's tree at hand."""
        return replace(self, base=base)

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        """Take the tree's pictures and compare them.

        Raises: SandboxUnavailable.
        """
        before = await self._of_base(spec, place)
        if before.error is not None:
            return SuiteRun(before.error)
        after = await self._take(spec, place)
        if after.error is not None:
            return SuiteRun(after.error)
        return SuiteRun(await anyio.to_thread.run_sync(self._judge, before, after))

    async def _of_base(self, spec: SignalSpec, place: Place) -> Taken:
        async with self.shared.lock:
            if self.shared.taken is None and self.base is not None:
                workspace = place.scratch / "base"
                base = self.base
                await anyio.to_thread.run_sync(lambda: shutil.copytree(base, workspace, symlinks=True))
                self.shared.taken = await self._take(spec, replace(place, workspace=workspace))
            return self.shared.taken or Taken()

    async def _take(self, spec: SignalSpec, place: Place) -> Taken:
        await anyio.to_thread.run_sync(self._clear, place.workspace)
        return await (self._photograph(spec, place) if self.page else self._command(spec, place))

    def _clear(self, workspace: Path) -> None:
        """Take the baseline and old pictures away: what is not there cannot be shown."""
        if self.folder:
            remove_tree(workspace / self.folder)
        for path in self._written(workspace):
            (workspace / path).unlink()

    def _written(self, workspace: Path) -> list[str]:
        found = {path.relative_to(workspace).as_posix() for glob in self.files for path in workspace.glob(glob)}
        return sorted(path for path in found if (workspace / path).is_symlink() or (workspace / path).is_file())

    async def _command(self, spec: SignalSpec, place: Place) -> Taken:
        async with place.sandbox.open(place.snapshot, place.workspace, limits=place.snapshot.limits) as session:
            result = await session.run(
                spec.run, cwd=spec.cwd, env=variables(place), timeout_s=spec.timeout_s, output_limit=OUTPUT_LIMIT
            )
        run = judge_command(spec, result)
        if run.problem_code:
            return Taken(error=run)
        if run.status is SignalStatus.FAIL:
            return Taken(wrong=f"the command ended with exit code {run.exit_code}", output=run.output)
        names = await anyio.to_thread.run_sync(self._written, place.workspace)
        if len(names) > _MOST_FILES:
            return Taken(error=error_run(result, ReasonCode.OUTPUT_LIMIT, f"more than {_MOST_FILES} pictures"))
        pictures = {name: data for name in names if (data := read_regular(place.workspace, name)) is not None}
        wrong = "" if pictures else f"the command wrote no file that matches {', '.join(self.files)}"
        return Taken(pictures, wrong=wrong, seconds=run.seconds, output=run.output)

    async def _photograph(self, spec: SignalSpec, place: Place) -> Taken:
        request: dict[str, Any] = {**service_request(spec), "page": self.page, "element": self.element}
        request["shots"], request["masks"] = list(self._shots()), list(self.selectors)
        done = await run_inside(place, spec, _PROGRAMS, request, environment=variables(place))
        if done.problem is not None:
            return Taken(error=done.problem)
        finish = done.channel.finish or {}
        if broken := str(finish.get("broken", "")):
            return Taken(error=error_run(done.result, ReasonCode.SIGNAL_ERROR, broken))
        if not finish.get("fonts"):
            text = "no fonts are in the sandbox: install some (fonts-dejavu-core), or no text is to be seen"
            return Taken(error=error_run(done.result, ReasonCode.SIGNAL_ERROR, text))
        pictures = _assembled(done.channel.records)
        if pictures is None:
            return Taken(error=error_run(done.result, ReasonCode.RESULTS_DISAGREE, "a picture is not what was sent"))
        problem = str(finish.get("problem", ""))
        return Taken(pictures, places_of(done.channel.records), problem, seconds=done.result.seconds)

    def _shots(self) -> Sequence[dict[str, Json]]:
        width, height = self.viewports[0]
        shots: list[dict[str, Json]] = [
            {"name": f"{w}x{h}", "width": w, "height": h, "style": ""} for w, h in self.viewports
        ]
        style = f"*{{color:{self.colour}!important;-webkit-text-fill-color:{self.colour}!important}}"
        shots.append({"name": _COLOUR, "width": width, "height": height, "style": style})
        size: dict[str, Json] = {"width": max(1, width - self.shrink[0]), "height": max(1, height - self.shrink[1])}
        if not self.folder:
            return [*shots, {"name": _SIZE, **size, "style": ""}]
        for name, w, h in self._beside():
            shots.append({"name": name, "width": w, "height": h, "style": ""})
        return shots

    def _beside(self) -> Iterator[tuple[str, int, int]]:
        """A smaller and a larger window beside each that is asked for."""
        for width, height in self.viewports:
            for sign, word in ((-1, "smaller"), (1, "larger")):
                w, h = max(1, width + sign * self.shrink[0]), max(1, height + sign * self.shrink[1])
                yield f"{_BESIDE}{width}x{height}: {word}", w, h

    def _judge(self, before: Taken, after: Taken) -> SignalRun:
        run = SignalRun(SignalStatus.PASS, after.seconds, exit_code=0, output=after.output)
        wanted = self._wanted(before)
        try:
            if not wanted:
                return _error(run, ReasonCode.SIGNAL_ERROR, before.wrong or "there is no baseline picture to compare")
            if after.wrong:
                return _failed(run, {"": after.wrong}, ())
            if missing := unfound(self.selectors, before.places):
                return _error(run, ReasonCode.SIGNAL_ERROR, f"no element matches the mask {missing!r} on the base")
            free = {name: self._free(name, before) for name in {*wanted, *after.pictures}}
            blank = [name for name, data in after.pictures.items() if is_blank(read_png(data), free[name])]
            if blank and all(is_blank(read_png(data), free[name]) for name, data in wanted.items()):
                return _error(run, ReasonCode.SIGNAL_ERROR, f"{blank[0]}: nothing is to be seen, on the base neither")
            found = {name: self._compare(name, data, after.pictures, free[name]) for name, data in wanted.items()}
            wrong = {name: outcome.problem for name, outcome in found.items() if outcome.problem}
            if wrong.keys() - {_COLOUR, _SIZE}:
                wrong = {name: text for name, text in wrong.items() if name not in {_COLOUR, _SIZE}}
            for name, places in before.places.items():
                if moved := out_of_place(self.selectors, places, after.places.get(name, ())):
                    wrong[name] = "; ".join([moved, *filter(None, [wrong.get(name)])])
            for name in blank:
                wrong[name] = "; ".join(["next to one colour, nothing is to be seen", *filter(None, [wrong.get(name)])])
            wrong |= dict.fromkeys(self._extra(wanted, after), "is not among the baseline's pictures")
            if self.page and not wrong and (odd := self._still(before, after) or self._only_here(before, after)):
                return _error(run, ReasonCode.CANARY_FAILED, odd)
        except PictureInvalid as error:
            return _failed(run, {"": str(error)}, ())
        pictures = tuple(
            Picture(f"{name}: before | after | difference", outcome.picture)
            for name, outcome in found.items()
            if outcome.picture and name not in {_COLOUR, _SIZE}
        )
        return _failed(run, wrong, pictures) if wrong else run

    def _wanted(self, before: Taken) -> Mapping[str, bytes]:
        return self.baseline if self.folder else before.pictures

    def _extra(self, wanted: Mapping[str, bytes], after: Taken) -> list[str]:
        names = {basename(name) if self.folder and not self.page else name for name in after.pictures}
        return sorted(n for n in names - wanted.keys() - {_COLOUR, _SIZE} if not n.startswith(_BESIDE))

    def _compare(self, name: str, data: bytes, pictures: Mapping[str, bytes], free: Tolerance) -> Outcome:
        by_name = {basename(path): value for path, value in pictures.items()} if self.folder else pictures
        made = by_name.get(name)
        if made is None:
            return Outcome(0, "the picture was not made")
        return compare_pictures(read_png(data), read_png(made), free)

    def _free(self, name: str, before: Taken) -> Tolerance:
        """The tolerance; masks are places in the configured viewports, so the probe of another size has them too."""
        masks = (*self.tolerance.masks, *widened(before.places.get(name, ())))
        return replace(self.tolerance, masks=masks, pixels=self.tolerance.pixels * (2 if name == _COLOUR else 1))

    def _only_here(self, before: Taken, after: Taken) -> str:
        """Why the page is another one in a window of an asked size alone; empty where it is not."""
        for size in (f"{width}x{height}" for width, height in self.viewports) if self.folder else ():
            names = [size, *(name for name, _, _ in self._beside() if name.startswith(f"{_BESIDE}{size}:"))]
            if not all(name in taken.pictures for name in names for taken in (before, after)):
                continue
            changed = [unequal(read_png(before.pictures[n]), read_png(after.pictures[n])) for n in names]
            if changed[0] and not any(changed[1:]):
                return f"the page changed in a window of {size}, and in none that is a little smaller or larger"
        return ""

    def _still(self, before: Taken, after: Taken) -> str:
        """Why the page does not follow a change of the text's colour as the base does; empty where it does."""
        first = "x".join(map(str, self.viewports[0]))
        moved = [
            unequal(read_png(taken.pictures[first]), read_png(taken.pictures[_COLOUR]))
            if {first, _COLOUR} <= taken.pictures.keys()
            else 0
            for taken in (before, after)
        ]
        if moved[0] < _RESPONDS or moved[1] * 4 >= moved[0]:
            return ""
        return "the page does not follow a change of its text's colour as the base does: it shows a picture of itself"


def _assembled(records: Sequence[Mapping[str, Json]]) -> dict[str, bytes] | None:
    """The pictures of a channel's records; None where a digest does not match."""
    parts: dict[str, str] = {}
    found: dict[str, bytes] = {}
    for record in records:
        name = str(record.get("name"))
        if record.get("type") == "part":
            parts[name] = parts.get(name, "") + str(record.get("data"))
        elif record.get("type") == "picture":
            text = parts.get(name, "").encode()
            if hashlib.sha256(text).hexdigest() != record.get("sha256"):
                return None
            found[name] = base64.b64decode(text)
    return found


def _error(run: SignalRun, code: ReasonCode, text: str) -> SignalRun:
    return replace(run, status=SignalStatus.ERROR, problem=text, problem_code=code.value)


def _failed(run: SignalRun, wrong: Mapping[str, str], pictures: tuple[Picture, ...]) -> SignalRun:
    texts = [f"{name}: {text}" if name else text for name, text in wrong.items()]
    return replace(
        run,
        status=SignalStatus.FAIL,
        exit_code=1,
        diagnostics=tuple(Diagnostic("", 0, "error", text, code="screenshot") for text in texts),
        output="\n".join([*texts, run.output]).strip(),
        pictures=pictures,
    )


def plan_screenshot(spec: SignalSpec, files: Mapping[str, bytes], _paths: Collection[str]) -> ScreenshotPlan:
    """The plan, from the base alone; what the probes look like is decided here, by chance."""
    expect, options, chance = spec.expect, spec.options, SystemRandom()
    folder = baseline_folder(spec)
    viewports = options.get("viewports")
    sizes = [str(size).partition("x") for size in viewports] if isinstance(viewports, list | tuple) else []
    page = str(options.get("page") or "")
    listed, given = expect.get("files"), expect.get("masks")
    masks = given if isinstance(given, list | tuple) else ()
    return ScreenshotPlan(
        page=page if spec.run or not page else normpath(join(spec.cwd, page)),
        element=str(options.get("element") or ""),
        viewports=tuple((int(width), int(height)) for width, _, height in sizes) or ((1280, 720),),
        files=tuple(normpath(join(spec.cwd, str(path))) for path in listed) if isinstance(listed, list | tuple) else (),
        folder=folder,
        baseline={
            (path.rpartition("/")[2].removesuffix(".png") if page else basename(path)): data
            for path, data in files.items()
        },
        tolerance=Tolerance(
            threshold=float(value) if isinstance(value := expect.get("threshold", 0.1), int | float) else 0.1,
            pixels=count if isinstance(count := expect.get("pixels", 0), int) else 0,
            antialiasing=expect.get("antialiasing", True) is not False,
            masks=tuple(_mask(mask) for mask in masks if not isinstance(mask, str)),
        ),
        selectors=tuple(mask for mask in masks if isinstance(mask, str)),
        colour=f"rgb({chance.randrange(160, 256)},{chance.randrange(60)},{chance.randrange(160, 256)})",
        shrink=(chance.randrange(3, 17), chance.randrange(3, 17)),
    )


def _mask(mask: Json) -> tuple[int, int, int, int]:
    numbers = [int(number) for number in mask if isinstance(number, int)] if isinstance(mask, list | tuple) else []
    return (numbers[0], numbers[1], numbers[2], numbers[3])


def screenshot_of(spec: SignalSpec) -> Framework:
    """The adapter for one `screenshot` signal."""
    folder = baseline_folder(spec)

    def reads(path: str) -> bool:
        return bool(folder) and path.startswith(f"{folder}/") and path.endswith(".png")

    return Framework("screenshot", reads=reads, plan=plan_screenshot)
