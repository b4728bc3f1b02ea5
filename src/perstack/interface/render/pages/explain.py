"""The last result in plain words: every reason with why it counts and what to do. From a comment's data alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perstack.core.json import Json
from perstack.core.outcome import Ending
from perstack.core.verdict import ReasonCode, Verdict
from perstack.interface.render import facts
from perstack.interface.render.pages import answers, frame
from perstack.interface.render.remedies import remedy
from perstack.interface.render.sentences import AFTER_ENDING, AFTER_VERDICT, ENDING, VERDICT_MARK, VERIFIED, WHY

PLAIN = {
    Verdict.PASS: "What was red on the base commit is green with the change, and nothing that gates got worse.",
    Verdict.FAIL: "Something that was measured speaks against the change. Only measurements count here, no opinion.",
    Verdict.NEEDS_TEST_CHANGE: "The change alters what tests expect. Whether that is right, only a person can say.",
    Verdict.INCONCLUSIVE: "Nothing speaks against the change, but what was measured does not prove it either.",
    Verdict.ERROR: "The measuring itself failed. That says nothing about the change.",
}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_CODES = {code.value: code for code in ReasonCode}
_ENDINGS = {ending.value: ending for ending in Ending}
MAX_CODES = len(ReasonCode)


def explain(data: Mapping[str, Json], *, actor: str = "", url: str = "") -> str:
    """The result that a comment's data tells. `url` leads to that comment."""
    verdict = _VERDICTS.get(str(data.get("verdict", "")))
    if verdict is None:
        return answers.refusal("explain", *answers.NOTHING_TO_EXPLAIN)
    ending = _ENDINGS.get(str(data.get("outcome", "")))
    codes = _codes(data.get("reasons"))
    head = str(data.get("head", ""))
    command = str(data.get("command", "")) or "job"
    about = f"the last result of {facts.code(command, 40)}{f' at {head[:12]}' if head.isalnum() else ''}"
    said = ENDING[ending] if ending is not None else VERIFIED[verdict]
    after = AFTER_ENDING[ending] if ending is not None and ending is not Ending.FIXED else AFTER_VERDICT[verdict]
    return frame.compose(
        (
            f"### {VERDICT_MARK[verdict]} In plain words: {said}",
            frame.line(about, frame.asked_by(actor), *frame.links(("that result", url))),
            f"**Verdict `{verdict}`.** {PLAIN[verdict]}",
            "\n\n".join(_explained(code) for code in codes),
            f"**Next:** {after}" if after else "",
        )
    )


def _codes(value: Json) -> list[ReasonCode]:
    """The codes we know, in order, once each: the data is ours, and may be of another version."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    known = (_CODES.get(one) for one in value if isinstance(one, str))
    return list(dict.fromkeys(code for code in known if code is not None))[:MAX_CODES]


def _explained(code: ReasonCode) -> str:
    return f"- **`{code}`**: {WHY[code]}.  \n  What to do: {remedy(code)[:1].lower()}{remedy(code)[1:]}."
