"""The report in a real browser: hostile texts run nothing, search finds, ten thousand events stay quick."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from perstack.interface.report.gathered import gather
from perstack.interface.report.page import html_page
from tests.interface.report_events import HOSTILE, job

pytestmark = pytest.mark.slow

EVENTS = 10_000
# Appended by the test after the page's own scripts, so that it runs where they do; its hash joins the policy.
PROBE = """
(async () => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const list = document.getElementById("list"), search = document.getElementById("search"), told = {};
  told.title = document.title;
  told.rows = list.querySelectorAll(".row").length;
  const before = performance.now();
  search.value = "message 4321";
  search.dispatchEvent(new Event("input"));
  await wait(200);
  told.searched = performance.now() - before - 200;
  told.count = document.getElementById("count").textContent;
  list.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
  told.event = document.getElementById("event").textContent.includes("message 4321");
  search.value = "";
  search.dispatchEvent(new Event("input"));
  await wait(200);
  const scrolled = performance.now();
  for (let step = 0; step < 50; step += 1) { list.scrollTop = step * 5000; list.dispatchEvent(new Event("scroll")); }
  await wait(50);
  told.scrolled = performance.now() - scrolled - 50;
  told.most = list.querySelectorAll(".row").length;
  document.title = "told " + JSON.stringify(told);
})();
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("Chromium is not installed: run scripts/set-up")
    return found


def opened(chromium: str, page: Path, profile: Path) -> str:
    """The document after five seconds of its own time."""
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


def test_hostile_texts_run_nothing_and_ten_thousand_events_stay_quick(chromium: str, tmp_path: Path) -> None:
    events = job(EVENTS)
    started = time.process_time()
    text = html_page(gather("job1", events), events, {})
    assert time.process_time() - started < 5
    page = tmp_path / "report.html"
    page.write_text(text, "utf-8")
    dumped = opened(chromium, page, tmp_path / "profile")
    assert "<title>No proved fix: Perstack report</title>" in dumped, "no hostile text may have run"
    assert 10 < dumped.count('class="row"') < 60, "only what is seen is drawn"
    probed = tmp_path / "probed.html"
    without_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probed.write_text(without_policy.replace("</body>", f"<script>{PROBE}</script></body>"), "utf-8")
    dumped = opened(chromium, probed, tmp_path / "profile")
    found = re.search(r"<title>told (.*?)</title>", dumped)
    assert found, "the page without its policy runs no hostile text either"
    told = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert told["title"] == "No proved fix: Perstack report"
    assert told["count"] == "2 of 10,014", "the message, and an event of that millisecond"
    assert told["event"]
    assert told["most"] < 60
    assert told["searched"] < 1000
    assert told["scrolled"] < 1000


def test_the_page_reaches_for_nothing_and_breaks_no_rule_of_its_own(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(html_page(gather("job1", job()), job(), {"pictures/abc.png": b"\x89PNG"}), "utf-8")
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
             "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert HOSTILE[:9] not in done.stdout.split('id="events">')[0]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == [], "neither a refused style nor an error"
