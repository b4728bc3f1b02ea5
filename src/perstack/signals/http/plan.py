"""How an `http` signal is measured: start the service, ask it what the base's configuration says, judge the answers.

A path that nobody could know is asked as well: a service that says the same to everything proves nothing.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from perstack.core.json import Json, JsonObject
from perstack.core.signals import Diagnostic, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.command import kept_output
from perstack.signals.http.inside import error_run, run_inside, service_request, variables
from perstack.signals.suites.contract import Framework, Place, SuiteRun

_PROBE = Path(__file__).parent / "worker" / "probe.py"
_LIMIT_S: Final = 30.0
_OK: Final = 200
_SHOWN: Final = 400


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """The requests of the base's configuration, in order."""

    requests: tuple[JsonObject, ...]

    @property
    def shuffles(self) -> bool:
        """Requests may depend on one another: their order stays."""
        return False

    def narrowed(self, _targets: Sequence[str]) -> HttpPlan:
        """There is nothing smaller to run."""
        return self

    async def run(self, spec: SignalSpec, place: Place) -> SuiteRun:
        """Start the service and ask it once.

        Raises: SandboxUnavailable.
        """
        # between the other requests and with the same words as the first: it cannot be told from them
        canary = {**_sent(self.requests[0]), "method": "GET", "body": "", "path": f"/{secrets.token_hex(12)}"}
        asked = [canary, *(_sent(request) for request in self.requests)]
        request = {**service_request(spec), "requests": asked}
        done = await run_inside(place, spec, (_PROBE,), request, environment=variables(place))
        if done.problem is not None:
            return SuiteRun(done.problem)
        finish = done.channel.finish or {}
        if problem := str(finish.get("problem", "")):
            return SuiteRun(_judged(done.result.seconds, kept_output(done.result), [problem]))
        answers = [record for record in done.channel.records if record.get("type") == "answer"]
        if [answer.get("index") for answer in answers] != list(range(len(asked))):
            return SuiteRun(error_run(done.result, ReasonCode.RESULTS_DISAGREE, "not every request has one answer"))
        if same := _says_the_same(answers[0], self.requests, answers[1:]):
            text = f"{same} has the same answer as a path that nobody knows: the service says it to everything"
            return SuiteRun(error_run(done.result, ReasonCode.CANARY_FAILED, text))
        wrong = [
            f"{_name(request)}: {problem}"
            for request, answer in zip(self.requests, answers[1:], strict=True)
            for problem in problems(request, answer)
        ]
        return SuiteRun(_judged(done.result.seconds, kept_output(done.result), wrong))


def _judged(seconds: float, output: str, wrong: Sequence[str]) -> SignalRun:
    run = SignalRun(SignalStatus.FAIL if wrong else SignalStatus.PASS, seconds, exit_code=int(bool(wrong)))
    diagnostics = tuple(Diagnostic("", 0, "error", text, code="http") for text in wrong)
    return replace(run, diagnostics=diagnostics, output="\n".join([*wrong, output]) if wrong else output)


def _name(request: Mapping[str, Json]) -> str:
    return f"{request.get('method', 'GET')} {request.get('path')}"


def _sent(request: JsonObject) -> dict[str, Any]:
    within = request.get("within")
    limit = within / 1000 if isinstance(within, int) else _LIMIT_S
    return {
        "method": request.get("method", "GET"),
        "path": request["path"],
        "headers": request.get("headers", {}),
        "body": request.get("body", ""),
        # a late answer is still read, to say how late it is
        "limit": max(limit * 2, 5.0),
    }


def _says_the_same(canary: JsonObject, requests: Sequence[JsonObject], answers: Sequence[JsonObject]) -> str:
    """The request whose answer is the canary's; empty where none is."""
    for request, answer in zip(requests, answers, strict=True):
        if answer.get("status") == canary.get("status") == _OK and answer.get("body") == canary.get("body"):
            return _name(request)
    return ""


def problems(request: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Everything that is wrong with one answer, as sentences."""
    if error := answer.get("error"):
        return [f"{error}{f' ({ended})' if (ended := answer.get('ended')) else ''}"]
    found = []
    wanted = request.get("status", _OK)
    if answer.get("status") != wanted:
        found.append(f"status {answer.get('status')}, wanted {wanted}")
    within, seconds = request.get("within"), answer.get("seconds")
    if isinstance(within, int) and isinstance(seconds, int | float) and seconds * 1000 > within:
        found.append(f"answered after {seconds * 1000:.0f} ms, limit {within} ms")
    found += _headers(request.get("answerHeaders"), answer.get("headers"))
    body = base64.b64decode(str(answer.get("body", ""))).decode("utf-8", "replace")
    pattern = request.get("match")
    if isinstance(pattern, str) and not re.search(pattern, body, re.MULTILINE):
        found.append(f"the body does not match {pattern!r}: {body[:_SHOWN]!r}")
    if "json" in request:
        found += _json(request["json"], body)
    return found


def _headers(wanted: Json, given: Json) -> list[str]:
    if not isinstance(wanted, Mapping) or not isinstance(given, list):
        return []
    found = []
    for name, pattern in wanted.items():
        values = [str(pair[1]) for pair in given if isinstance(pair, list) and pair[0] == name.lower()]
        if not any(re.search(str(pattern), value) for value in values):
            found.append(f"header {name}: {values[0][:_SHOWN]!r} does not match" if values else f"no header {name}")
    return found


def _json(wanted: Json, body: str) -> list[str]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return [f"the body is not JSON: {body[:_SHOWN]!r}"]
    place = _differs(wanted, given, "$")
    return [f"the JSON body differs at {place}"] if place else []


def _differs(wanted: Json, given: Json, place: str) -> str:
    """Where two values first differ in type or value; empty where they are equal. `1`, `1.0` and `true` differ."""
    if isinstance(wanted, Mapping) and isinstance(given, Mapping):
        if odd := sorted(wanted.keys() ^ given.keys()):
            return f"{place}.{odd[0]}: {'missing' if odd[0] in wanted else 'unexpected'}"
        return next((found for key in wanted if (found := _differs(wanted[key], given[key], f"{place}.{key}"))), "")
    if isinstance(wanted, list | tuple) and isinstance(given, list | tuple):
        if len(wanted) != len(given):
            return f"{place}: {len(given)} entries, wanted {len(wanted)}"
        pairs = enumerate(zip(wanted, given, strict=True))
        return next((found for i, (w, g) in pairs if (found := _differs(w, g, f"{place}[{i}]"))), "")
    same = type(wanted) is type(given) and wanted == given
    return "" if same else f"{place}: {json.dumps(given)[:_SHOWN]}, wanted {json.dumps(wanted)[:_SHOWN]}"


def plan_http(spec: SignalSpec, _files: Mapping[str, bytes], _paths: Collection[str]) -> HttpPlan:
    """The plan, from the configuration alone."""
    requests = spec.expect.get("requests")
    listed = requests if isinstance(requests, list | tuple) else ()
    return HttpPlan(tuple(dict(request) for request in listed if isinstance(request, Mapping)))


def http_of(_spec: SignalSpec) -> Framework:
    """The adapter for one `http` signal."""
    return Framework("http", reads=lambda _path: False, plan=plan_http)
