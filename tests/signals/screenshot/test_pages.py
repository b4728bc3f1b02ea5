"""The kind `screenshot` through the verifier: a real page in the sandbox, honest changes, and attacks V1 to V5."""

from __future__ import annotations

import base64
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report, Verdict
from tests.signals.project import Project, codes, git

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

PAGE = """\
<!doctype html><html><head><meta charset="utf-8"><title>Prices</title>
<link rel="stylesheet" href="style.css"><script src="app.js" defer></script></head>
<body><h1>Prices today</h1><ul id="list"></ul><p class="note">All prices with tax.</p></body></html>
"""
STYLE = "body { font-family: sans-serif; background: #fff; color: #222 } li { padding: 4px } h1 { color: #036 }\n"
SCRIPT = """\
const rows = [["tea", 2.5], ["cake", 3]];
document.getElementById("list").innerHTML =
  rows.map(([name, price]) => `<li>${name} ${price.toFixed(2)} ${Date.now()} ${Math.random()}</li>`).join("");
"""
FILES = {"site/index.html": PAGE, "site/style.css": STYLE, "site/app.js": SCRIPT, "README.md": "x\n"}
OPTIONS = {"page": "site/index.html", "viewports": ["640x400"]}
SPEC = SignalSpec("look", SignalKind.SCREENSHOT, (), repeat=1, timeout_s=120, options=OPTIONS)
BROKEN = STYLE.replace("h1 { color: #036 }", "h1 { color: #036; margin-left: 300px }")


def said(report: Report) -> str:
    return " | ".join(reason.detail for reason in report.reasons if reason.signal)


async def test_a_change_that_alters_nothing_to_be_seen_passes_and_one_that_does_is_shown(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    tidy = SCRIPT.replace('["cake", 3]', '["cake", 3.0]')
    same = await project.verify({"site/app.js": tidy}, SPEC, needs_red=False)
    assert (same.verdict, codes(same)) == (Verdict.PASS, set())
    out = tmp_path / "out"
    moved = await project.verify({"site/style.css": BROKEN}, SPEC, needs_red=False, out=out)
    assert (moved.verdict, codes(moved)) == (Verdict.FAIL, {"command-failed"})
    assert "640x400" in said(moved)
    assert "pixel(s) differ" in said(moved)
    names = moved.signals[0].pictures
    assert names
    with Image.open(out / names[0]) as picture:
        assert picture.size == (3 * 640 + 2 * 8, 400)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"site/style.css": STYLE + "body { visibility: hidden }\n"}, "one colour"),
        ({"site/style.css": STYLE + "li { animation: a 1s; opacity: 0 }\n"}, "differ"),
        ({"site/index.html": None}, "is not there"),
        ({"site/style.css": STYLE + "#list { display: none }\n"}, "is not shown"),
        ({"site/index.html": PAGE.replace('id="list"', 'id="rows"')}, "no element matches"),
        ({"site/app.js": SCRIPT + "setInterval(() => { document.body.append('x') }, 20);\n"}, "come to rest"),
        ({"site/app.js": "for (;;) {}\n"}, "not"),
    ],
    ids=["hidden", "animated", "missing", "element-hidden", "element-missing", "restless", "endless"],
)
async def test_what_hides_or_withholds_the_page_is_refused(
    tmp_path: Path, changes: dict[str, str | None], words: str
) -> None:
    options = {**OPTIONS, "viewports": ["640x400"]} | (
        {"element": "#list"} if "element" in words or "shown" in words else {}
    )
    spec = SignalSpec("look", SignalKind.SCREENSHOT, (), repeat=1, timeout_s=120, options=options)
    report = await Project.make(tmp_path, FILES).verify(changes, spec, needs_red=False)
    assert report.verdict is not Verdict.PASS
    assert words in said(report)


def picture_of(folder: Path) -> bytes:
    """A picture of the page as it should be, made by hand with the same browser."""
    shot = folder / "shot.png"
    program = "/usr/lib/chromium/chromium"
    subprocess.run([program, "--headless=new", "--no-sandbox", "--window-size=640,400", f"--screenshot={shot}",
                    f"file://{folder}/site/index.html"], check=True, capture_output=True, timeout=60)  # fmt: skip
    return shot.read_bytes()


