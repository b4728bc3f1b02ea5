"""Evidence: what a third party needs to derive a verdict again, as an in-toto Statement with digests.

`rederive` is pure and takes nothing on trust but the measurements: policy, comparison and verdict are computed anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio.to_thread

from perstack.core.experts import Quarantined, VerifySpec
from perstack.core.json import Json, JsonObject, canonical
from perstack.core.sandbox import Snapshot
from perstack.core.signals import (
    Coverage,
    Diagnostic,
    Measurement,
    Picture,
    Priority,
    SignalKind,
    SignalRun,
    SignalSpec,
    SignalStatus,
    TestCase,
    TestStatus,
)
from perstack.core.verdict import PolicyFinding, Reason, ReasonCode, Report, Verdict
from perstack.signals.compare import compare, not_run, with_test_change
from perstack.signals.moved import followed
from perstack.signals.quarantine import Quarantine
from perstack.signals.spec_digest import patch_digest, spec_digest, spec_to_json
from perstack.signals.verdict import decide, worst

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://perstack.dev/attestations/verification/v1"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The inputs and the outcome of one verification."""

    specs: tuple[SignalSpec, ...]
    verify: VerifySpec
    targets: tuple[str, ...]
    needs_red: bool
    changed_tests: tuple[str, ...]
    patch: str
    snapshot: Snapshot
    base_tree: str
    candidate_tree: str
    measurements: Mapping[str, Mapping[str, Measurement]]  # by tree (base, candidate, own), then by signal
    extra: tuple[Reason, ...]
    report: Report
    removed: frozenset[str] = frozenset()
    moved: Mapping[str, str] = field(default_factory=dict)  # old path to new path
    quarantine: tuple[Quarantined, ...] = ()
    cached: tuple[str, ...] = ()  # `tree/signal` whose results an earlier job measured
    checks: JsonObject | None = None  # what an expert wrote, so that it can be asked again
    not_run: Mapping[str, str] = field(default_factory=dict)  # why a signal has no result on the candidate
    withheld: bool = False  # the patch held a secret: what is kept is not what was judged


class EvidenceInvalid(Exception):
    """Evidence that does not hold together; the message says where."""


async def write_evidence(out: Path, evidence: Evidence) -> Report:
    """Write `candidate.patch`, `results/*.json` and `evidence.json` into `out`; the report with its evidence path."""
    return await anyio.to_thread.run_sync(_write, out, evidence)


def rederive(statement: JsonObject, read: Callable[[str], bytes]) -> tuple[Verdict, tuple[Reason, ...]]:
    """Derive the verdict again from a statement and its result files (`read` takes a path as the statement names it).

    Raises: EvidenceInvalid where a digest does not match, something is missing, or the recorded verdict differs.
    """
    try:
        return _rederive(statement, read)
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceInvalid(f"the statement has an unknown form: {error!r}") from error


def _rederive(statement: JsonObject, read: Callable[[str], bytes]) -> tuple[Verdict, tuple[Reason, ...]]:
    predicate = _table(statement, "predicate")
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise EvidenceInvalid("this is not a perstack verification statement")
    specs = [spec_from_json(_object(_table(_object(entry), "spec"))) for entry in _list(predicate, "signals")]
    for spec, entry in zip(specs, _list(predicate, "signals"), strict=True):
        if spec_digest(spec) != _object(entry).get("digest"):
            raise EvidenceInvalid(f"the digest of signal `{spec.name}` does not match its specification")
    runs = _read_runs(predicate, read)
    policy = tuple(_finding(_object(entry)) for entry in _list(predicate, "policy"))
    extra = tuple(_reason(_object(entry)) for entry in _list(predicate, "extra"))
    verdict, reasons = _decide(predicate, specs, runs, policy=policy, extra=extra)
    recorded = (predicate.get("verdict"), [_object(entry) for entry in _list(predicate, "reasons")])
    if recorded != (verdict.value, [reason.to_json() for reason in reasons]):
        raise EvidenceInvalid(f"the recorded verdict is {recorded[0]}, the evidence gives {verdict.value}")
    return verdict, reasons


