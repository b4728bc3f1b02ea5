"""Canaries of Maven runs: two test classes in each module, in the module's own framework, named by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from perstack.core.signals import TestCase, TestStatus
from perstack.infrastructure import foreign

_LOOKED_AT = 200
_JUPITER = "import org.junit.jupiter.api.Assertions;\nimport org.junit.jupiter.api.Test;\n"
_VINTAGE = "import org.junit.Assert;\nimport org.junit.Test;\n"
_CLASS = """\
{package}{imports}
public class {name} {{
    @Test
    public void {green}() {{
        {assertions}.assertEquals({number}, {number} + 0);
    }}

    @Test
    public void {red}() {{
        {failure}
    }}
}}
"""
_FAILURES = (
    "{assertions}.assertEquals({number}, {number} + 1, {text});",
    "{assertions}.assertTrue({number} < 0, {text});",
    "{assertions}.fail({text});",
    "throw new AssertionError({text});",
)
_FAILURES_VINTAGE = (
    "{assertions}.assertEquals({text}, {number}, {number} + 1);",
    "{assertions}.assertTrue({text}, {number} < 0);",
    "{assertions}.fail({text});",
    "throw new AssertionError({text});",
)


@dataclass(frozen=True, slots=True)
class MavenCanaries:
    """The canaries of one run. Class names hold `token`; `expected` maps `class::method` to its outcome."""

    token: str
    secret: str
    expected: Mapping[str, TestStatus]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(dict.fromkeys(identity.partition("::")[0] for identity in self.expected))

    def is_mine(self, identity: str) -> bool:
        """Whether a test belongs to a canary."""
        return self.token in identity

    def problem(self, cases: Mapping[str, TestCase]) -> str:
        """What is wrong with their outcomes; empty for nothing."""
        mine = {identity: case for identity, case in cases.items() if self.is_mine(identity)}
        for identity, wanted in self.expected.items():
            case = mine.get(identity)
            got = case.status if case else TestStatus.MISSING
            # surefire's old versions call a thrown AssertionError an error
            if got is not wanted and not (wanted is TestStatus.FAILED and got is TestStatus.ERROR):
                return f"a canary test that must be {wanted.value} was {got.value}"
            if case and wanted is TestStatus.FAILED and self.secret not in case.message:
                return "a canary test failed, but not by its own assertion"
        return "there are more canary tests than were planted" if len(mine) != len(self.expected) else ""


def plant_canaries(workspace: Path, modules: tuple[str, ...], random: Random) -> MavenCanaries:
    """Write the canaries of all modules whose framework is known."""
    token, secret = _word(random, 14), _word(random, 16)
    expected: dict[str, TestStatus] = {}
    for index, module in enumerate(modules):
        folder = workspace / module / "src/test/java"
        texts = [path for path in sorted(folder.rglob("*.java")) if path.is_file() and not path.is_symlink()]
        imports = _imports(texts[:_LOOKED_AT])
        if not imports:
            continue
        place, package = _place(workspace / module, folder, texts)
        for front in ("A", "z"):
            name = f"{front}{token}{index}Test"
            green, red = _word(random, 10), _word(random, 10)
            text = _text(random, name, (green, red), imports=imports, secret=secret)
            (place / f"{name}.java").write_text(f"package {package};\n" + text if package else text)
            full = f"{package}.{name}" if package else name
            expected |= {f"{full}::{green}": TestStatus.PASSED, f"{full}::{red}": TestStatus.FAILED}
    return MavenCanaries(token, secret, expected)


def _imports(files: list[Path]) -> str:
    """The framework most of the module's tests use; empty for one that is not known here (TestNG)."""
    texts = [foreign.read_text(file) for file in files]
    jupiter = sum("org.junit.jupiter" in text for text in texts)
    vintage = sum("import org.junit.Test" in text or "junit.framework" in text for text in texts)
    return _JUPITER if jupiter >= max(vintage, 1) else _VINTAGE if vintage else ""


def _place(module: Path, folder: Path, files: list[Path]) -> tuple[Path, str]:
    """The default package; where a module has a name, a package of its tests."""
    if not (module / "src/main/java/module-info.java").exists():
        return folder, ""
    inside = next((file.parent for file in files if file.parent != folder), folder)
    return inside, ".".join(inside.relative_to(folder).parts)


def _text(random: Random, name: str, methods: tuple[str, str], *, imports: str, secret: str) -> str:
    assertions = "Assertions" if imports is _JUPITER else "Assert"
    number = random.randrange(10, 10_000)
    failure = random.choice(_FAILURES if imports is _JUPITER else _FAILURES_VINTAGE)
    words = {"assertions": assertions, "number": number, "text": f'"{secret}"'}
    return _CLASS.format(
        package="",
        imports=imports,
        name=name,
        green=methods[0],
        red=methods[1],
        failure=failure.format(**words),
        **words,
    )


def _word(random: Random, length: int) -> str:
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))
