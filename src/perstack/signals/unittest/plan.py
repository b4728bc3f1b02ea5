"""How the verifier runs a unittest suite: read from the signal's command and the paths of the base. Pure.

What selects tests is kept; what changes reporting, stops early or catches signals is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import join, normpath

from perstack.core.signals import SignalSpec
from perstack.signals.pytest.generated import version_files
from perstack.signals.pytest.layout import packages_of, source_roots

_WITH_VALUE = {"-s": "start", "--start-directory": "start", "-p": "pattern", "--pattern": "pattern",
               "-t": "top", "--top-level-directory": "top", "-k": "keep"}  # fmt: skip
_DROPPED_VALUE = frozenset({"--durations"})


@dataclass(frozen=True, slots=True)
class UnittestPlan:
    """What to run. `names` are modules, classes or methods; without any, tests are discovered.

    `start`, `top` and `pattern` are discovery's, relative to the signal's directory; empty for its defaults. `keep`
    are patterns of `-k`. `only` are test ids: the rest of their modules runs too.
    """

    interpreter: str
    environment: Mapping[str, str]
    names: tuple[str, ...] = ()
    start: str = "."
    top: str = ""
    pattern: str = "test*.py"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    source_roots: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    version_files: tuple[tuple[str, str], ...] = ()

    def narrowed(self, targets: Sequence[str]) -> UnittestPlan:
        """The same suite, but only the modules of some tests."""
        return replace(self, only=tuple(targets))


def plan_unittest(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> UnittestPlan:
    """Decide how to run. `files` holds build configuration by path; `paths` are all paths of the base."""
    interpreter, words, environment = _split_command(spec.run)
    cwd = normpath(spec.cwd)
    if normpath(join(cwd, interpreter)) in set(paths):
        interpreter = "python3"  # never one of the checkout; one that set-up made is not in the commit
    found = _read(words)
    roots = source_roots(set(paths), cwd)
    return replace(
        found,
        interpreter=interpreter,
        environment=environment,
        source_roots=roots,
        provides=tuple(packages_of(paths, roots)),
        version_files=version_files(files, set(paths)),
    )


def _split_command(run: Sequence[str]) -> tuple[str, Sequence[str], dict[str, str]]:
    """Interpreter, the words behind `-m unittest`, and variables set in front."""
    place = next((i for i, word in enumerate(run) if word == "unittest" and i and run[i - 1] == "-m"), len(run))
    front = run[:place]
    pairs = [word.partition("=") for word in front]
    environment = {key: value for key, equals, value in pairs if equals and key.isidentifier()}
    named = [word for word in front if word.rpartition("/")[2].startswith("python") and "=" not in word]
    interpreter = named[0] if named else "python3"
    if run and run[0] in {"uv", "pdm"}:
        interpreter = ".venv/bin/python"
    return interpreter, run[place + 1 :], environment


def _read(words: Sequence[str]) -> UnittestPlan:
    """The options of `python -m unittest [discover]`."""
    options: dict[str, str] = {}
    keep: list[str] = []
    plain: list[str] = []
    discover = not words or words[0] == "discover"
    rest = list(words[1:] if words and words[0] == "discover" else words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word[:2] in {"-s", "-p", "-t", "-k"} and len(word) > 2:
            name, equals, value = word[:2], "=", word[2:].removeprefix("=")
        if name in _WITH_VALUE or name in _DROPPED_VALUE:
            value = value if equals or not rest else rest.pop(0)
            if _WITH_VALUE.get(name) == "keep":
                keep.append(value)
            elif name in _WITH_VALUE:
                options[_WITH_VALUE[name]] = value
        elif not word.startswith("-"):
            plain.append(word)
    if not discover and plain:
        return UnittestPlan("", {}, tuple(map(_dotted, plain)), keep=tuple(keep))
    positions = dict(zip(("start", "pattern", "top"), plain, strict=False))
    options = {**positions, **options}
    return UnittestPlan(
        "",
        {},
        start=options.get("start") or ".",
        top=options.get("top", ""),
        pattern=options.get("pattern") or "test*.py",
        keep=tuple(keep),
    )


def _dotted(name: str) -> str:
    """A module's name, also where the command gives its file."""
    return normpath(name).removesuffix(".py").replace("/", ".") if name.endswith(".py") else name
