"""An expert that somebody wished for: the comment, and the pull request that proposes it. Pure.

Key, query and definition are a model's words; that the signal is green is the harness's.
"""

from __future__ import annotations

from perstack.forge.sanitise import neutralise
from perstack.interface.render import facts
from perstack.interface.render.pages import frame
from perstack.interface.story import MadeStory

_SHORT = 12
_MAX_QUERY = 1_500
_ONCE = (
    "The harness ran it once, in a sandbox, and asked the signal: that it can do its work is shown, not that it always "
    "will. The change adds tables and alters none; nothing of it counts before a person merges it."
)


def made_comment(made: MadeStory) -> str:
    """What came of the wish: the pull request, or the change and why there is none, or why there is no expert."""
    at = f"`create-expert`{f' at {made.head[:_SHORT]}' if made.head else ''}"
    where = frame.line(at, frame.asked_by(made.actor), *frame.links(("run", made.run_url)))
    cost = f"<sub>{frame.spent(made.usage, None)}</sub>"
    rest = (cost, frame.warnings_fold(made.warnings))
    if made.candidate is None:
        after = "**Next:** say more exactly what a right result is, and ask again with `/perstack create-expert …`."
        title = "### 🧩 No expert was made"
        return frame.compose((title, where, f"**Why:** {frame.sentence(made.error, capital=True)}", after, *rest))
    key = facts.code(made.key, 80)
    note = frame.sentence(made.note, 1000) if made.note else ""
    if made.pull_url:
        told = "The pull request is updated" if made.updated else "A pull request proposes it"
        after = f"**{told}:** {frame.link('look at it', made.pull_url)}"
    elif made.branch:
        after = f"**It is on the branch {facts.code(made.branch, 120)}.** Open a pull request from it."
    else:
        after = "**Nothing was pushed.** The change is below, for `git apply`."
    patch = facts.details("The change", facts.block(facts.readable_patch(made.candidate.patch), "diff"))
    return frame.compose((f"### 🧩 The expert {key} was made", where, after, note, *_shown(made), patch, *rest))


def made_body(made: MadeStory) -> str:
    """The body of the pull request. The change itself is on its own page there."""
    asked = f"Asked for in #{made.number}." if made.number else ""
    return frame.compose(
        (f"Adds the expert {facts.code(made.key, 80)} to `perstack.toml`. {asked}".strip(), *_shown(made))
    )


def made_message(made: MadeStory, *, request_url: str, digest: str) -> str:
    """The message of the commit; its first line is also the pull request's title."""
    body = ["Made from a wish, run once on a test query in a sandbox; its signal is green:", ""]
    body += [f"- {facts.prose(made.signal, 200)}", ""]
    trailers = [f"Perstack-Request: {request_url}"] if request_url else []
    trailers += [f"Perstack-Base: {made.head}", f"Perstack-Candidate: sha256:{digest}"]
    return "\n".join((neutralise(f"Add the expert {made.key}"), "", *body, *trailers)) + "\n"


def _shown(made: MadeStory) -> tuple[str, ...]:
    tries = facts.count(made.rounds, "try") if made.rounds < 2 else f"{made.rounds} tries"
    rows = [
        f"- {facts.code(key, 80)}: {facts.prose('; '.join(rights) or 'nothing', 800)}"
        for key, rights in made.rights.items()
    ]
    return (
        f"**Green after {tries}:** {facts.prose(made.signal, 400)}",
        f"It was asked:\n\n{frame.soft(made.query[:_MAX_QUERY])}",
        "\n".join(("It may do:", "", *rows)),
        _ONCE,
    )
