"""Takes pictures of a page in the sandbox and sends them over the channel. Compares nothing.

The page's scripts see a fixed clock and fixed chance; what we ask about the page (where an element is, a changed
colour) goes past them, through the browser.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from perstack.signals.http.worker.perstack_service import Service, close_to_others
    from perstack.signals.pytest.worker.perstack_channel import Emit, open_channel
    from perstack.signals.screenshot.worker.perstack_browser import Browser, BrowserFailed
else:
    sys.path.insert(0, str(Path(__file__).parent))  # these lie beside this script
    from perstack_browser import Browser, BrowserFailed
    from perstack_channel import open_channel
    from perstack_service import Service, close_to_others

_CHUNK = 500_000
_LARGEST = 40_000_000
_LOAD_S = 20.0
_REST_TRIES = 8
_MOST_MASKED = 50
_FIXED = """(() => {
  const now = Date.UTC(2024, 0, 15, 12, 0, 0), Real = Date;
  const Fixed = function (...words) {
    if (!new.target) return new Real(now).toString();
    return words.length ? new Real(...words) : new Real(now);
  };
  Fixed.prototype = Real.prototype; Fixed.now = () => now; Fixed.parse = Real.parse; Fixed.UTC = Real.UTC;
  Real.prototype.constructor = Fixed; globalThis.Date = Fixed;
  let seed = 1;
  Math.random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
})();"""
_STILL = (
    "*,*::before,*::after{animation:none!important;transition:none!important;caret-color:transparent!important;"
    "scroll-behavior:auto!important}"
)
_ADD_STYLE = """(() => { const s = document.createElement('style'); s.textContent = %s;
  (document.head || document.documentElement).appendChild(s); })()"""
_SETTLED = """document.fonts.ready.then(() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(1)))))"""


class PageFailed(Exception):
    """The page is not there, or what is to be photographed is not on it."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        pass


