"""Words in a patch that speak to whoever judges it.

Pure. No verdict is made from text, so this protects readers, not the protocol.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from perstack.signals.suspicious_rules import Hit

_WHO = r"(?:reviewer|judge|verifier|grader|evaluator|validator|assistant|language model|llm|ai(?: agent| reviewer)?|copilot|perstack|bot)s?"
_ORDER = (
    r"(?:approve|accept|merge|pass|trust|ignore|skip|disregard|do not (?:run|check|flag|report)|mark (?:this|it|as))"
)
_ADDRESSED = re.compile(
    rf"(?:^|[#/*\"'\s(<\[])(?:dear |note (?:to|for) (?:the )?|attention |hey )?{_WHO}\s*[:,!\-–—]+\s.*\b{_ORDER}\b"
    rf"|\b(?:note|message|instructions?) (?:to|for) (?:the )?{_WHO}\b.*\b{_ORDER}\b"
    r"|\b(?:ignore|disregard|forget) (?:all |any )?(?:the )?(?:previous|prior|above|earlier) (?:instructions|prompts|rules)"
    r"|\btests? (?:were|was|have been|has been) (?:already )?(?:verified|validated|checked) (?:by|in) (?:ci|hand|the)\b.*\b(?:approve|accept|merge|pass)",
    re.IGNORECASE,
)


def instructions_to_judges(text: str, added: Collection[int]) -> Iterator[Hit]:
    """Added lines that tell a reviewer, human or not, what to conclude."""
    for number, line in enumerate(text.split("\n"), 1):
        if number in added and _ADDRESSED.search(line):
            yield Hit(
                "instruction", line.strip(), number, "the text tells whoever judges it what to conclude", certain=True
            )
