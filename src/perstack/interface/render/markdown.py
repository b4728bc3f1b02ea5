"""The texts of a job on the forge by name; each page is a module of `render/pages/`. Pure.

What happened comes first, then the table from red to green, then why not and what to do. Long material is folded.
What a model or a stranger wrote is quoted or shown as code, without images, mentions or links that work.
"""

from __future__ import annotations

from perstack.interface.render.pages.answers import (
    NO_PLAN,
    NOTHING_TO_EXPLAIN,
    NOTHING_TO_RETRY,
    RECORD_EDITED,
    TOO_LONG_TO_RETRY,
    help_text,
    plan_moved,
    problem,
    refusal,
    stop_answer,
    stopped,
    superseded,
)
from perstack.interface.render.pages.check import (
    check_output,
    conclusion,
    head_output,
    places_of,
    progress_check,
    queued_check,
)
from perstack.interface.render.pages.comment import progress_comment, result_comment
from perstack.interface.render.pages.commit import commit_message, pull_request_body
from perstack.interface.render.pages.experts import expert_answer, plan_comment, review_comment
from perstack.interface.render.pages.explain import explain
from perstack.interface.render.pages.frame import compose
from perstack.interface.render.pages.history import history_of, result_data
from perstack.interface.render.pages.inline import REVIEW, inline_review, review_body
from perstack.interface.render.pages.made import made_body, made_comment, made_message
from perstack.interface.render.pages.sections import headline
from perstack.interface.render.pages.summary import summary
from perstack.interface.story import AnswerStory, InlineReview, PlanStory, ReviewStory, Story

__all__ = [
    "NOTHING_TO_EXPLAIN",
    "NOTHING_TO_RETRY",
    "NO_PLAN",
    "RECORD_EDITED",
    "REVIEW",
    "TOO_LONG_TO_RETRY",
    "AnswerStory",
    "InlineReview",
    "PlanStory",
    "ReviewStory",
    "Story",
    "check_output",
    "commit_message",
    "compose",
    "conclusion",
    "expert_answer",
    "explain",
    "head_output",
    "headline",
    "help_text",
    "history_of",
    "inline_review",
    "made_body",
    "made_comment",
    "made_message",
    "places_of",
    "plan_comment",
    "plan_moved",
    "problem",
    "progress_check",
    "progress_comment",
    "pull_request_body",
    "queued_check",
    "refusal",
    "result_comment",
    "result_data",
    "review_body",
    "review_comment",
    "stop_answer",
    "stopped",
    "summary",
    "superseded",
]  # fmt: skip
