"""What cargo and Rust's test programs say: targets, built programs, events of tests, doctests. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname, relpath

from perstack.core.json import JsonObject
from perstack.core.signals import TestCase, TestStatus
from perstack.signals.suites.programs import Outcome

_STATUS = {"ok": TestStatus.PASSED, "failed": TestStatus.FAILED, "ignored": TestStatus.SKIPPED,
           "timeout": TestStatus.FAILED}  # fmt: skip
_DOCTEST = re.compile(
    r"^test (\S+\.rs) - (.*?)\s*\(line \d+\)((?: - [\w ]+)?) \.\.\. (ok|FAILED|ignored)", re.MULTILINE
)
_DOC_STATUS = {"ok": TestStatus.PASSED, "FAILED": TestStatus.FAILED, "ignored": TestStatus.SKIPPED}
_LISTED = re.compile(r"^(.+): test$", re.MULTILINE)
_KINDS = frozenset({"lib", "rlib", "dylib", "cdylib", "staticlib", "proc-macro"})


@dataclass(frozen=True, slots=True)
class Target:
    """One crate with tests. `root` and `folder` (of its manifest) are relative to the repository."""

    package: str
    name: str
    kind: str
    root: str
    folder: str

    @property
    def selector(self) -> tuple[str, ...]:
        """Flags of cargo that choose this target alone."""
        choice = ("--lib",) if self.kind == "lib" else (f"--{self.kind}={self.name}",)
        return (f"--package={self.package}", *choice)


def read_targets(stdout: bytes, workspace: str) -> Sequence[Target]:
    """The targets of `cargo metadata --no-deps` that are tested and lie in the workspace."""
    try:
        packages = json.loads(stdout).get("packages", [])
    except ValueError:
        return ()
    found = []
    for package in packages:
        for target in package["targets"]:
            kind = "lib" if _KINDS & set(target["kind"]) else target["kind"][0]
            path = str(target["src_path"])
            if target.get("test") and kind in {"lib", "bin", "test", "example"} and path.startswith(f"{workspace}/"):
                folder = relpath(dirname(package["manifest_path"]), workspace)
                found.append(Target(package["name"], target["name"], kind, relpath(path, workspace), folder))
    return found


def read_built(stdout: bytes, workspace: str) -> Mapping[str, str]:
    """Built test programs: path of the program by the crate's root."""
    found = {}
    for record in _records(stdout):
        target, profile = record.get("target"), record.get("profile")
        if not isinstance(target, dict) or not isinstance(profile, dict) or not profile.get("test"):
            continue
        if record.get("reason") == "compiler-artifact" and record.get("executable"):
            found[relpath(str(target["src_path"]), workspace)] = str(record["executable"])
    return found


def read_errors(stdout: bytes) -> str:
    """The compiler's errors as people read them."""
    messages = [record.get("message") for record in _records(stdout) if record.get("reason") == "compiler-message"]
    return "\n".join(str(m.get("rendered", "")) for m in messages if isinstance(m, dict) and m.get("level") == "error")


def read_listed(stdout: bytes) -> Sequence[str]:
    """Names of tests from `--list`."""
    return _LISTED.findall(stdout.decode("utf-8", "replace"))


def read_events(stdout: bytes) -> Mapping[str, Outcome]:
    """Outcomes from the events of a test program. Two outcomes of one test, or a start without one, are an error."""
    found: dict[str, Outcome] = {}
    began: set[str] = set()
    for record in _records(stdout):
        name, event = str(record.get("name", "")), str(record.get("event", ""))
        if record.get("type") != "test" or not name:
            continue
        if event == "started":
            began.add(name)
        elif event in _STATUS:
            text = "\n".join(str(record.get(key, "")) for key in ("stdout", "message") if record.get(key))
            status = TestStatus.ERROR if name in found else _STATUS[event]
            found[name] = Outcome(status, text.strip())
    for name in began - found.keys():
        found[name] = Outcome(TestStatus.ERROR, "it began and gave no result")
    return found


def read_doctests(stdout: bytes, folder: str) -> Mapping[str, TestCase]:
    """Doctests by id: the file, what is documented, and its number there, because lines move."""
    found: dict[str, TestCase] = {}
    seen: Counter[str] = Counter()
    text = stdout.decode("utf-8", "replace")
    for file, item, _, verdict in sorted(_DOCTEST.findall(text), key=lambda found: found[0]):
        path = file if folder in {"", "."} else f"{folder}/{file}".replace(f"{folder}/{folder}/", f"{folder}/")
        head = f"{path}::doc {item or 'module'}"
        seen[head] += 1
        identity = f"{head} #{seen[head]}"
        found[identity] = TestCase(identity, _DOC_STATUS[verdict])
    return found


def _records(stdout: bytes) -> Iterator[JsonObject]:
    for line in stdout.decode("utf-8", "replace").split("\n"):
        start = line.find("{")
        if start < 0:
            continue
        try:
            # what code under test left on the line stands before the event
            record = json.loads(line[start:]) if start == 0 else json.loads(line[line.rfind('{ "type"') :] or "0")
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
