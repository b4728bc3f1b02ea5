"""What happened in a job as entries, one a thing that people can name: a query, a thought, a call, a signal. Pure.

Made from events, live or on record: the same log gives the same entries. How they look is in `rows.py`. Memory is
bounded: the oldest entries go where there are too many, and the oldest texts where they are too long together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject, compact
from perstack.interface.history.reading import contents_text, object_of, objects_of, text_of
from perstack.interface.history.runs import Run, follow
from perstack.interface.start.text import arguments_line, cleaned, flat, pretty

MAX_ENTRIES = 20_000
MAX_DETAIL = 16_000  # characters of one entry
MAX_TEXT = 24_000_000  # characters of all entries together
_CHUNK = 1000  # so many go at once: taking them one by one would cost a copy each
RUNNING, OK, FAILED, PLAIN = "running", "ok", "failed", "plain"
GONE = "(no longer in memory: `perstack log` shows it)"
_TREES = frozenset({"base", "candidate", "own"})
_DELTAS = {"streamReasoning": "thinking", "streamRunResult": "text"}


@dataclass(slots=True, eq=False)
class Entry:
    """One line of activity with what it opens to. All texts are clean: no control characters are in them.

    `kind`: query, prompt (what the harness asks an expert), thinking, text, call, delegate, question, result, stage,
    signal, change, verdict, note, problem.
    `state`: running, ok, failed or plain. `version` grows with every change, `number` from entry to entry.
    """

    kind: str
    title: str
    detail: str = ""
    state: str = PLAIN
    depth: int = 0
    expert: str = ""
    began_ms: int = 0
    ended_ms: int = 0
    opened: bool = False
    version: int = 0
    number: int = 0

    @property
    def text(self) -> str:
        """Everything it says, for copying and searching."""
        return f"{self.title}\n{self.detail}" if self.detail else self.title


@dataclass(slots=True)
class Activity:
    """The entries so far. `dropped` counts those that went; `touched` are those changed since somebody looked."""

    entries: list[Entry] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    dropped: int = 0
    touched: set[int] = field(default_factory=set)
    _of: dict[str, Run] = field(default_factory=dict)
    _calls: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _streams: dict[tuple[str, int, str], Entry] = field(default_factory=dict)
    _stages: dict[tuple[str, Json], Entry] = field(default_factory=dict)
    _signals: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _note_before: str = ""
    _size: int = 0
    _shed: int = 0

    def add(self, event: Event) -> None:
        """Take one more event."""
        run = follow(event, self.runs, self._of)
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event, run or self._of.get(event.run_id))
        self._bound()

    def settle(self) -> None:
        """Nobody works on the job any more: what runs by its entries was left."""
        for entry in self.entries:
            if entry.state == RUNNING:
                self.change(entry, state=PLAIN)

    def put(self, entry: Entry) -> Entry:
        """A new entry at the end."""
        entry.detail = cleaned(entry.detail, MAX_DETAIL)
        entry.number = self.dropped + len(self.entries)
        self._size += len(entry.detail)
        self.entries.append(entry)
        return entry

    def change(self, entry: Entry, *, state: str = "", detail: str | None = None, at_ms: int = 0) -> None:
        """Bring an entry up to date."""
        entry.state = state or entry.state
        entry.ended_ms = at_ms or entry.ended_ms
        if detail is not None:
            fresh = cleaned(detail, MAX_DETAIL)
            self._size += len(fresh) - len(entry.detail)
            entry.detail = fresh
        entry.version += 1
        self.touched.add(entry.number)

    def new(self, kind: str, event: Event, title: str, **more: str) -> Entry:
        """A new entry of the run that an event belongs to."""
        run = self._of.get(event.run_id)
        entry = Entry(
            kind,
            flat(title),
            more.get("detail", ""),
            more.get("state", PLAIN),
            depth=_depth(run),
            expert=flat(event.expert_key, 80),
            began_ms=event.timestamp,
        )
        return self.put(entry)

    def _bound(self) -> None:
        if len(self.entries) > MAX_ENTRIES + _CHUNK:
            self._size -= sum(len(gone.detail) for gone in self.entries[:_CHUNK])
            del self.entries[:_CHUNK]
            self.dropped += _CHUNK
            self._shed = max(0, self._shed - _CHUNK)
        while self._size > MAX_TEXT and self._shed < len(self.entries) - 1:
            entry = self.entries[self._shed]
            if len(entry.detail) > len(GONE):
                self.change(entry, detail=GONE)
            self._shed += 1

    def _call(self, run: Run | None, call_id: Json) -> Entry | None:
        return self._calls.get((run.id if run else "", text_of(call_id)))

    # --- what an expert does ---

    def _start_run(self, event: Event, run: Run | None) -> None:
        checkpoint = object_of(event.payload.get("initialCheckpoint"))
        self._results(checkpoint.get("partialToolResults"), event, run)
        for message in objects_of(event.payload.get("inputMessages")):
            if message.get("type") != "userMessage" or _depth(run) > 0:
                continue
            said = contents_text(message.get("contents"))
            if self._stages:
                self.new("prompt", event, f"what {event.expert_key} is asked", detail=said)
            else:
                self.new("query", event, said, detail=said if len(said) > 60 or "\n" in said else "").opened = True

    def _delta(self, event: Event, _run: Run | None) -> None:
        kind = _DELTAS[event.type]
        key = (event.run_id, event.step_number, kind)
        entry = self._streams.get(key)
        if entry is None:
            entry = self._streams[key] = self.new(kind, event, "", state=RUNNING)
            entry.opened = kind == "text" and entry.depth == 0
        if len(entry.detail) < MAX_DETAIL:
            self.change(entry, detail=entry.detail + text_of(event.payload.get("delta")))

    def _streamed(self, event: Event, _run: Run | None) -> None:
        kind = "thinking" if event.type == "completeStreamingReasoning" else "text"
        text = text_of(event.payload.get("text"))
        key = (event.run_id, event.step_number, kind)
        entry = self._streams.get(key)
        if entry is None:
            if not text:
                return
            entry = self._streams[key] = self.new(kind, event, "")
        self.change(entry, state=OK, detail=text or None, at_ms=event.timestamp)

    def _said(self, message: JsonObject, event: Event) -> None:
        """Thoughts and texts of a reply: a log on record holds no streams."""
        for kind, part_type, key in (("thinking", "thinkingPart", "thinking"), ("text", "textPart", "text")):
            parts = (p for p in objects_of(message.get("contents")) if p.get("type") == part_type)
            text = "".join(text_of(part.get(key)) for part in parts).strip()
            place = (event.run_id, event.step_number, kind)
            known = self._streams.pop(place, None)
            if known is None and text:
                known = self.new(kind, event, "", detail=text)
            if known is not None:
                known.opened = known.opened or (kind == "text" and known.depth == 0)
                self.change(known, state=OK, detail=text or None, at_ms=event.timestamp)

    def _call_tools(self, event: Event, run: Run | None) -> None:
        self._said(object_of(event.payload.get("newMessage")), event)
        for call in objects_of(event.payload.get("toolCalls")):
            tool, skill = text_of(call.get("toolName")), text_of(call.get("skillName"))
            if tool == "attemptCompletion":
                continue
            delegated = skill.startswith("@") and not skill.startswith("@perstack/")
            entry = self.new("delegate" if delegated else "call", event, tool, state=RUNNING)
            args = call.get("args") or {}
            line = arguments_line(args)
            entry.title = f"{flat(tool, 60)}  {line}" if line else flat(tool, 60)
            self.change(entry, detail=pretty(compact(args)) if args else "")
            self._calls[run.id if run else "", text_of(call.get("id"))] = entry

    def _delegate(self, event: Event, run: Run | None) -> None:
        for call in objects_of(event.payload.get("toolCalls")):
            entry = self._call(run, call.get("id"))
            if entry is not None:
                entry.kind = "delegate"
                self.change(entry)

    def _tool_results(self, event: Event, run: Run | None) -> None:
        self._results(event.payload.get("toolResults"), event, run)

    def _results(self, results: Json, event: Event, run: Run | None) -> None:
        for result in objects_of(results):
            entry = self._call(run, result.get("id"))
            if entry is None or entry.state in {OK, FAILED} or "result" not in result:
                continue
            told = contents_text(result.get("result"))
            failed = result.get("isError") is True or told.lstrip('{" ').lower().startswith("error")
            asked = f"{entry.detail}\n" if entry.detail else ""
            answer = pretty(told)
            self.change(
                entry, state=FAILED if failed else OK, detail=f"{asked}→ {answer}" if answer else entry.detail,
                at_ms=event.timestamp,
            )  # fmt: skip

    def _asks(self, event: Event, run: Run | None) -> None:
        call = object_of(event.payload.get("toolCall"))
        entry = self._call(run, call.get("id"))
        if entry is None:
            entry = self.new("question", event, text_of(call.get("toolName")), state=RUNNING)
            self._calls[run.id if run else "", text_of(call.get("id"))] = entry
        entry.kind, entry.opened = "question", True
        args = object_of(call.get("args"))
        is_told = len(args) == 1 and "…" not in entry.title and len(entry.title) < 80
        self.change(entry, detail="" if is_told else None)  # its one text stands in the title

    def _complete(self, event: Event, run: Run | None) -> None:
        text = text_of(event.payload.get("text"))
        said = self._streams.pop((event.run_id, event.step_number, "text"), None)
        for message in objects_of(event.payload.get("newMessages")):
            parts = [p for p in objects_of(message.get("contents")) if p.get("type") == "thinkingPart"]
            self._said({"contents": parts}, event)
        entry = said or self.new("result", event, "")
        entry.kind, entry.opened = "result", _depth(run) == 0
        self.change(entry, state=OK, detail=text or "done", at_ms=event.timestamp)
        self._note_before = text  # a remark often says the same once more

    def _retry(self, event: Event, _run: Run | None) -> None:
        reason = text_of(event.payload.get("reason"))
        self.new("note", event, f"asked again: {pretty(reason)}", state=FAILED)

    def _error(self, event: Event, _run: Run | None) -> None:
        error = object_of(event.payload.get("error"))
        told = text_of(error.get("message")) or "stopped by an error"
        self.new("problem", event, told, detail=told if len(told) > 60 else "", state=FAILED).opened = True

    def _out_of_steps(self, event: Event, _run: Run | None) -> None:
        self.new("problem", event, "used up its steps before it was done", state=FAILED)

    # --- what the harness does ---

    def _start_stage(self, event: Event, _run: Run | None) -> None:
        stage, number = text_of(event.payload.get("stage")), event.payload.get("round")
        self._signals.clear()
        entry = self.new("stage", event, f"{stage} · round {number}" if number else stage, state=RUNNING)
        self._stages[stage, number] = entry

    def _finish_stage(self, event: Event, _run: Run | None) -> None:
        entry = self._stages.pop((text_of(event.payload.get("stage")), event.payload.get("round")), None)
        if entry is not None:
            ok = event.payload.get("ok") is True
            self.change(entry, state=OK if ok else FAILED, at_ms=event.timestamp)

    def _signal(self, event: Event, _run: Run | None) -> None:
        data = event.payload
        name, tree, status = (text_of(data.get(key)) for key in ("name", "tree", "status"))
        entry = self._signals.get((name, tree))
        if entry is None:
            entry = self._signals[name, tree] = self.new("signal", event, f"{name} on {tree}")
        if not status:
            self.change(entry, state=RUNNING)
            return
        line = f"run {data.get('run', 1)}: {flat(status, 40)} after {data.get('seconds', 0)} s"
        before = f"{entry.detail}\n" if entry.detail else ""
        # On any other tree it is a trial of the harness, where red is right: neither good nor bad news.
        state = PLAIN if tree not in _TREES else OK if status == "pass" else FAILED
        self.change(entry, state=state, detail=before + line, at_ms=event.timestamp)

    def _candidate(self, event: Event, _run: Run | None) -> None:
        data = event.payload
        files = data.get("files")
        names = ", ".join(flat(str(name), 80) for name in files) if isinstance(files, list | tuple) else ""
        title = f"+{data.get('insertions', 0)} −{data.get('deletions', 0)}  {names}"
        self.new("change", event, title, detail=text_of(data.get("patch")))

    def _verdict(self, event: Event, _run: Run | None) -> None:
        report = object_of(event.payload.get("report"))
        verdict = text_of(report.get("verdict"))
        reasons = objects_of(report.get("reasons"))
        lines = (f"{text_of(r.get('code'))}  {text_of(r.get('signal'))} {text_of(r.get('detail'))}" for r in reasons)
        entry = self.new("verdict", event, verdict, detail="\n".join(lines), state=OK if verdict == "pass" else FAILED)
        entry.opened = True

    def _finish_job(self, event: Event, _run: Run | None) -> None:
        outcome, verdict = text_of(event.payload.get("outcome")), text_of(event.payload.get("verdict"))
        words = " · ".join(filter(None, (outcome, f"verdict {verdict}" if verdict else "")))
        good = verdict in {"", "pass"}
        self.new("verdict", event, f"the job has ended: {words}", state=OK if good else FAILED)

    def _note(self, event: Event, _run: Run | None) -> None:
        told = next((text_of(event.payload.get(key)) for key in ("message", "text", "what", "code")
                     if event.payload.get(key)), "")  # fmt: skip
        if told and told != self._note_before:
            self._note_before = told
            bad = event.type == "refuse"
            self.new("note", event, told, detail=told if len(told) > 100 else "", state=FAILED if bad else PLAIN)


Handler = Callable[[Activity, Event, Run | None], None]
_HANDLERS: Mapping[str, Handler] = {
    "startRun": Activity._start_run,
    "streamReasoning": Activity._delta,
    "streamRunResult": Activity._delta,
    "completeStreamingReasoning": Activity._streamed,
    "completeStreamingRunResult": Activity._streamed,
    "callTools": Activity._call_tools,
    "callDelegate": Activity._delegate,
    "resolveToolResults": Activity._tool_results,
    "callInteractiveTool": Activity._asks,
    "completeRun": Activity._complete,
    "retry": Activity._retry,
    "stopRunByError": Activity._error,
    "stopRunByExceededMaxSteps": Activity._out_of_steps,
    "startStage": Activity._start_stage,
    "finishStage": Activity._finish_stage,
    "startSignal": Activity._signal,
    "finishSignal": Activity._signal,
    "computeCandidate": Activity._candidate,
    "decideVerdict": Activity._verdict,
    "finishJob": Activity._finish_job,
    "progress": Activity._note,
    "skillStderr": Activity._note,
    "remark": Activity._note,
    "refuse": Activity._note,
    "publish": Activity._note,
}


def _depth(run: Run | None) -> int:
    """How many experts are above a run."""
    depth = 0
    while run is not None and run.parent is not None and depth < 16:
        run, depth = run.parent, depth + 1
    return depth
