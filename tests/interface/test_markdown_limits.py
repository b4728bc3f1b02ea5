"""Any story whatever: every page within the forge's limits, closed, without mentions, images or links of strangers."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perstack.core.outcome import Candidate, Ending
from perstack.core.signals import Diagnostic, DiagnosticDelta, SignalKind, SignalStatus, TestCase, TestDelta, TestStatus
from perstack.core.verdict import HunkNecessity, PolicyFinding, Reason, ReasonCode, Report, Verdict
from perstack.forge.check_documents import annotation, batches, can_annotate, output_document, sorted_findings
from perstack.forge.github_markers import DATA_LIMIT
from perstack.forge.limits import CHECK_TEXT_LIMIT, COMMENT_LIMIT, SUMMARY_LIMIT, utf8_bytes, utf16_units
from perstack.interface.progress import JobView
from perstack.interface.render import markdown
from perstack.interface.render.pages.flow import MAX_LABEL, diagram, label
from perstack.interface.story import Story
from tests.interface.render_pages import PULL_DIFF, answer, made, plan, review
from tests.interface.render_reading import HIDDEN, NOTIFIES, Page
from tests.interface.render_stories import BASE, event, outcome, report, signal

PIECES = (
    "@everyone", "@ada", "Fixes #1", "![x](http://e.vil/x.png)", "[x](http://e.vil)", "<img src=x onerror=1>", "<!--",
    "-->", "</details>", "<details>", "</summary>", "`", "```", "````", "~~~~", "|", "\\|", "\n", "\n\n", "# big", "\r",
    "\x1b[31m", "\x1b]0;t\x07", "\u202e", "\u200b", "\u2066", "🎉", "𝔘", "é", "漢", "\ud800", "&lt;", "&#64;ada",
    "https://e.vil", "www.e.vil", "::error::x", "%0A", "</sub>", "<b", "https:e.vil", "[a]: http://e.vil", "]]>", "\t",
    '"', "graph TD", "click a", "#quot;", "end", "  ", "x" * 900,
)  # fmt: skip
# An address with a host of its own; the runner gives the ones that are ours.
FOREIGN = re.compile(r"(?!https://(?:runner\.example|github\.com/mail-order)/)(?:[a-z]+:|//)", re.IGNORECASE)
URLS = st.lists(st.sampled_from([one for one in PIECES if one != "\ud800"]), max_size=4).map(
    lambda parts: "https://runner.example/" + "".join(parts)
)  # the runner gives them: strangers choose names in them at most
NASTY = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NAMES = st.lists(NASTY, max_size=6).map(tuple)
DIAGNOSTICS = st.lists(
    st.builds(Diagnostic, NASTY, st.integers(-1, 99), NASTY, NASTY, st.integers(-1, 9), NASTY), max_size=6
).map(tuple)
TREES = st.sampled_from(["base", "candidate"])
EVENTS = st.one_of(
    st.builds(lambda stage, n: event("startStage", stage=stage, round=n), NASTY | st.just("verify"), st.integers(0, 9)),
    st.builds(lambda stage: event("finishStage", stage=stage, seconds=1.5, ok=False), NASTY | st.just("verify")),
    st.builds(lambda said: event("progress", message=said), NASTY),
    st.builds(lambda name, tree: event("startSignal", name=name, tree=tree), NASTY, TREES),
    st.builds(lambda name, tree: event("finishSignal", name=name, tree=tree, status="fail"), NASTY, TREES),
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    tests = TestDelta(still_failing=draw(NAMES), broken=draw(NAMES), fail_to_pass=draw(NAMES), flaky=draw(NAMES))
    cases = tuple(TestCase(name, TestStatus.FAILED, 0.0, name, name, 3) for name in draw(NAMES))
    found = draw(DIAGNOSTICS)
    code = draw(st.sampled_from(list(ReasonCode)))
    suite = signal(draw(st.sampled_from(list(SignalStatus))), name=draw(NASTY), tests=tests, failures=cases)
    compiler = signal(
        SignalStatus.FAIL, name=draw(NASTY), kind=SignalKind.COMPILER, tests=None, diagnostics=found,
        changes=DiagnosticDelta(new=found, gone=found),
    )  # fmt: skip
    return report(
        draw(st.sampled_from(list(Verdict))),
        *(Reason(code, detail, detail) for detail in draw(NAMES)),
        signals=(suite, compiler),
        evidence=draw(NASTY),
        policy=tuple(PolicyFinding(code, name, name, n, blocks=bool(n)) for n, name in enumerate(draw(NAMES))),
        necessity=tuple(HunkNecessity(name, 1, verified=False) for name in draw(NAMES)),
    )


@st.composite
def any_story(draw: st.DrawFn) -> Story:
    judged = draw(reports())
    patch = "".join(f"diff --git a/{name} b/{name}\n@@ -1 +1 @@\n-x\n+{name}\n" for name in draw(NAMES))
    said = draw(NASTY)
    view = JobView()
    for one in draw(st.lists(EVENTS, max_size=12)):
        view = view.apply(one)
    ended = outcome(
        draw(st.sampled_from(list(Ending))), draw(NASTY), report=judged, plan=said, remarks=(said,),
        candidate=Candidate(patch, "f" * 64, "a" * 40, draw(NAMES), 1, 1),
    )  # fmt: skip
    entry = {"command": said, "verdict": said, "outcome": said, "run": said, "finished": said, "head": said}
    return Story(
        draw(NASTY), draw(NASTY), BASE, *draw(st.sampled_from([(ended, None), (None, judged)])),
        commit=draw(st.sampled_from(["", "a" * 40])), branch=draw(NASTY), note=draw(NASTY), warnings=draw(NAMES),
        run_url=draw(URLS), evidence_url=draw(URLS), approved_by=draw(NASTY), plan_sha256=draw(st.just("ab" * 32)),
        claimed=draw(NASTY), claimed_url=draw(URLS), test_change=draw(st.just("") | st.just(patch)), view=view,
        history=markdown.history_of(entry), inline=markdown.inline_review(PULL_DIFF, draw(DIAGNOSTICS)),
    )  # fmt: skip


def pages(story: Story) -> dict[str, str]:
    said = story.note
    output, head = markdown.check_output(story), markdown.head_output(story)
    live = markdown.progress_check(story.action, story.view)
    return {
        "comment": markdown.result_comment(story), "check": output.summary, "check text": output.text,
        "head": head.summary, "head text": head.text, "live check": live.summary,
        "live comment": markdown.progress_comment(story.action, story.actor, BASE, story.view, note=said,
                                                  history=story.history),
        "pull request": markdown.pull_request_body(story, closes=0),
        "plan": markdown.plan_comment(plan(said)), "review": markdown.review_comment(replace(review(said),
                                                                                             inline=story.inline)),
        "answer": markdown.expert_answer(replace(answer(said), expert=said, report=story.judged)),
        "made": markdown.made_comment(made(said)), "made for": markdown.made_body(made(said)),
        "problem": markdown.problem(story.action, said, said, run_url=story.run_url),
        "superseded": markdown.superseded(story.action, said, said, newer_url=story.run_url),
        "refusal": markdown.refusal(story.action, said, said), "help": markdown.help_text(story.warnings),
        "remarks": "\n\n".join(one.body for one in (story.inline.comments if story.inline else ())),
    }  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(any_story())
def test_no_page_can_be_taken_over(story: Story) -> None:
    for name, text in pages(story).items():
        hidden = 0 if "check" in name or "head" in name else DATA_LIMIT
        assert utf16_units(text) <= min(COMMENT_LIMIT, CHECK_TEXT_LIMIT) - hidden - 2_000, name
        assert not HIDDEN.search(text), name
        page = Page(text)
        assert page.tags.wrong == [], name
        assert page.closed, name
        assert NOTIFIES.findall(page.prose) == [], name
        assert not {"img", "script", "iframe", "style"} & set(page.tags.seen), name
        assert not any(FOREIGN.match(link) for link in page.tags.links), name
    text = markdown.summary(story)
    assert utf8_bytes(text) <= SUMMARY_LIMIT - 100_000
    page = Page(text)
    assert page.tags.wrong == []
    assert page.closed


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_a_diagram_is_one_block_whose_labels_say_nothing_to_its_renderer(events: list[object]) -> None:
    view = JobView()
    for one in events:
        view = view.apply(one)  # type: ignore[arg-type]  # the strategy makes events
    text = diagram(Story("fix", "", BASE, report=report(), view=view))
    if not text:
        return
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("```mermaid", "```")
    assert not any("```" in line for line in lines[1:-1])
    for line in lines[2:-1]:
        assert re.fullmatch(
            r'  (?:(?:s\d+\(\["[^"]*"\]\)|v\{\{"[^"]*"\}\}):::(?:good|bad|ask|wait)'
            r'|s\d+ (?:-->|-\.->\|"again"\||-->\|"\d+ stages left out"\|) (?:s\d+|v)|classDef \w+ [\w:#,-]+)', line,
        ), line  # fmt: skip


@given(NASTY)
def test_a_label_holds_letters_digits_and_a_few_signs(text: str) -> None:
    assert len(label(text)) <= MAX_LABEL
    assert not set(label(text)) & set("\"'`<>#&;@\\[]{}|%\n\r")


def test_twenty_thousand_annotations_on_three_thousand_files_fit_and_are_counted() -> None:
    found = tuple(
        Diagnostic(f"src/{n % 3_000}/{'𝔘' * 40}.py", n % 90, "warning", f"@everyone {n} {'🎉' * 20}", 3, "W" * 400)
        for n in range(20_000)
    )
    worst = Diagnostic("z.py", 1, "error", "the one that matters")
    judged = report(Verdict.FAIL, signals=(signal(SignalStatus.FAIL, tests=None, diagnostics=(*found, worst)),))
    output = markdown.check_output(Story("verify", "", BASE, report=judged))
    ordered = sorted_findings(output.annotations)
    assert ordered[0] == worst
    assert len({one.path for one in ordered[:50]}) == 50, "each of the first ones is about another file"
    assert len(ordered) == 20_001
    sent = ordered[:500]
    document = output_document(output, left_out=len(ordered) - len(sent))
    assert "19,501 more findings are not annotated here." in str(document["summary"])
    assert utf16_units(str(document["summary"])) <= CHECK_TEXT_LIMIT
    for batch in batches(sent):
        assert len(batch) <= 50
        for one in batch:
            told = annotation(one)
            assert can_annotate(one)
            assert utf8_bytes(str(told["message"])) <= 64_000
            assert utf16_units(str(told.get("title", ""))) <= 255