def _decide(
    predicate: JsonObject,
    specs: Sequence[SignalSpec],
    runs: Mapping[tuple[str, str], tuple[SignalRun, ...]],
    *,
    policy: tuple[PolicyFinding, ...],
    extra: tuple[Reason, ...],
) -> tuple[Verdict, tuple[Reason, ...]]:
    if not predicate.get("measured"):
        reasons = (*extra, *(Reason(f.code, f"{f.path}: {f.detail}") for f in policy if f.blocks))
        if not reasons:
            raise EvidenceInvalid("nothing was measured, and no reason says why")
        return worst(reasons), reasons
    targets = tuple(str(target) for target in _list(predicate, "targets"))
    changed = [str(path) for path in _list(predicate, "changedTests")]
    gone = frozenset(map(str, _list({"removed": [], **predicate}, "removed")))
    rows = _list({"quarantine": [], **predicate}, "quarantine")
    quarantine = Quarantine(tuple(Quarantined(**_object(entry)) for entry in rows))
    moved = {old: str(new) for old, new in _object(predicate.get("moved", {})).items()}
    given_up = _object(predicate.get("notRun", {}))
    comparisons = []
    for spec in specs:
        measured = {
            tree: quarantine.set_aside(Measurement(spec, runs.get((tree, spec.name), ())))
            for tree in ("base", "candidate", "own")
        }
        if spec.name in given_up:
            comparisons.append(not_run(spec, str(given_up[spec.name]), measured["base"]))
            continue
        before = followed(measured["base"], moved)
        comparison = compare(spec, before, measured["candidate"], targets, gone=gone)
        if measured["own"].runs:
            comparison = with_test_change(comparison, measured["own"], changed)
        comparisons.append(comparison)
    return decide(
        comparisons=comparisons,
        policy=policy,
        extra=extra,
        verify=VerifySpec(should_threshold=_whole(predicate, "shouldThreshold")),
        needs_red=predicate.get("needsRed") is True,
    )


def _write(out: Path, evidence: Evidence) -> Report:
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    _put(out / "candidate.patch", evidence.patch.encode("utf-8", "surrogateescape"))
    rows: list[Json] = []
    for tree, measurements in evidence.measurements.items():
        for number, spec in enumerate(evidence.specs):
            measurement = measurements.get(spec.name)
            for index, run in enumerate(measurement.runs if measurement else ()):
                for picture in run.pictures:
                    (out / picture.path).parent.mkdir(exist_ok=True)
                    _put(out / picture.path, picture.data)
                data = canonical(run_to_json(run)).encode()
                path = f"results/{tree}-{number + 1}-{index + 1}.json"
                _put(out / path, data)
                digest = hashlib.sha256(data).hexdigest()
                rows.append({"tree": tree, "signal": spec.name, "run": index + 1, "path": path, "sha256": digest})
    target = out / "evidence.json"
    statement = _statement(evidence, rows)
    predicate = {**_object(statement["predicate"]), "seal": seal_of(statement)}
    _put(target, f"{canonical({**statement, 'predicate': predicate})}\n".encode())
    return replace(evidence.report, evidence=str(target))


