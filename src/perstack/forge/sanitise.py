"""Untrusted text: what is taken out on the way in, what is made harmless on the way out. Pure; redacts no secrets.

On the way in, text that people do not see is removed and counted. On the way out, text by a model or a stranger may
not notify, close, link or load anything. Markup is broken with a zero-width space, which is right in prose and in code
spans alike; an HTML entity or extra back-ticks would be wrong in one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from perstack.core.untrusted import without_hidden
from perstack.forge.unseen import without_unseen

_HTML_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_ALT = r"!\[(?>[^\[\]]{1,500}+|\[[^\[\]]{0,500}+\]){0,50}+\]"
_ASIDE = r"\"[^\"]{0,1000}+\"|'[^']{0,1000}+'|\([^()]{0,1000}+\)"
_IMAGE = re.compile(
    rf"{_ALT}(?:\((?>{_ASIDE}|[^()\"']{{1,1000}}+){{0,50}}+\)|\[[^\]]{{0,500}}+\])"
    r"|!\[[^\]\n]{0,500}+\](?:\([^)\n]{0,2000}+\)|\[[^\]\n]{0,500}+\])"
)
_CLEAN_ROUNDS = 8  # bounds the work a hostile text can cause; what is left is still broken by `neutralise`
_BREAK = "\u200b"
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
_CLOSING = re.compile(r"\b(clos|fix|resolv)(?=(?:e|es|ed|ing)?:?\s+(?:\S{0,200}#\d|gh-\d|https?:))", re.IGNORECASE)
_REFERENCE = re.compile(r"#(?=\d)|(?<=[Gg][Hh])\\?-(?=\d)")
_ENTITY = re.compile(r"&(?=#?\w{1,40};)")  # would become the character after all of this looked at the text
_INLINE_LINK = re.compile(r"\](?=\()\(\s{0,8}<?([^)\s>]{0,4000})")
_BARE_URL = re.compile(r"\b(https?|ftp)(://[^\s<>)\]\"'`]{0,4000})", re.IGNORECASE)
_SLASH_COMMAND = re.compile(r"^([ ]{0,3}/)(?=perstack)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Text without what people do not see, and how many pieces were taken out."""

    text: str
    hidden: int


def clean(text: str) -> Cleaned:
    """Remove HTML comments, invisible and control characters, images (their alternative text is unseen too), and what
    else a page does not show.
    """
    plain = _plain(text)
    text, unseen = without_unseen(plain.text)
    return Cleaned(text, plain.hidden + unseen)


def _plain(text: str) -> Cleaned:
    """Without what nobody sees whoever wrote it: comments, characters, images."""
    text, hidden = without_hidden(text)
    for _ in range(_CLEAN_ROUNDS):  # taking one piece out can join the ends of another
        text, comments = _HTML_COMMENT.subn("", text)
        text, images = _IMAGE.subn("", text)
        hidden += comments + images
        if not comments + images:
            break
    return Cleaned(text, hidden)


def neutralise(text: str, *, link_host: str = "github.com") -> str:
    """Prose for posting: no images, mentions, issue references, closing keywords or HTML; links only to `link_host`."""
    text = _ENTITY.sub(f"&{_BREAK}", _plain(text).text)
    text = text.replace("![", f"!{_BREAK}[").replace("]:", f"]{_BREAK}:")
    text = _INLINE_LINK.sub(lambda m: m[0] if _is_forge_link(m[1], link_host) else f"]{_BREAK}{m[0][1:]}", text)
    text = _BARE_URL.sub(lambda m: m[0] if _is_forge_link(m[0], link_host) else f"{m[1]}{_BREAK}{m[2]}", text)
    text = re.sub(r"\bwww\.", f"www{_BREAK}.", text, flags=re.IGNORECASE)
    text = re.sub(r"<(?=[A-Za-z/!?])", f"<{_BREAK}", text)
    text = _CLOSING.sub(lambda m: f"{m[1][0]}{_BREAK}{m[1][1:]}", text)
    text = _REFERENCE.sub(lambda m: f"{m[0]}{_BREAK}", text)
    text = _MENTION.sub(f"@{_BREAK}", text)
    return _SLASH_COMMAND.sub(rf"\1{_BREAK}", text)


def code_block(text: str, language: str = "") -> str:
    """A fenced block that its content cannot end. Images, mentions and links are inert in it; controls are removed."""
    text, _ = without_hidden(text)
    fence = fence_for(text)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def fence_for(text: str) -> str:
    """Back-ticks for a fenced block that `text` cannot end."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))


def inline_code(text: str) -> str:
    """A code span on one line that its content cannot end. `|` is escaped, so it may stand in a table."""
    text = " ".join(without_hidden(text)[0].split()).replace("|", "\\|") or " "
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _is_forge_link(url: str, host: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.netloc == host  # `netloc`: no user, no port
