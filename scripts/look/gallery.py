"""Every text of a job on the forge as Markdown files in a folder, made from the stories of the tests.

.venv/bin/python scripts/look/gallery.py FOLDER      then look at them with pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

# the tests' stories are imported from the checkout
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.interface.render_pages import answer, data, inline, plan, review
from tests.interface.render_stories import BASE, CHANGE, hostile, stories, story, unproved, view

from perstack.forge.contract import CheckOutput
from perstack.interface.progress import JobView
from perstack.interface.render import markdown


def check_page(output: CheckOutput, state: str) -> str:
    """A check run's page as the forge lays it out."""
    notes = "\n".join(f"- **{a.severity}** `{a.path}:{a.line}` {a.message.splitlines()[0]}" for a in output.annotations)
    return f"## {output.title}\n\n*{state}*\n\n{output.summary}\n\n---\n\n{output.text}\n\n{notes}"


def answers() -> dict[str, str]:
    """What is said without a result."""
    run = "https://github.com/a/b/actions/runs/1"
    moved = "the pull request moved from d06ed504c581 to 1111aaaa2222 while this job worked"
    wrong = "perstack.toml:2: expected a value\nperstack.toml:9: unknown kind `tset`"
    return {
        "plan": markdown.plan_comment(plan()),
        "review": markdown.review_comment(review()),
        "run-expert": markdown.expert_answer(answer()),
        "explain": markdown.explain(data(), actor="ada-maintains", url=run),
        "stop": markdown.stop_answer("ada-maintains", run_url=run),
        "stopped": markdown.stopped("fix", "ada-maintains", run_url=run),
        "superseded": markdown.superseded("fix", moved, "ask again at the new head", run_url=run),
        "problem": markdown.problem("fix", wrong, "run `perstack validate`", run_url=run),
        "refusal": markdown.refusal("fix", "pull request #7 is closed; reopen it and ask again."),
        "refusal-approve": markdown.refusal("approve", *markdown.plan_moved("d06ed504c581", "1111aaaa2222")),
        "help": markdown.help_text(("line 1, column 11: `fxi` is not a command; did you mean `fix`?",)),
        "inline": "\n\n---\n\n".join(f"`{c.path}:{c.start or c.line}-{c.line}`\n\n{c.body}" for c in inline().comments),
        "inline-body": markdown.review_body(inline()),
    }


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    fixed = story()
    pages = {f"comment-{name}": markdown.result_comment(one) for name, one in stories().items()}
    pages |= answers()
    pages |= {
        "comment-progress": markdown.progress_comment("fix", "ada-maintains", BASE, view()),
        "check-queued": check_page(markdown.queued_check("fix"), "queued"),
        "check-start": check_page(markdown.progress_check("fix", JobView()), "in progress"),
        "check-progress": check_page(markdown.progress_check("fix", view()), "in progress"),
        "check-red-head": check_page(markdown.head_output(fixed), "failure"),
        "check-green-commit": check_page(markdown.check_output(fixed), markdown.conclusion(fixed)),
        "check-unproved": check_page(markdown.check_output(unproved()), markdown.conclusion(unproved())),
        "summary": markdown.summary(fixed),
        "summary-unproved": markdown.summary(unproved()),
        "pull-request": markdown.pull_request_body(fixed, closes=12),
        "commit": f"```text\n{markdown.commit_message(fixed, request_url='https://x/1', digest=CHANGE.digest)}```",
        "hostile": markdown.result_comment(hostile()),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
        print(f"{len(text):>7,}  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
