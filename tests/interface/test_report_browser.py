"""The report in a real browser: hostile texts run nothing, keys and phones will do, many events stay quick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from perstack.interface.report.gathered import gather
from perstack.interface.report.page import html_page
from tests.interface.chromium import Browser, browser, executable
from tests.interface.report_events import HOSTILE, job

pytestmark = pytest.mark.slow

# Every visible text with its ratio of luminance to the nearest ground below it, as WCAG computes it.
CONTRAST = """
(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const line = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const shine = (rgb) => rgb.slice(0, 3).reduce((sum, v, n) => sum + line(v / 255) * [.2126, .7152, .0722][n], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const bad = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || ["SCRIPT", "NOSCRIPT", "OPTION"].includes(node.tagName)) continue;
    if (!node.getClientRects().length) continue;
    const [one, two] = [shine(parse(getComputedStyle(node).color)), shine(ground(node))].sort((a, b) => b - a);
    const ratio = (one + .05) / (two + .05);
    if (ratio < 4.5) bad.add(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
  }
  return [...bad];
})()
"""
FOCUS = (
    "(() => { const a = document.activeElement; return a.id || a.className || a.getAttribute('href') || a.tagName; })()"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not executable():
        pytest.skip("Chromium is not installed: run scripts/set-up")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report whose every free text is hostile, with a comparison of pictures."""
    folder = tmp_path_factory.mktemp("report")
    whole = Image.new("RGB", (3 * 60 + 16, 40), "white")
    whole.save(folder / "whole.png")
    text = html_page(gather("job1", job(100)), job(100), {"pictures/abc.png": (folder / "whole.png").read_bytes()})
    (folder / "report.html").write_text(text, "utf-8")
    return (folder / "report.html").as_uri()


def test_hostile_texts_run_nothing_and_the_page_asks_for_nothing(page: Browser, written: str) -> None:
    page.show(written)
    assert page.run("document.title") == "No proved fix: Perstack report", "no hostile text has run"
    assert page.told == [], "neither a refused style nor an error"
    assert [address[:5] for address in page.asked if address != written] == ["data:"] * len(page.asked[1:])
    assert HOSTILE[:9] not in page.run("document.querySelector('h1').outerHTML")
    assert "\u202e" not in page.run("document.body.innerText"), "direction marks are written out"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_can_be_read_and_nothing_is_wider_than_the_window(
    page: Browser, written: str, width: int, dark: bool
) -> None:
    page.show(written, width=width, dark=dark)
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.run(CONTRAST) == []
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelector('.slider').clientWidth") > 0


def test_all_of_it_can_be_reached_and_used_with_keys(page: Browser, written: str) -> None:
    page.show(written)
    page.press("Tab")
    assert page.run(FOCUS) == "skip", "the first key leads past the head"
    order = []
    for _ in range(60):
        page.press("Tab")
        order.append(page.run(FOCUS))
        if order[-1] == "list":
            break
    assert order[0] == "#verdict"
    assert order[-3:] == ["search", "kind", "list"]
    assert page.run("[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash))")
    page.press("ArrowDown", 3)
    assert page.run("document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant'))"
                    ".getAttribute('aria-selected')") == "true"  # fmt: skip
    assert page.run("document.getElementById('event-title').textContent") == "Event 3 of 114"
    page.run("document.querySelector('.compare input').focus()")
    page.press("ArrowRight", 10)
    assert page.run("document.querySelector('.slider .over').style.width") == "60%"
    page.run("document.querySelector('details.file summary').focus()")
    page.press("Enter")
    assert not page.run("document.querySelector('details.file').open")


def many(page: Browser, count: int, folder: Path) -> dict[str, Any]:
    """Seconds to make, to open, to search and to scroll a report of so many events."""
    events = job(count)
    started = time.process_time()
    text = html_page(gather("job1", events), events, {})
    told: dict[str, Any] = {"made": time.process_time() - started}
    (folder / "many.html").write_text(text, "utf-8")
    told["opened"] = page.show((folder / "many.html").as_uri())
    page.run("document.getElementById('search').focus()")
    shown = "document.getElementById('count').textContent.startsWith"
    found = f"{shown}('{events_with(events, 'message 4321'):,} of')"
    page.write("message 4321")
    started = time.monotonic()
    page.wait(found)
    told["searched"] = time.monotonic() - started
    page.press("Tab", 2)
    page.press("End")
    told["event"] = page.run("document.getElementById('event-text').textContent")
    told["marks"] = page.run("document.querySelectorAll('#event-text mark').length")
    page.run(
        "(() => { const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input')); })()"
    )
    page.wait(f"{shown}('{len(events):,} of')")
    script = """(async () => { const list = document.getElementById('list'); let worst = 0, most = 0;
      for (let step = 0; step < 20; step += 1) {
        list.scrollTop = step * list.scrollHeight / 20; const before = performance.now();
        await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
        worst = Math.max(worst, performance.now() - before);
        most = Math.max(most, list.querySelectorAll('.row').length);
      } return { worst, most }; })()"""
    told |= page.run(script)
    page.run("document.getElementById('list').focus()")
    page.press("End")
    told["last"] = page.run("document.querySelector('.row.on').textContent")
    return told


def events_with(events: list[Any], text: str) -> int:
    """How many events hold both words."""
    words = text.split()
    return sum(all(word in one for word in words) for one in map(str, events))


def test_ten_thousand_events_open_search_and_scroll_smoothly(page: Browser, tmp_path: Path) -> None:
    told = many(page, 10_000, tmp_path)
    assert told["made"] < 5
    assert told["opened"] < 10
    assert told["searched"] < 2
    assert "message 4321 " in told["event"]
    assert told["marks"] >= 2
    assert told["most"] < 60, "only what is seen is drawn"
    assert told["worst"] < 500, "milliseconds for two frames, on a machine that does much else"
    assert "message 9999 " in told["last"]


@pytest.mark.nightly
def test_a_hundred_thousand_events_do_as_well(page: Browser, tmp_path: Path) -> None:
    told = many(page, 100_000, tmp_path)
    assert told["opened"] < 30
    assert told["searched"] < 5
    assert told["worst"] < 1000
    assert told["most"] < 60
    assert "message 99999 " in told["last"], "no browser draws as deep as all of them would reach"
