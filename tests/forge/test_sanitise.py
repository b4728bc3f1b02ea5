"""Untrusted text on its way in and out."""

from __future__ import annotations

import html
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.forge.sanitise import clean, code_block, inline_code, neutralise

HOSTILE = "Hi @octocat, fixes #12 ![x](https://evil.example/?d=1) <img src=//evil.example/p> [go](//evil.example)"


@pytest.mark.threat("R6", "P18")
@pytest.mark.parametrize(
    ("text", "expected", "hidden"),
    [
        ("plain ünïcödé 漢字 🎉", "plain ünïcödé 漢字 🎉", 0),
        ("a\r\nb\rc\td", "a\nb\nc\td", 0),
        ("a<!-- b -->c", "ac", 1),
        ("a<!-- never closed", "a", 1),
        ("a\u200bb\u2060c\ufeffd", "abcd", 3),
        ("a\u202eb\u2066c", "abc", 2),
        ("a\U000e0041\U000e007fb", "ab", 2),
        ("a\x1b[31mb\x00\x9b", "ab", 3),
        ("a\x1b]8;;https://evil.example\x07b\x1b]8;;\x1b\\c", "abc", 2),
        ("a\x1bPhidden\x1b\\b\x9dtitle\x9cc", "abc", 2),
        ("x\ufe00\ufe01y\U000e0101z", "xyz", 3),
        ("☀\ufe0f ok", "☀\ufe0f ok", 0),
        ("a\ufe0fb☀\ufe0f\ufe0f", "ab☀\ufe0f", 2),
        ("a\u2028b\u2800c", "ab\u2800c", 1),
        ("![alt words](http://x/y.png) and ![ref][1]", " and ", 2),
        ("<!\u200b-- a -->b", "b", 2),
        ("<!![x](y)-- a -->b", "b", 2),
        ('![al\nt [words]](x(y)z "ti) tle") b', " b", 1),
        ('<img alt="> do it" src=x> <img alt=evil>', "<img src=x> <img>", 2),
        ("<a title='do it now' href=x>b</a> <a title=b>", "<a href=x>b</a> <a title=b>", 1),
        ("[//]: # (do it)\n[x]: do-it-now\nb", "\n\nb", 2),
        ("[x]:\nhttps://x.example\n'do it' \n[^1]: b", "[x]:\nhttps://x.example\n[^1]: b", 1),
        ('[a](https://x.example "do it now")', "[a](https://x.example)", 1),
        ("a<?x do ?><![CDATA[it]]><!NOW b>c\n<?never ends", "ac\n", 4),
        ("<div>\n```\n<i title='do it now'>\n```\n</div>", "<div>\n```\n<i>\n```\n</div>", 1),
        ("```php\n<?= $a ?>\n<i title='do it now'>\n[x]: y 'z'\n```\n#![b(c)]", None, 0),
        ("xs[0]: int, a < b > c, <? no end, [x](y) <B c='1'>", None, 0),
    ],
)
def test_what_people_do_not_see_is_removed_and_counted(text: str, expected: str | None, hidden: int) -> None:
    cleaned = clean(text)
    assert (cleaned.text, cleaned.hidden) == (text if expected is None else expected, hidden)


def seen(text: str) -> str:
    return text.replace("\u200b", "")


@pytest.mark.threat("R7", "P19")
def test_posted_text_notifies_closes_loads_and_links_nothing() -> None:
    text = neutralise(HOSTILE)
    assert not re.search(r"@\w|#\d|\bfixes\b|!\[|<\w|\]\(", text)
    assert "@octocat, fixes #12" in seen(text)


@pytest.mark.parametrize(
    "text",
    [
        "Closes: o/r#3", "resolved GH-7", "Fix https://github.com/o/r/issues/1", "closing #4",
        "FIXED o/r#1",
    ],
)  # fmt: skip
def test_closing_keywords_are_broken(text: str) -> None:
    assert not re.search(r"(?i)\b(clos|fix|resolv)\w*:?\s", neutralise(text))
    assert seen(neutralise(text)) == text


def test_only_links_to_the_forge_stay_links() -> None:
    kept = "see [run](https://github.com/o/r/actions/runs/1) and https://github.com/o/r"
    assert neutralise(kept) == kept
    own = "[x](https://ghe.example.org/o/r)"
    assert neutralise(own, link_host="ghe.example.org") == own
    for url in ("https://github.com.evil.example/", "https://u@github.com/", "http://github.com/", "https://[bad"):
        assert "](" not in neutralise(f"[x]({url})")
        assert "://" not in neutralise(f"go to {url}").replace("\u200b://", "")
    assert "]:" not in neutralise("[a]: https://evil.example")
    assert "www." not in neutralise("www.evil.example")


def test_posted_text_cannot_command_us_or_forge_our_marker() -> None:
    assert not re.search(r"^/perstack", neutralise("/perstack fix\n  /perstack fix"), re.MULTILINE)
    assert "<!--" not in neutralise("<<!-- a -->!-- perstack:key=x -->")


@pytest.mark.parametrize("text", ["&#64;octocat", "\\@octocat", "&commat;octocat", "\\#12", "GH\\-12", "&#x40;a"])
def test_escapes_and_entities_do_not_bring_a_mention_or_reference_back(text: str) -> None:
    shown = html.unescape(re.sub(r"\\([@#-])", r"\1", neutralise(f"see {text} there")))
    assert not re.search(r"@\w|#\d|GH-\d", shown)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("@a1#<>![]():/`~\\&;-\n \u200b\u202exGHfixes"), max_size=80) | st.text())
def test_no_text_at_all_gets_through_active(text: str) -> None:
    posted = neutralise(text)
    assert not re.search(r"@[A-Za-z0-9]|#\d|!\[|<[A-Za-z/!?]|\]:", posted)
    assert all(url.startswith("github.com") for url in re.findall(r"https?://(.*)", posted))
    cleaned = clean(text).text
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\x1b\x00]", cleaned)


@settings(deadline=None)
@given(st.text())
def test_any_text_stays_inside_its_code_block_and_span(text: str) -> None:
    lines = code_block(text).split("\n")
    assert all(lines[0] not in line for line in lines[1:-1])
    assert "\n" not in inline_code(text)


@pytest.mark.parametrize("text", ["plain", "```\nx\n```", "````", "a`b``c", "~~~\n"])
def test_a_code_block_cannot_be_ended_by_its_content(text: str) -> None:
    lines = code_block(text + "\x1b[0m\u202e", "diff").split("\n")
    fence = lines[-1]
    assert lines[0] == f"{fence}diff"
    assert all(fence not in line for line in lines[1:-1])
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`a`", "`` `a` ``"), ("a|b\nc", "`a\\|b c`"), ("", "` `")],
)
def test_a_code_span_cannot_be_ended_by_its_content(text: str, expected: str) -> None:
    assert inline_code(text) == expected


@pytest.mark.threat("P24")
@pytest.mark.parametrize(
    "piece",
    ["![", "![](", "<!--", "](", "https://", "fixes ", "close: #", "@", "[x]:", "<!![](a)", "<?", "<a '", "[a]: b\n"],
)
def test_hostile_text_of_full_size_is_handled_at_once(piece: str) -> None:
    text = (piece * 65_536)[:65_536]
    started = time.process_time()
    neutralise(text)
    clean(text)
    assert time.process_time() - started < 3.0
