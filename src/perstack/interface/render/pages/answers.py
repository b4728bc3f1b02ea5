"""Answers without a result of their own: help, refusals, stops, takeovers, failures. Pure, and always with a way on."""

from __future__ import annotations

from perstack.interface.render import facts
from perstack.interface.render.pages import frame

Advice = tuple[str, str]  # a sentence, and what to do

NOTHING_TO_RETRY: Advice = (
    "there is no earlier command here that could be given again.",
    "write the command itself, for example `/perstack fix`.",
)
TOO_LONG_TO_RETRY: Advice = (
    "the earlier command was too long to be kept as a whole.",
    "give the command itself again.",
)
NOTHING_TO_STOP: Advice = ("nothing of Perstack is at work here.", "")
NOTHING_TO_EXPLAIN: Advice = (
    "there is no result here yet that could be explained.",
    "ask for one with `/perstack verify` on a pull request, or `/perstack fix`.",
)
RECORD_EDITED: Advice = (
    "the comment that it is kept in was edited by somebody else, so it may be another one now.",
    "ask again with the command itself, or with `/perstack plan`.",
)
NO_PLAN: Advice = ("there is no plan here that waits for an approval.", "ask for one with `/perstack plan`.")

COMMANDS = (
    ("fix [what is wrong]", "plans, builds and verifies a fix of what is red; pushes it only when proved"),
    ("verify", "judges this pull request with the verification protocol"),
    ("plan [what is wrong]", "writes a plan and waits; nothing is changed"),
    ("approve <sha>", "carries out exactly the plan that was made for this commit"),
    ("review [what to look at]", "an expert's remarks on this pull request; never a verdict"),
    ("run @expert [task]", "asks an expert of the base branch; what it changes is judged and shown, never pushed"),
    ("explain", "every reason of the last result in plain words, with what to do"),
    ("retry", "gives the last command here again"),
    ("stop", "ends what is at work here"),
    ("create-expert [purpose]", "makes an expert, tries it, and proposes it as a pull request"),
    ("help", "shows this table"),
)


def help_text(notes: tuple[str, ...]) -> str:
    """The commands, and what was wrong with the ones that were written."""
    wrong = "\n".join(f"- {facts.prose(note)}" for note in notes[: frame.MAX_WARNINGS])
    rows = "\n".join(f"| `/perstack {usage}` | {does} |" for usage, does in COMMANDS)
    where = "A command stands at the start of a line, outside quotes and code. A comment may hold up to three."
    return frame.join("### Perstack commands", wrong, f"| comment | does |\n|---|---|\n{rows}", where, frame.FOOTER)


def problem(action: str, message: str, hint: str, *, run_url: str = "") -> str:
    """What people see when a job had no result."""
    return _ended(f"### ⚠️ {facts.code(action, 40)} ended without a result", message, hint, ("job log", run_url))


def superseded(action: str, message: str, hint: str = "", *, run_url: str = "", newer_url: str = "") -> str:
    """A job whose target moved on, or that a newer one took over: its result would be about something else."""
    title = f"### ⏭️ {facts.code(action, 40)} was overtaken; nothing was written"
    return _ended(title, message, hint, ("the newer job", newer_url), ("job log", run_url))


def stopped(action: str, by: str, *, run_url: str = "") -> str:
    """The text of a job that somebody stopped."""
    who = f" by {facts.code(by, 40)}" if by else ""
    title = f"### ⏹️ {facts.code(action, 40)} was stopped{who}; nothing was written"
    return frame.join(
        title, "**Next:** `/perstack retry` gives the same command again.", _links(("job log", run_url)), frame.FOOTER
    )


def stop_answer(by: str, *, run_url: str = "", cancelled: bool = False, found: bool = True) -> str:
    """The answer to `stop`: what happens to the job that is at work."""
    if not found:
        return refusal("stop", *NOTHING_TO_STOP)
    how = (
        "Its workflow run was cancelled."
        if cancelled
        else "It ends before its next write; until then its check run stays in progress."
    )
    asked = frame.asked_by(by)
    return frame.join("### ⏹️ Stopping", frame.line(asked, *frame.links(("the job", run_url))), how, frame.FOOTER)


def refusal(action: str, sentence: str, hint: str = "") -> str:
    """Why a request was not acted on, in one sentence, and what to do."""
    after = f"**Next:** {frame.sentence(hint, 1000)}" if hint else ""
    title = f"### 🚫 Perstack did not run {facts.code(action, 40)}"
    return frame.join(title, frame.sentence(sentence, 1000, capital=True), after, frame.FOOTER)


def plan_moved(approved: str, now: str) -> Advice:
    """An approval that names another commit than the head is at."""
    return (
        f"the plan for {approved[:12]} was approved, and the head is at {now[:12]} now: that is other code.",
        "ask for a new plan with `/perstack plan`.",
    )


def _ended(title: str, message: str, hint: str, *links: tuple[str, str]) -> str:
    many = "\n" in message.strip() or len(message) > 500
    why = f"**Why:**\n\n{facts.block(message, 'text', 4000)}" if many else f"**Why:** {frame.sentence(message)}"
    after = f"**Next:** {frame.sentence(hint, 1000)}" if hint else ""
    return frame.join(title, why, after, _links(*links), frame.FOOTER)


def _links(*pairs: tuple[str, str]) -> str:
    return frame.line(*frame.links(*pairs))