async def test_a_page_that_shows_a_picture_of_itself_is_refused(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    data = base64.b64encode(picture_of(project.root)).decode()
    lines = "\n".join(f'data += "{data[i : i + 100]}";' for i in range(0, len(data), 100))
    fake = f"let data = '';\n{lines}\n" + 'document.body.innerHTML = `<img src="data:image/png;base64,${data}">`;\n'
    report = await project.verify({"site/app.js": fake}, SPEC, needs_red=False)
    assert report.verdict is Verdict.FAIL
    assert codes(report) & {"command-failed", "canary-failed"}


async def test_a_folder_of_the_base_is_reached_by_a_fix_and_by_nothing_else(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**FILES, "site/style.css": BROKEN})
    wanted = SignalSpec(
        "look", SignalKind.SCREENSHOT, (), repeat=1, timeout_s=120, expect={"baseline": "shots"},
        options=OPTIONS,
    )  # fmt: skip
    good = Project.make(tmp_path / "good", FILES)
    plain = SignalSpec("look", SignalKind.SCREENSHOT, (), repeat=1, timeout_s=120, options=wanted.options)
    out = tmp_path / "out"
    shown = await good.verify({"site/style.css": BROKEN}, plain, needs_red=False, out=out)
    with Image.open(out / shown.signals[0].pictures[0]) as picture:
        first = io.BytesIO()
        picture.crop((0, 0, 640, 400)).save(first, "PNG")
    (project.root / "shots").mkdir()
    (project.root / "shots" / "640x400.png").write_bytes(first.getvalue())
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "baseline")
    project.base = git(project.root, "rev-parse", "HEAD").strip()
    fixed = await project.verify({"site/style.css": STYLE}, wanted)
    assert (fixed.verdict, codes(fixed)) == (Verdict.PASS, set())
    here = BROKEN + "@media (width: 640px) { h1 { margin-left: 0 } }\n"
    only_here = await project.verify({"site/style.css": here}, wanted)
    assert "canary-failed" in codes(only_here)
    nothing = await project.verify({"README.md": "y\n"}, wanted)
    assert "still-failing" in codes(nothing)
    served = '<!doctype html><body style="margin:0"><img src="../shots/640x400.png"></body>\n'
    faked = await project.verify({"site/index.html": served}, wanted)
    assert faked.verdict is Verdict.FAIL
    assert "still-failing" in codes(faked)
    data = base64.b64encode(first.getvalue()).decode()
    parts = "\n".join(f'data += "{data[i : i + 100]}";' for i in range(0, len(data), 100))
    inline = f"let data = '';\n{parts}\ndocument.body.style.margin = 0;\n"
    inline += 'document.body.innerHTML = `<img src="data:image/png;base64,${data}">`;\n'
    pasted = await project.verify({"site/app.js": inline}, wanted)
    assert pasted.verdict is Verdict.FAIL
    assert "canary-failed" in codes(pasted)
    removed = await project.verify({"shots/640x400.png": None, "site/style.css": STYLE}, wanted)
    assert "protected-path" in codes(removed)


SERVE = """\
import http.server
import os


class Pages(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("page.html").read().replace("NOW", str(os.getpid())).encode())


http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Pages).serve_forever()
"""
SERVED = """\
<!doctype html><meta charset="utf-8"><style>body { margin: 0; font: 16px monospace } main { height: 900px }</style>
<p>hello</p><p class="stamp" style="width:20em">NOW</p><main><h1 id="late" style="margin-top:700px">prices</h1></main>
"""


async def test_a_served_page_is_compared_without_what_a_selector_masks(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {"serve.py": SERVE, "page.html": SERVED})
    spec = SignalSpec(
        "look", SignalKind.SCREENSHOT, ("python3", "serve.py"), repeat=1, timeout_s=120,
        options={"page": "/", "viewports": ["500x300", "320x240"]}, expect={"masks": [".stamp"]},
    )  # fmt: skip
    same = await project.verify({"README.md": "x\n"}, spec, needs_red=False)
    assert (same.verdict, codes(same)) == (Verdict.PASS, set()), said(same)
    hiding = SERVED.replace("<p>hello</p>", "<p class='stamp'>cheap</p>")
    hidden = await project.verify({"page.html": hiding}, spec, needs_red=False)
    assert "matches 2 element(s), 1 on the base" in said(hidden)
    late = replace(spec, options={**spec.options, "element": "#late"}, expect={})
    moved = await project.verify({"page.html": SERVED.replace("prices", "Prices")}, late, needs_red=False)
    assert "320x240" in said(moved)
    assert "pixel(s) differ" in said(moved)
    lost = replace(spec, expect={"masks": ["#nowhere"]})
    assert "no element matches the mask" in said(await project.verify({"README.md": "x\n"}, lost, needs_red=False))
