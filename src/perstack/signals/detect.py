"""Signals found in a repository's own files, for projects that configured none.

Pure: file names and a reader in, signal specs and sentences out. Nothing is run; whether a signal can be red is shown
by the first verification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import Priority, SignalSpec
from perstack.signals.detect_compiled import detect_compiled
from perstack.signals.detect_found import Found, Repository
from perstack.signals.detect_node import detect_node
from perstack.signals.detect_python import detect_python

_NOTHING = (
    'no test suite, build or check was recognised: write `[signals.tests]` with `kind = "command"` and a `run` that'
    " exits with 0 only when all is well"
)


@dataclass(frozen=True, slots=True)
class Detection:
    """Signals, a sandbox to run them in, and one sentence for each decision."""

    signals: tuple[SignalSpec, ...] = ()
    sandbox: SandboxSpec = field(default_factory=SandboxSpec)
    explanations: tuple[str, ...] = ()


def detect(files: Sequence[str], read: Callable[[str], bytes | None]) -> Detection:
    """Signals of a repository with these files (relative paths), each with the reason it was chosen."""
    repository = Repository(frozenset(files), read)
    found = [*detect_python(repository), *detect_node(repository), *detect_compiled(repository)]
    signals = _unique_names([item for item in found if item.spec is not None])
    setup = tuple(dict.fromkeys(command for item in found for command in item.setup))
    image = next((item.image for item in found if item.image), "")
    sentences = [item.why for item in found if item.why]
    if not signals:
        sentences.append(_NOTHING)
    elif not any(spec.priority is Priority.MUST for spec in signals):
        sentences.append('nothing found can gate a candidate: set `priority = "must"` where one of them should')
    return Detection(signals, SandboxSpec(image=image, setup=setup), tuple(sentences))


def _unique_names(found: Sequence[Found]) -> tuple[SignalSpec, ...]:
    """Specs by name; a second one of a name, from another folder or tool, gets a number."""
    taken: dict[str, SignalSpec] = {}
    for item in found:
        spec = item.spec
        if spec is None or any(_same_run(spec, other) for other in taken.values()):
            continue
        name, number = spec.name, 2
        while name in taken:
            name, number = f"{spec.name}-{number}", number + 1
        taken[name] = item.named(name)
    return tuple(taken.values())


def _same_run(spec: SignalSpec, other: SignalSpec) -> bool:
    return (spec.run, spec.cwd) == (other.run, other.cwd)


def render_toml(detection: Detection, said: Mapping[str, str] | None = None) -> str:
    """The detection as text for `perstack.toml`, its reasons as comments. `said`: one more sentence for a signal."""
    lines = [f"# {sentence}" for sentence in detection.explanations]
    if detection.sandbox.image or detection.sandbox.setup:
        lines += ["", "[sandbox]"]
        if detection.sandbox.image:
            lines.append(f"image = {_text(detection.sandbox.image)}")
        if detection.sandbox.setup:
            lines.append(f"setup = [{', '.join(map(_text, detection.sandbox.setup))}]")
    for spec in detection.signals:
        remark = " ".join((said or {}).get(spec.name, "").split())
        lines += [
            "",
            *([f"# {remark}"] if remark else []),
            f"[signals.{spec.name}]",
            f"kind = {_text(spec.kind.value)}",
        ]
        lines.append(f"run = [{', '.join(map(_text, spec.run))}]")
        if spec.framework:
            lines.append(f"framework = {_text(spec.framework)}")
        if spec.cwd != ".":
            lines.append(f"cwd = {_text(spec.cwd)}")
        lines.append(f"priority = {_text(spec.priority.value)}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A basic TOML string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
