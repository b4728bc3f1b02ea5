"""Detection of Node suites and checks from `package.json`: jest, vitest, mocha, node:test, tsc, eslint. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from perstack.core.signals import SignalKind
from perstack.signals.detect_found import Found, Repository, check, must, place

_RUNNERS = (
    ("vitest", "npx vitest run", "vitest"),
    ("jest", "npx jest --ci", "jest"),
    ("mocha", "npx mocha", ""),
    ("ava", "npx ava", ""),
    ("node --test", "node --test", "node:test"),
    ("tap", "npx tap", ""),
)
_SHELL = re.compile(r"[|&;<>$`\"'(){}*?~]")
_PLACEHOLDER = "no test specified"


def detect_node(repository: Repository) -> Iterator[Found]:
    """The suite of every outermost package, then its checks and its set-up."""
    for folder in repository.folders_of("package.json"):
        prefix = f"{folder}/" if folder else ""
        package = repository.json(f"{prefix}package.json")
        scripts = package.get("scripts")
        script = str(scripts.get("test", "")) if isinstance(scripts, dict) else ""
        used = _dependencies(package)
        runner = next((entry for entry in _RUNNERS if entry[0] in script or entry[0] in used), None)
        if runner is not None:
            yield _suite(prefix, folder, script, runner)
        elif script and _PLACEHOLDER not in script:
            reason = f"npm test{place(folder)}: the script is `{script}`; judged by the exit code as one"
            yield Found(reason, must("tests", SignalKind.COMMAND, "npm test --silent", folder=folder))
        elif repository.any(f"{prefix}test/*.test.*js", f"{prefix}*.test.mjs", f"{prefix}test/*.js"):
            reason = f"node --test{place(folder)}: test files and no runner; results by our own reporter"
            yield Found(reason, must("tests", SignalKind.TEST, "node --test", framework="node:test", folder=folder))
        yield from _checks(repository, prefix, folder, used)
        yield from _setup(repository, prefix, folder)


def _suite(prefix: str, folder: str, script: str, runner: tuple[str, str, str]) -> Found:
    """The suite of a known runner; how its script calls it is kept."""
    name, run, framework = runner
    if not framework:
        reason = f"{name}: {prefix}package.json names it; judged by the exit code as one"
        return Found(reason, must("tests", SignalKind.COMMAND, run, folder=folder))
    if script != name and name in script:
        plain = script.startswith(f"{name} ") and not _SHELL.search(script)
        called = script if name == "node --test" else f"npx {script}"
        run = called if plain else "npm test --silent"
    reason = f"{name}: {prefix}package.json names it; results by our own reporter"
    return Found(reason, must("tests", SignalKind.TEST, run, framework=framework, folder=folder))


def _dependencies(package: Mapping[str, object]) -> set[str]:
    names: set[str] = set()
    for table in ("dependencies", "devDependencies"):
        entries = package.get(table)
        names |= set(entries) if isinstance(entries, dict) else set()
    return names


def _checks(repository: Repository, prefix: str, folder: str, used: set[str]) -> Iterator[Found]:
    if f"{prefix}tsconfig.json" in repository.files and "typescript" in used:
        yield Found(
            f"tsc: {prefix}tsconfig.json; its errors are compared with the base's",
            check("types", "npx tsc --noEmit", folder=folder),
        )
    if "eslint" in used and repository.any(f"{prefix}eslint.config.*", f"{prefix}.eslintrc*"):
        why = f"eslint: configured{place(folder)}; its findings are compared with the base's"
        yield Found(why, check("lint", "npx eslint .", folder=folder))


def _setup(repository: Repository, prefix: str, folder: str) -> Iterator[Found]:
    inside = f" --prefix {folder}" if folder else ""
    if f"{prefix}package-lock.json" in repository.files:
        yield Found(f"set-up: {prefix}package-lock.json", setup=(f"npm ci{inside}",), image="node:22-slim")
    elif f"{prefix}pnpm-lock.yaml" in repository.files:
        at = f" --dir {folder}" if folder else ""
        yield Found(
            f"set-up: {prefix}pnpm-lock.yaml", setup=(f"npx pnpm install --frozen-lockfile{at}",), image="node:22-slim"
        )
    elif f"{prefix}yarn.lock" in repository.files:
        at = f" --cwd {folder}" if folder else ""
        yield Found(f"set-up: {prefix}yarn.lock", setup=(f"yarn install --frozen-lockfile{at}",), image="node:22-slim")
