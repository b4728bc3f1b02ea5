"""The local forge's records as Markdown pages. Pure text; what the texts say was written by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perstack.forge.sanitise import inline_code

_ANNOTATIONS_SHOWN = 50


def index_page(repository: str, documents: Mapping[str, Any]) -> str:
    """The page to start from: everything recorded, with links to the full texts."""
    sections = (
        ("Issues", [f"#{i['number']} {inline_code(i['title'])}" for i in documents["issues"].values()]),
        ("Pull requests", [_pull_line(p) for p in documents["pull-requests"].values()]),
        ("Reactions", [f"`{r['content']}` to {r['to']}" for r in documents["reactions"]]),
        ("Check runs", [_check_line(c) for c in documents["check-runs"]]),
        ("Comments", [_comment_line(c) for c in documents["comments"]]),
        ("Reviews", [_review_line(r) for r in documents["reviews"]]),
        ("Commits", [f"`{c['commit'][:12]}` on {inline_code(c['branch'])}" for c in documents["commits"]]),
        ("Outputs", [f"{inline_code(k)}: {inline_code(str(v)[:200])}" for k, v in documents["outputs"].items()]),
    )
    lines = [
        f"# {repository}",
        "",
        "What would be on the forge. Texts in full lie in the folders beside this page.",
        "",
    ]
    for title, entries in sections:
        if entries:
            lines += [f"## {title}", "", *(f"- {entry}" for entry in entries), ""]
    return "\n".join(lines)


def comment_page(comment: Mapping[str, Any]) -> str:
    """A comment as it would be seen."""
    return f"{comment['body'].rstrip()}\n"


def review_page(review: Mapping[str, Any]) -> str:
    """A review with its remarks as they would be seen."""
    remarks = (f"### {inline_code(c['path'])}:{c['line']}\n\n{c['body'].rstrip()}" for c in review["comments"])
    return "\n\n".join([review["body"].rstrip(), *remarks]) + "\n"


def check_page(check: Mapping[str, Any]) -> str:
    """A check run: its states so far, its texts, its annotations."""
    states = " → ".join(_state(entry) for entry in check["history"])
    parts = [f"# {check['title']}", f"`{check['name']}` on `{check['head_sha'][:12]}`: {states}", check["summary"]]
    if check["text"]:
        parts.append(check["text"])
    if check["annotations"]:
        parts.append("## Annotations\n\n" + "\n".join(_annotations(check["annotations"])))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def pull_request_page(pull: Mapping[str, Any]) -> str:
    """A pull request as it would be seen."""
    way = f"{inline_code(pull['head_ref'])} → {inline_code(pull['base_ref'])}"
    return f"# #{pull['number']} {pull['title']}\n\n{way}\n\n{pull['body'].rstrip()}\n"


def _state(entry: Mapping[str, Any]) -> str:
    return f"{entry['status']} ({entry['conclusion']})" if entry["conclusion"] else str(entry["status"])


def _annotations(annotations: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        f"- **{a['severity']}** {inline_code(a['path'])}:{a['line']} {inline_code(a['message'][:500])}"
        for a in annotations[:_ANNOTATIONS_SHOWN]
    ]
    rest = len(annotations) - _ANNOTATIONS_SHOWN
    return [*lines, f"- and {rest} more"] if rest > 0 else lines


def _pull_line(pull: Mapping[str, Any]) -> str:
    way = f"{inline_code(pull['head_ref'])} → {inline_code(pull['base_ref'])}"
    name = f"#{pull['number']} {inline_code(pull['title'])}"
    page = f"pull-requests/{pull['number']}.md"
    ours = str(pull.get("url") or "").endswith(page)  # the ones that were opened here have a page
    return f"{f'[{name}]({page})' if ours else name} ({way}, {pull['state']})"


def _check_line(check: Mapping[str, Any]) -> str:
    return (
        f"[{inline_code(check['name'])} on `{check['head_sha'][:12]}`](checks/{check['id']}.md): "
        f"{_state(check)}, {len(check['annotations'])} annotations"
    )


def _review_line(review: Mapping[str, Any]) -> str:
    return f"[#{review['number']}](reviews/{review['id']}.md), {len(review['comments'])} remarks"


def _comment_line(comment: Mapping[str, Any]) -> str:
    edits = comment["edits"]
    key = "".join(c if c.isalnum() or c in "._-" else "-" for c in comment["key"])
    return f"[on #{comment['number']}](comments/{comment['number']}-{key}.md), edited {edits} times"
