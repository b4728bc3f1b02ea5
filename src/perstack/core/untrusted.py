"""What strangers' text may not carry: characters that nobody sees. One list for prompts, comments and terminals.

Pure. Taken out: controls and whole escape sequences, zero-width and bidirectional characters, tag characters, fillers,
soft hyphens, interlinear marks, variation selectors but for the one that makes an emoji colourful. Markup is the
forge's own matter, and homoglyphs are a reader's: a fence that cannot be imitated needs neither.
"""

from __future__ import annotations

import re

# An escape sequence goes as a whole: its letters alone would be noise, and an address in one is text that nobody sees.
_SEQUENCES = (
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]{0,4096}(?:\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)
_CHARACTERS = (
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"  # controls
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0e\ufeff\ufff9-\ufffb"  # zero width, bidirectional, selectors
    "\U000e0000-\U000e0fff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"  # tags, more selectors, shorthand, musical
)
# One after a picture is how pictures are written; several, or one after a letter, can only carry what nobody sees.
_SELECTOR = "(?<![\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff0-9#*])\ufe0f"
_HIDDEN = re.compile(f"{_SEQUENCES}|{_CHARACTERS}|{_SELECTOR}")


def without_hidden(text: str) -> tuple[str, int]:
    """`text` without what nobody sees, its lines ending with `\\n`, and how many pieces were taken out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.isprintable():
        return text, 0
    return _HIDDEN.subn("", text)
