"""Pictures of Markdown and terminal output, for looking at them. A tool for people who work on the texts; no product.

    .venv/bin/python scripts/look/pictures.py OUT.png FILE.md … [--dark] [--width 900] [--open]
    .venv/bin/python scripts/look/pictures.py OUT.png FILE.md --mermaid mermaid.min.js   diagrams (npm package)
    .venv/bin/python scripts/look/pictures.py OUT.png FILE.ansi --width 1000     a terminal: `tmux capture-pane -ep`

Needs Chromium. The stylesheet resembles a forge's; it is our own and no copy.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text

CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip
LIGHT = {"page": "#ffffff", "text": "#1f2328", "soft": "#59636e", "line": "#d1d9e0", "code": "#f0f2f4",
         "link": "#0969da", "block": "#f6f8fa", "plus": "#dafbe1", "minus": "#ffebe9"}  # fmt: skip
DARK = {"page": "#0d1117", "text": "#f0f6fc", "soft": "#9198a1", "line": "#3d444d", "code": "#262c36",
        "link": "#4493f8", "block": "#151b23", "plus": "#12361f", "minus": "#45191c"}  # fmt: skip
ICONS = {
    "🟢": ("⬤", "#2da44e", False), "🔴": ("⬤", "#cf222e", False), "🟡": ("⬤", "#d4a72c", False),
    "⚪": ("◯", "#8c959f", False), "✅": ("✔", "#2da44e", True), "☑": ("✔", "#388bfd", True),
    "❌": ("✖", "#cf222e", False), "⚠": ("⚠", "#bf8700", False), "❔": ("?", "#8c959f", True),
    "✋": ("!", "#bf8700", True), "📋": ("≡", "#59636e", True), "💬": ("…", "#388bfd", True),
    "👀": ("◉", "#59636e", False), "🚫": ("⊘", "#cf222e", False), "⏹": ("■", "#59636e", False),
    "⏭": ("»", "#59636e", True), "ℹ": ("i", "#388bfd", True),
    "⏳": ("◔", "#bf8700", False), "▫": ("▫", "#8c959f", False),
}  # fmt: skip
STYLE = """
.icon {{ display: inline-block; min-width: 1.2em; text-align: center; border-radius: 4px; }}
body {{ background: {page}; color: {text}; margin: 16px;
  font: 14px/1.5 "Liberation Sans", sans-serif; }}
main {{ border: 1px solid {line}; border-radius: 6px; padding: 16px; }}
h1, h2, h3 {{ line-height: 1.25; margin: 0 0 16px; }} h1 {{ font-size: 24px; }} h2 {{ font-size: 20px; }}
h3 {{ font-size: 17px; }} p, table, details, pre, blockquote, ul {{ margin: 0 0 12px; }}
code {{ background: {code}; border-radius: 6px; padding: .2em .4em;
  font: 85% "DejaVu Sans Mono", monospace; }}
