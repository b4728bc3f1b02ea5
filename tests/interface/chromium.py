"""A real Chromium for tests of pages: opened once, driven over its own pipe. No web driver, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
WAIT = 60  # seconds
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
        "ArrowDown": 40}  # fmt: skip


class Browser:
    """One page. `told` is what it said on its console and of its rules; `asked` is every address that it asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in, self._rest = to_browser, from_browser, b""
        self._number, self._session = 0, ""
        self.told: list[str] = []
        self.asked: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One method of the protocol, answered. Raises: AssertionError where the browser refuses or is silent."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": given}
        data = json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], WAIT)
            assert ready, f"the browser said nothing for {WAIT} seconds"
            more = os.read(self._in, 1 << 20)
            assert more, "the browser is gone"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, given: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.told.append(str(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.told.append(" ".join(str(one.get("value")) for one in given["args"]))
        elif method == "Log.entryAdded":
            self.told.append(given["entry"]["text"])

    def show(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """Open an address in a window of this size; the seconds until it was loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.told.clear()
        self.asked.clear()
        self._loaded, started = False, time.monotonic()
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._read()
        return time.monotonic() - started

    def run(self, script: str) -> Any:
        """What an expression comes to in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression holds in the page. Raises: AssertionError where it does not within 20 seconds."""
        look = f"() => {{ if ({condition}) done(true); else if (Date.now() > end) done(false); else next(); }}"
        start = f"const end = Date.now() + 20000, next = () => setTimeout(look, 10), look = {look}; look();"
        assert self.run(f"new Promise((done) => {{ {start} }})"), f"never: {condition}"

    def press(self, key: str, times: int = 1) -> None:
        """A key of the keyboard, as the page gets it from a person."""
        for _ in range(times):
            common = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
            text = {"text": "\r"} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def write(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, out: Path, *, most: int = 8000) -> None:
        """The whole page as PNG, not more than `most` pixels of its height."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most), "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        out.write_bytes(base64.b64decode(shot["data"]))


def executable() -> str:
    """Where Chromium is; empty where it is not."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, ended afterwards."""
    read_theirs, write_ours = os.pipe()
    read_ours, write_theirs = os.pipe()
    # The browser reads its third file and writes to its fourth; a shell puts them there.
    line = f'exec "$0" "$@" 3<&{read_theirs} 4>&{write_theirs}'
    process = subprocess.Popen(
        ["bash", "-c", line, executable(), *COMMAND, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(read_theirs, write_theirs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_theirs)
    os.close(write_theirs)
    try:
        yield Browser(write_ours, read_ours)
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(write_ours)
        os.close(read_ours)