class Tab:
    """One tab in which everything that could differ from run to run is fixed."""

    def __init__(self, browser: Browser) -> None:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._browser = browser
        self._call = call = partial(browser.call, session=self._session)
        for domain in ("Page", "DOM"):
            call(f"{domain}.enable")
        call("Page.setBypassCSP", enabled=True)
        agent = browser.call("Browser.getVersion")["userAgent"].replace("Headless", "")
        call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage="en-US")
        call("Emulation.setTimezoneOverride", timezoneId="UTC")
        call("Emulation.setLocaleOverride", locale="en-US")
        still = [
            {"name": "prefers-reduced-motion", "value": "reduce"},
            {"name": "prefers-color-scheme", "value": "light"},
        ]
        call("Emulation.setEmulatedMedia", media="screen", features=still)
        call("Page.addScriptToEvaluateOnNewDocument", source=_FIXED)

    def take(
        self, origin: str, path: str, shot: dict[str, Any], element: str, masks: list[str]
    ) -> tuple[bytes, list[list[int]]]:
        """One picture as PNG, base64, and where in it the masked elements are. `shot`: width, height, style to add."""
        call = self._call
        call("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        size = {"width": shot["width"], "height": shot["height"]}
        call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        self._browser.forget()
        if problem := call("Page.navigate", url=f"{origin}{path}").get("errorText"):
            raise PageFailed(f"the page cannot be loaded: {problem}")
        if not self._browser.wait_for("Page.loadEventFired", self._session, _LOAD_S):
            raise PageFailed(f"the page had not loaded after {_LOAD_S:g} s")
        hidden = "".join(f":is({one}),:is({one}) *{{visibility:hidden!important}}" for one in masks)
        _style(call, _STILL + shot["style"] + hidden)
        call("Runtime.evaluate", expression=_SETTLED, awaitPromise=True)
        return _at_rest(call, element, masks)


def _style(call: Any, text: str) -> None:
    """Add a style from a world of ours: functions that the page has replaced are not the ones used."""
    frame = call("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
    call("Runtime.evaluate", expression=_ADD_STYLE % json.dumps(text), contextId=world)


def _at_rest(call: Any, element: str, masks: list[str]) -> tuple[bytes, list[list[int]]]:
    """A picture that is followed by the same picture, and the masked places in it."""
    last, places = b"", list[list[int]]()
    for _ in range(_REST_TRIES):
        clip = _clip(call, element) if element else {}
        options = {"clip": clip, "captureBeyondViewport": True} if clip else {}
        picture = call("Page.captureScreenshot", format="png", **options)["data"].encode()
        before, places = places, _places(call, masks, clip)
        if picture == last and places == before:
            return bytes(picture), places
        last = picture
        time.sleep(0.1)
    raise PageFailed("the page does not come to rest: two pictures in a row always differ")


def _places(call: Any, masks: list[str], clip: dict[str, float]) -> list[list[int]]:
    """Number of the selector, x, y, width and height of everything that is masked, within the picture."""
    root = call("DOM.getDocument", depth=0)["root"]["nodeId"]
    found: list[list[int]] = []
    for number, selector in enumerate(masks):
        try:
            nodes = call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        except BrowserFailed as error:
            raise PageFailed(f"the selector {selector!r} cannot be used: {error}") from error
        for node in nodes[:_MOST_MASKED]:
            try:
                quad = call("DOM.getBoxModel", nodeId=node)["model"]["border"]
            except BrowserFailed:
                continue  # it is not shown
            left, top = min(quad[::2]) - clip.get("x", 0), min(quad[1::2]) - clip.get("y", 0)
            right, bottom = max(quad[::2]) - clip.get("x", 0), max(quad[1::2]) - clip.get("y", 0)
            x, y = math.floor(left), math.floor(top)
            found.append([number, x, y, math.ceil(right) - x, math.ceil(bottom) - y])
    return found


def _clip(call: Any, element: str) -> dict[str, float]:
    root = call("DOM.getDocument", depth=0)["root"]["nodeId"]
    try:
        node = call("DOM.querySelector", nodeId=root, selector=element)["nodeId"]
    except BrowserFailed as error:
        raise PageFailed(f"the selector {element!r} cannot be used: {error}") from error
    if not node:
        raise PageFailed(f"no element matches {element!r}")
    try:
        quad = call("DOM.getBoxModel", nodeId=node)["model"]["border"]
    except BrowserFailed as error:
        raise PageFailed(f"the element {element!r} is not shown") from error
    left, top = min(quad[::2]), min(quad[1::2])
    return {"x": left, "y": top, "width": max(quad[::2]) - left, "height": max(quad[1::2]) - top, "scale": 1}


def _send(emit: Emit, name: str, picture: bytes) -> None:
    if len(picture) > _LARGEST:
        raise PageFailed("the picture is too large")
    for start in range(0, len(picture), _CHUNK):
        emit({"type": "part", "name": name, "data": picture[start : start + _CHUNK].decode()})
    emit({"type": "picture", "name": name, "sha256": hashlib.sha256(picture).hexdigest()})


def _photograph(wanted: dict[str, Any], emit: Emit) -> str:
    """All pictures; why there are no more of them, empty where all were taken."""
    service = Service(wanted) if wanted["run"] else None
    browser = Browser()
    try:
        if service is not None:
            if service.problem:
                return service.problem
            port, path = service.port, wanted["page"]
        else:
            handler = partial(_Quiet, directory=wanted["workspace"])
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            port, path = server.server_port, "/" + quote(wanted["page"])
            if not Path(wanted["workspace"], wanted["page"]).is_file():
                return f"the page {wanted['page']} is not there"
        tab = Tab(browser)
        for shot in wanted["shots"]:
            origin = f"http://127.0.0.1:{port}"
            picture, places = tab.take(origin, path, shot, wanted["element"], wanted["masks"])
            _send(emit, shot["name"], picture)
            emit({"type": "masked", "name": shot["name"], "places": places})
        return ""
    finally:
        browser.end()
        if service is not None:
            service.end()


def main() -> None:
    """Read what is wanted, take the pictures, say how it ended."""
    close_to_others()
    wanted = json.loads(sys.stdin.buffer.read())
    emit = open_channel(wanted["socket"], wanted["nonce"])
    fonts = sum(1 for path in Path("/usr/share/fonts").rglob("*") if path.suffix in {".ttf", ".otf", ".ttc", ".pfb"})
    problem, broken = "", ""
    try:
        problem = _photograph(wanted, emit)
    except PageFailed as error:
        problem = str(error)
    except BrowserFailed as error:
        broken = str(error)
    emit({"type": "finish", "problem": problem, "broken": broken, "fonts": fonts})


main()