pre {{ background: {block}; border-radius: 6px; padding: 12px; overflow: hidden; }}
pre code {{ background: none; padding: 0; }} a {{ color: {link}; text-decoration: none; }}
table {{ border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; }}
th, td {{ border: 1px solid {line}; padding: 6px 13px; text-align: left; }} tr:nth-child(2n) {{ background: {block}; }}
blockquote {{ border-left: 4px solid {line}; color: {soft}; padding: 0 12px; margin-left: 0; }}
summary {{ cursor: pointer; }} sub {{ color: {soft}; font-size: 12px; }} img {{ max-width: 100%; }}
.plus {{ background: {plus}; display: block; }} .minus {{ background: {minus}; display: block; }}
"""


def page(texts: list[str], *, dark: bool, unfold: bool, mermaid: str = "") -> str:
    """Markdown as an HTML page, a frame for each text. `mermaid` is the library that draws diagrams, as a script."""
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    body = "</main><p></p><main>".join(parser.render(text) for text in texts)
    body = re.sub(r'<code class="language-diff">(.*?)</code>', _coloured, body, flags=re.DOTALL)
    body = _icons(body)
    if unfold:
        body = body.replace("<details>", "<details open>")
    body = re.sub(r'<code class="language-suggestion">(.*?)</code>', _suggested, body, flags=re.DOTALL)
    if mermaid:
        body = re.sub(r'<pre><code class="language-mermaid">(.*?)</code></pre>', r'<pre class="mermaid">\1</pre>', body,
                      flags=re.DOTALL)  # fmt: skip
        theme = "dark" if dark else "default"
        body += (
            f"<script>{mermaid}</script><script>mermaid.initialize({{startOnLoad: true, theme: '{theme}'}})</script>"
        )
    style = STYLE.format(**(DARK if dark else LIGHT))
    return f"<!doctype html><meta charset=utf-8><style>{style}</style><main>{body}</main>"


def _icons(html: str) -> str:
    """Emoji as small drawings: a machine without a colour font can look as well."""
    html = html.replace("\ufe0f", "")
    for emoji, (sign, colour, boxed) in ICONS.items():
        look = f"background:{colour};color:#fff;font-size:75%" if boxed else f"color:{colour}"
        html = html.replace(emoji, f'<span class="icon" style="{look}">{sign}</span>')
    return html


def _coloured(match: re.Match[str]) -> str:
    lines = match[1].splitlines()
    names = {"+": "plus", "-": "minus"}
    spans = [f'<span class="{names[x[0]]}">{x}</span>' if x[:1] in names else f"{x}\n" for x in lines]
    return f"<code>{''.join(spans)}</code>"


def _suggested(match: re.Match[str]) -> str:
    spans = (f'<span class="plus">+ {x}</span>' for x in match[1].splitlines())
    return f"<code>{''.join(spans)}</code>"


def terminal(ansi: str) -> str:
    """Captured terminal output as a drawing."""
    lines = ansi.rstrip().splitlines()
    text = Text.from_ansi("\n".join(lines).replace("✅", "✔ "))
    console = Console(record=True, width=max(len(line) for line in text.plain.splitlines()), file=io.StringIO())
    console.print(text)
    return console.export_svg(title="perstack demo").replace("Fira Code", "DejaVu Sans Mono")


def shoot(html: Path, out: Path, width: int, height: int) -> None:
    """One screenshot of `width` times `height` pixels."""
    with tempfile.TemporaryDirectory() as profile:
        command = [*CHROMIUM, f"--user-data-dir={profile}", "--allow-file-access-from-files",
                   "--virtual-time-budget=3000", f"--window-size={width},{height}",
                   f"--screenshot={out.resolve()}", html.resolve().as_uri()]  # fmt: skip
        subprocess.run(command, check=True, timeout=120, capture_output=True)


def height_of(html: Path, width: int) -> int:
    """How tall the page is at this width."""
    probe = html.with_suffix(".probe.html")
    script = "<script>onload=()=>document.title=document.documentElement.scrollHeight</script>"
    probe.write_text(html.read_text("utf-8") + script, "utf-8")
    with tempfile.TemporaryDirectory() as profile:
        command = [*CHROMIUM, f"--user-data-dir={profile}", "--virtual-time-budget=3000",
                   f"--window-size={width},200", "--dump-dom", probe.resolve().as_uri()]  # fmt: skip
        dom = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True).stdout
    found = re.search(r"<title>(\d+)</title>", dom)
    return min(int(found[1]) if found else 800, 6000)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("source", type=Path, nargs="+")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--open", action="store_true", help="unfold the folds")
    parser.add_argument("--width", type=int, default=900)
    parser.add_argument("--mermaid", type=Path, help="the script of the npm package `mermaid`, for diagrams")
    given = parser.parse_args()
    texts = [source.read_text("utf-8") for source in given.source]
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder, "page.html")
        if given.source[0].suffix == ".ansi":
            html.write_text(f"<meta charset=utf-8><style>body {{ margin: 0 }}</style>{terminal(texts[0])}", "utf-8")
        else:
            script = given.mermaid.read_text("utf-8") if given.mermaid else ""
            html.write_text(page(texts, dark=given.dark, unfold=given.open, mermaid=script), "utf-8")
        shoot(html, given.out, given.width, height_of(html, given.width))
    width, height = struct.unpack(">II", given.out.read_bytes()[16:24])
    print(f"{given.out}: {width}×{height}, {given.out.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
