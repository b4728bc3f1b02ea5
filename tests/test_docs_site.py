"""The documentation's site builds strictly, its links lead somewhere, and it asks no other machine for anything."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.interface.chromium import browser, executable

ROOT = Path(__file__).parent.parent


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "zensical.toml").read_text("utf-8")
    tomllib.loads(text)
    named = set(re.findall(r'"([\w/-]+\.md)"', text))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert named == pages | {"index.md", "contributing.md", "security.md"}


class Quiet(SimpleHTTPRequestHandler):
    """Files over HTTP, without a word on the terminal."""

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's files on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(10)


@pytest.mark.slow
def test_the_site_builds_strictly_and_stands_alone_in_a_browser_too(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "docs" / "site"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "nothing is loaded from elsewhere" in done.stdout
    site = tmp_path / "site"
    assert "What a model" in (site / "index.html").read_text("utf-8")
    assert (site / "images" / "comment.png").is_file()
    assert "flowchart" not in (site / "how-it-works.html").read_text("utf-8"), "diagrams are drawn"
    if not executable():
        pytest.skip("Chromium is not installed: run scripts/set-up")
    with served(site) as address, browser(tmp_path / "profile") as page:
        page.show(f"{address}how-it-works.html")
        drawn = "document.querySelector('.diagram svg').getBoundingClientRect()"
        assert page.run(f"{drawn}.width") > 400
        assert page.run("document.querySelector('.diagram').textContent.includes('verification protocol')")
        assert page.told == []
        page.run("document.querySelector('.md-search__button').click()")
        page.wait("document.activeElement.shadowRoot?.activeElement?.tagName === 'INPUT'")
        page.write("necessity")
        page.wait("document.activeElement.shadowRoot.textContent.includes('How it decides')")
        assert [one for one in page.asked if not one.startswith((address, "data:", "blob:"))] == []
        page.run("fetch('https://a.invalid/').catch(() => 0)")
        assert any("Content Security Policy" in one for one in page.told), "no script could ask another machine"