def _put(path: Path, data: bytes) -> None:
    """A whole file or none: on a full disk nobody finds half of one."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _statement(evidence: Evidence, rows: Sequence[Json]) -> JsonObject:
    report = evidence.report
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "candidate.patch", "digest": {"sha256": patch_digest(evidence.patch)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "base": report.base,
            "baseTree": evidence.base_tree,
            "candidateTree": evidence.candidate_tree,
            "snapshot": {
                "reference": evidence.snapshot.reference,
                "digest": evidence.snapshot.digest,
                "guarantees": list(evidence.snapshot.guarantees),
            },
            "signals": [{"digest": spec_digest(s), "spec": spec_to_json(s)} for s in evidence.specs],
            "targets": list(evidence.targets),
            "needsRed": evidence.needs_red,
            "changedTests": list(evidence.changed_tests),
            "removed": sorted(evidence.removed),
            "moved": dict(evidence.moved),
            "quarantine": [asdict(entry) for entry in evidence.quarantine],
            "cached": list(evidence.cached),
            "notRun": dict(evidence.not_run),
            "checks": evidence.checks,
            "shouldThreshold": evidence.verify.should_threshold,
            "measured": bool(report.signals),
            "results": list(rows),
            "policy": [finding.to_json() for finding in report.policy],
            "extra": [reason.to_json() for reason in evidence.extra],
            "necessity": [entry.to_json() for entry in report.necessity],
            **({"withheld": {"candidate": report.candidate_digest}} if evidence.withheld else {}),
            "verdict": report.verdict.value,
            "reasons": [reason.to_json() for reason in report.reasons],
        },
    }


def seal_of(statement: JsonObject) -> str:
    """SHA-256 over the statement without its seal: no byte of it changes unnoticed."""
    predicate = {key: value for key, value in _object(statement["predicate"]).items() if key != "seal"}
    return hashlib.sha256(canonical({**statement, "predicate": predicate}).encode()).hexdigest()


def run_to_json(run: SignalRun) -> JsonObject:
    """A run with everything the comparison reads."""
    return {
        "status": run.status.value,
        "seconds": run.seconds,
        "exitCode": run.exit_code,
        "problem": run.problem,
        "problemCode": run.problem_code,
        "output": run.output,
        "diagnostics": [diagnostic.to_json() for diagnostic in run.diagnostics],
        "coverage": {**asdict(run.coverage), "units": list(run.coverage.units)},
        "tests": [{**asdict(case), "status": case.status.value} for case in run.tests.values()],
        "pictures": [{"name": picture.name, "path": picture.path} for picture in run.pictures],
    }


def run_from_json(data: Mapping[str, Any]) -> SignalRun:
    """The inverse of `run_to_json`.

    Raises: EvidenceInvalid.
    """
    try:
        tests = [TestCase(**{**_object(t), "status": TestStatus(_object(t)["status"])}) for t in _list(data, "tests")]
        return SignalRun(
            status=SignalStatus(data["status"]),
            seconds=float(data["seconds"]),
            exit_code=data["exitCode"],
            tests={case.id: case for case in tests},
            diagnostics=tuple(Diagnostic(**_object(d)) for d in _list(data, "diagnostics")),
            output=str(data["output"]),
            problem=str(data["problem"]),
            problem_code=str(data["problemCode"]),
            coverage=_coverage(_object(data.get("coverage", {}))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceInvalid(f"a result file has an unknown form: {error!r}") from error


def _coverage(data: Mapping[str, Any]) -> Coverage:
    return Coverage(**{**data, "units": tuple(data.get("units", ()))})


def _read_runs(predicate: JsonObject, read: Callable[[str], bytes]) -> dict[tuple[str, str], tuple[SignalRun, ...]]:
    found: dict[tuple[str, str], tuple[SignalRun, ...]] = {}
    for entry in map(_object, _list(predicate, "results")):
        path = str(entry.get("path"))
        data = read(path)
        if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
            raise EvidenceInvalid(f"{path}: the digest does not match")
        try:
            run = run_with_pictures(_object(json.loads(data)), read)
        except ValueError as error:
            raise EvidenceInvalid(f"{path}: not JSON") from error
        key = (str(entry.get("tree")), str(entry.get("signal")))
        found[key] = (*found.get(key, ()), run)
    return found


def run_with_pictures(data: Mapping[str, Any], read: Callable[[str], bytes]) -> SignalRun:
    """A run with its pictures, which are named by their digests."""
    rows = [_object(entry) for entry in _list({"pictures": [], **data}, "pictures")]
    pictures = tuple(Picture(str(row["name"]), read(str(row["path"]))) for row in rows)
    for row, picture in zip(rows, pictures, strict=True):
        if picture.path != row["path"]:
            raise EvidenceInvalid(f"{row['path']}: the digest does not match")
    return replace(run_from_json(data), pictures=pictures)


def spec_from_json(data: Mapping[str, Any]) -> SignalSpec:
    """A signal's specification as a statement holds it. Raises: KeyError, TypeError, ValueError for another form."""
    lists: dict[str, Any] = {name: tuple(_list(data, name)) for name in ("run", "paths", "protect")}
    words: dict[str, Any] = {"kind": SignalKind(data["kind"]), "priority": Priority(data["priority"])}
    return SignalSpec(**{**data, **lists, **words})


def _finding(data: Mapping[str, Any]) -> PolicyFinding:
    return PolicyFinding(**{**data, "code": ReasonCode(data["code"])})


def _reason(data: Mapping[str, Any]) -> Reason:
    return Reason(ReasonCode(data["code"]), str(data.get("detail")), str(data.get("signal")))


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EvidenceInvalid("a table was expected")
    return value


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return _object(data.get(name))


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise EvidenceInvalid(f"`{name}` must be a list")
    return value


def _whole(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int):
        raise EvidenceInvalid(f"`{name}` must be a whole number")
    return value
