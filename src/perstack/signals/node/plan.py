"""How the verifier runs a JavaScript suite: read from the signal's command and the base's own files. Pure.

The command is a hint. What selects tests or makes them work is kept; what changes reporting, order, the number of
attempts or stored snapshots is dropped. Where the runner itself comes from is found out in the sandbox: an installed
package, never one that the candidate could have changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from posixpath import join, normpath

from perstack.core.json import Json
from perstack.core.signals import SignalSpec

_SCRIPT = r"[cm]?[jt]s"
# What `node --test` looks for by itself.
_NODE_FILES = re.compile(rf"(?:^|/)(?:(?:[^/]*[.\-_])?test|test-[^/]*)\.{_SCRIPT}$")
_NODE_FOLDER = re.compile(rf"(?:^|/)test/.*\.{_SCRIPT}$")
_NODE_WITH_VALUE = frozenset(
    {"--import", "--require", "-r", "--loader", "--experimental-loader", "--conditions", "-C", "--env-file"}
)
_NODE_ALONE = ("--experimental-", "--no-experimental-", "--enable-source-maps", "--expose-gc", "--harmony",
               "--preserve-symlinks", "--no-warnings", "--conditions=", "--import=", "--require=", "--loader=",
               "--env-file=", "--stack-size", "--max-old-space-size", "--disable-proto", "--strip-types")  # fmt: skip
_NODE_NEVER = ("--experimental-test-coverage", "--experimental-test-isolation", "--experimental-test-snapshots")
# A runner's keys whose values are files that take part in every test, and what a configuration file loads.
_KEYS = re.compile(
    r"""["']?\b(?:setupFiles\w*|globalSetup|globalTeardown|testEnvironment|environment|transform|resolver|testRunner"""
    r"""|runner|sequencer|testSequencer|snapshotSerializers|snapshotResolver|preset|moduleNameMapper)["']?\s*:\s*"""
    r"""(?:["'][^"']*["']|\[[^\]]*\]|\{[^}]*\})"""
)
_LOADS = re.compile(r"""(?:\bfrom\s+|\brequire\(\s*|\bimport\(?\s*)["'](\.{1,2}/[^"']+)["']""")
_QUOTED = re.compile(r"""["']([^"'\n]+)["']""")
_PRODUCT = re.compile(r"(?:^|/)(?:src|lib|source)/")
_SUFFIXES = ("", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".tsx", ".jsx", ".json", "/index.js", "/index.ts")
_CONFIGURATION = re.compile(
    r"(?:^|/)(?:package\.json|jest\.config\.[^/]+|vitest\.(?:config|workspace|projects)\.[^/]+|vite\.config\.[^/]+"
    r"|babel\.config\.[^/]+|\.babelrc[^/]*|tsconfig[^/]*\.json|\.swcrc)$"
)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What to run. Paths are relative to the repository, `.` for its root.

    `arguments` are for node itself (node:test) or name tests (jest, vitest); `selection` are patterns of test files,
    empty for the tool's own choice; `only` are files. `restored` are files that configuration names, as the base has
    them: they take part in how tests run.
    """

    tool: str
    cwd: str
    arguments: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)
    restored: Mapping[str, bytes] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    def narrowed(self, targets: Sequence[str]) -> NodePlan:
        """The same suite, but only the files of some tests."""
        return replace(self, only=tuple(dict.fromkeys(target.partition("::")[0] for target in targets)))

    def test_files(self, paths: Collection[str]) -> tuple[str, ...]:
        """The test files of a tree for node:test, relative to `cwd`, in order."""
        found = [path for path in sorted(paths) if "node_modules/" not in f"{path}/" and not path.endswith(".d.ts")]
        inside = [path for path in found if self.cwd == "." or path.startswith(f"{self.cwd}/")]
        if self.only:
            chosen = [path for path in inside if path in self.only]
        else:
            chosen = [path for path in inside if self._selects(path)]
        return tuple(path if self.cwd == "." else path.removeprefix(f"{self.cwd}/") for path in chosen)

    def _selects(self, path: str) -> bool:
        if not self.selection:
            return bool(_NODE_FILES.search(path) or _NODE_FOLDER.search(path))
        return any(self._matches(path, word) for word in self.selection)

    def _matches(self, path: str, word: str) -> bool:
        pattern = normpath(join(self.cwd, word))
        if path == pattern:
            return True
        if any(sign in word for sign in "*?["):
            return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
        is_test = _NODE_FILES.search(path) or _NODE_FOLDER.search(path)
        return bool(is_test) and (pattern == "." or path.startswith(f"{pattern}/"))


def is_configuration(path: str) -> bool:
    """Whether a file says how tests of JavaScript run."""
    return "node_modules/" not in path and _CONFIGURATION.search(path) is not None


def named_files(files: Mapping[str, bytes], paths: Collection[str]) -> frozenset[str]:
    """Files of the base that its configuration makes part of every test: set-up, environments, transforms, mocks.

    What a configuration merely loads counts where it is no product code.
    """
    known, found = set(paths), set[str]()
    for path, data in files.items():
        folder, text = path.rpartition("/")[0], data.decode("utf-8", "replace")
        keyed = [name for match in _KEYS.finditer(text) for name in _QUOTED.findall(match[0])]
        for name in keyed:
            found.update(_file(join(folder, name.removeprefix("<rootDir>/")), known))
        for name in [] if path.endswith(".json") else _LOADS.findall(text):
            found.update(place for place in _file(join(folder, name), known) if not _PRODUCT.search(place))
    return frozenset(found - set(files))


def _file(place: str, known: Collection[str]) -> Iterable[str]:
    """The file of the base that a module name means."""
    return next(([full] for suffix in _SUFFIXES if (full := normpath(place) + suffix) in known), ())


def plan_node_test(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> NodePlan:
    """The plan for `node --test …`, `npm test` and the like."""
    words = _words(spec, files, "node")
    environment, rest = _after(words, "node")
    arguments: list[str] = []
    selection: list[str] = []
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if word in _NODE_WITH_VALUE and position < len(rest):
            arguments += [word, rest[position]]
            position += 1
        elif word.startswith(_NODE_ALONE) and not word.startswith(_NODE_NEVER):
            arguments.append(word)
        elif not word.startswith("-"):
            selection.append(word)
        elif word in {"--test-name-pattern", "--test-reporter", "--test-reporter-destination", "--test-timeout"}:
            position += 1
    known = set(paths)
    restored = {path: files[path] for path in files if not is_configuration(path) and path in known}
    return NodePlan("node:test", normpath(spec.cwd), tuple(arguments), tuple(selection), environment, {}, restored)


def plan_runner(tool: str, spec: SignalSpec, files: Mapping[str, bytes]) -> NodePlan:
    """The plan for jest or vitest."""
    words = _words(spec, files, tool)
    environment, rest = _after(words, tool)
    options: dict[str, Json] = {}
    selection: list[str] = []
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        name, equals, value = word.partition("=")
        if name in {"-c", "--config", "--project", "--root", "--rootDir", "--selectProjects", "--env", "--environment"}:
            if not equals and position < len(rest):
                value = rest[position]
                position += 1
            options[{"-c": "config"}.get(name, name.lstrip("-"))] = value
        elif not word.startswith("-") and word not in {"run", "watch", "dev"}:
            selection.append(word)
    options["modules"] = "experimental-vm-modules" in environment.get("NODE_OPTIONS", "") + " ".join(words)
    restored = {path: data for path, data in files.items() if not is_configuration(path)}
    return NodePlan(tool, normpath(spec.cwd), (), tuple(selection), environment, options, restored)


def _words(spec: SignalSpec, files: Mapping[str, bytes], tool: str) -> Sequence[str]:
    """The command; where it runs a script of package.json, that script's words."""
    names = [word.rpartition("/")[2] for word in spec.run]
    if names and names[0] in {"npm", "yarn", "pnpm", "bun"} and tool not in names:
        path = normpath(join(spec.cwd, "package.json"))
        text = files.get(path, b"").decode("utf-8", "replace")
        wanted = next((name for name in names[1:] if name not in {"run", "run-script"} and name[0] != "-"), "test")
        script = re.search(rf'"{re.escape(wanted)}"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
        words = script[1].replace('\\"', "").split() if script else []
        starts = [index for index, word in enumerate(words) if word.rpartition("/")[2] == tool]
        if starts:
            ends = [index for index in range(starts[0], len(words)) if words[index] in {"&&", "||", ";", "|", "&"}]
            return [word.strip("'") for word in words[: ends[0] if ends else None]]
        return []
    return spec.run


def _after(words: Sequence[str], tool: str) -> tuple[dict[str, str], list[str]]:
    """Variables set before the tool's name, and the words after it."""
    environment: dict[str, str] = {}
    for index, word in enumerate(words):
        name = word.rpartition("/")[2].removesuffix(".js").removesuffix(".mjs")
        if name == tool:
            return environment, list(words[index + 1 :])
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            environment[key] = value
    return environment, []
