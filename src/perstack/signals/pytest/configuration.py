"""How the verifier runs a pytest suite: read from the signal's command and the base's own configuration.

Pure. The repository's command is a hint: what selects tests or makes them work is kept, what changes reporting,
order or the number of attempts is dropped. Configuration files come from the base commit, never from the candidate.
"""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import commonpath, dirname, join, normpath

from perstack.core.errors import UserError
from perstack.core.signals import SignalSpec
from perstack.signals.pytest.generated import version_files
from perstack.signals.pytest.layout import packages_of, source_roots

CONFIG_NAMES = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg",
)  # fmt: skip
BLOCKED_PLUGINS = ("rerunfailures", "flaky", "pytest_retry", "retry", "randomly", "random-order", "random_order",
                   "testmon", "pytest_testmon", "reverse", "picked", "instafail", "sugar", "pretty",
                   "pytest_html", "html", "pytest_jsonreport", "allure_pytest", "tap", "reporter")  # fmt: skip
# Without these there are no results; a repository may switch other built-in plugins off.
_NEEDED_PLUGINS = frozenset(
    {"junitxml", "cacheprovider", "terminal", "python", "main", "runner", "fixtures", "unittest", "reports"}
)
_EMPTY_CONFIG = ("pytest.ini", b"[pytest]\n")

# Dropped with their value, in both spellings (`--opt value`, `--opt=value`).
_DROP_WITH_VALUE = frozenset(
    {
        "--maxfail", "--junitxml", "--junit-xml", "--junitprefix", "--junit-prefix", "--tb", "--durations",
        "--durations-min", "--verbosity", "--color", "--code-highlight", "--show-capture", "--rootdir", "--confcutdir",
        "-c", "--config-file", "--basetemp", "-r", "-n", "--numprocesses", "--maxprocesses", "--dist", "--tx",
        "--reruns", "--reruns-delay", "--only-rerun", "--rerun-except", "--force-flaky", "--max-runs", "--min-passes",
        "--retries", "--retry-delay", "-p no", "--randomly-seed", "--random-order-seed", "--random-order-bucket",
        "--html", "--css", "--json-report-file", "--json-report-indent", "--report-log", "--resultlog", "--result-log",
        "--pastebin", "--alluredir", "--cov-report", "--cov-config", "--cov-fail-under", "--cov-context",
        "--last-failed-no-failures", "--lfnf", "--cache-show", "--debug-file", "--lsof", "--log-file", "--splits",
        "--group",
    }
)  # fmt: skip
# Dropped alone.
_DROP_ALONE = frozenset(
    {
        "--quiet", "--verbose", "--exitfirst", "--lf", "--last-failed", "--ff", "--failed-first",
        "--nf", "--new-first", "--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--sw-reset", "--cache-clear",
        "--co", "--collect-only", "--collectonly", "--no-header", "--no-summary", "--setup-only", "--setup-plan",
        "--setup-show", "--fixtures", "--funcargs", "--fixtures-per-test", "--markers", "--version", "-V", "-h",
        "--help", "--strict-config", "--trace-config", "--debug", "--pdb", "--trace", "--runxfail", "--full-trace",
        "--showlocals", "--no-showlocals", "--disable-warnings", "--disable-pytest-warnings", "--cov", "--no-cov",
        "--cov-branch",
        "--cov-append", "--no-cov-on-fail", "--random-order", "--json-report", "--self-contained-html", "--testmon",
        "--disable-plugin-autoload", "--continue-on-collection-errors", "--force-short-summary", "--xfail-tb", "--fold",
    }
)  # fmt: skip

_MOST_EXACT = 50  # tests that are named one by one


@dataclass(frozen=True, slots=True)
class PytestPlan:
    """What to run. Paths are relative to the repository, `.` for its root.

    `interpreter` is one program name or absolute path; `cwd_first` says that the command was `python -m pytest`.
    `selection` are the paths and ids of the command as it gives them; `only` replaces them with files and tests
    below `rootdir`.
    `part` is (number, of): only the tests of the files that belong to it.
    `source_roots` are where the base keeps its packages, `provides` their names. `version_files` are (path, project)
    of modules that the build would write.
    """

    interpreter: str
    cwd_first: bool
    arguments: tuple[str, ...]
    selection: tuple[str, ...]
    config_name: str
    config_bytes: bytes
    rootdir: str
    python_path: tuple[str, ...]
    environment: Mapping[str, str]
    only: tuple[str, ...] = ()
    part: tuple[int, int] = (1, 1)
    source_roots: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    version_files: tuple[tuple[str, str], ...] = ()

    def narrowed(self, targets: Sequence[str]) -> PytestPlan:
        """The same suite, but only some tests, with all their parameters; their whole files where there are many."""
        exact = tuple(dict.fromkeys(map(_function_of, targets)))
        if len(exact) > _MOST_EXACT:
            exact = tuple(dict.fromkeys(target.partition("::")[0] for target in targets))
        return replace(self, only=exact)

    def command_line(self, workspace: str, control: str, xml: str) -> list[str]:
        """The arguments for pytest, ours last so that they win."""
        root = normpath(join(workspace, self.rootdir))
        words = [
            *self.arguments,
            *([join(root, path) for path in self.only] or self.selection),
            "-c", join(control, self.config_name), f"--rootdir={root}", f"--confcutdir={root}",
            "-o", "addopts=", "-o", "required_plugins=", "-o", "junit_family=xunit2", "-o", "junit_logging=no",
            "-o", "junit_suite_name=pytest", "-o", "strict_config=false",
            f"--junitxml={xml}", "--continue-on-collection-errors", "--tb=short", "--color=no", "-rN", "--no-header",
        ]  # fmt: skip
        if self.python_path:
            absolute = [normpath(join(workspace, path)) for path in self.python_path]
            words += ["-o", f"pythonpath={shlex.join(absolute)}"]
        return words


def _function_of(identity: str) -> str:
    """What names a test and all its parameters on the command line; its file where it is no plain function."""
    path, _, rest = identity.partition("::")
    names = rest.partition("[")[0].split("::")
    plain = path.endswith(".py") and all(name.isidentifier() for name in names)
    return "::".join((path, *names)) if plain else path


def plan_pytest(spec: SignalSpec, files: Mapping[str, bytes], paths: Collection[str]) -> PytestPlan:
    """Decide how to run.

    `files` holds the base's files named in `CONFIG_NAMES`, by path; `paths` are all paths of the base.
    Raises: UserError for a configuration file of the base that cannot be read.
    """
    interpreter, cwd_first, given, environment = _split_command(spec.run)
    cwd = normpath(spec.cwd)
    known = {parent for path in paths for parent in _ancestors(path)} | set(paths)
    if normpath(join(cwd, interpreter)) in known:
        interpreter = "python3"  # never one of the checkout; one that set-up made is not in the commit
    kept = _keep(given)
    start = _common_start(cwd, kept, known)
    found = _locate(start, files)
    settings: Mapping[str, object] = {}
    name, data = _EMPTY_CONFIG
    rootdir = start
    if found is not None:
        path, settings = found
        name, data, rootdir = path.rpartition("/")[2], files[path], dirname(path) or "."
    options = [*_keep(_words(settings.get("addopts", []), name)), *kept]
    selection = tuple(word for word in options if _named_path(word, cwd, known))
    python_path = tuple(normpath(join(rootdir, path)) for path in _words(settings.get("pythonpath", []), name))
    roots = source_roots(set(paths), rootdir)
    return PytestPlan(
        interpreter=interpreter,
        cwd_first=cwd_first,
        arguments=tuple(word for word in options if word not in selection),
        selection=selection,
        config_name=name,
        config_bytes=data,
        rootdir=rootdir,
        python_path=python_path,
        environment=environment,
        source_roots=roots,
        provides=tuple(packages_of(paths, (*python_path, *roots))),
        version_files=version_files(files, set(paths)),
    )


def _split_command(run: Sequence[str]) -> tuple[str, bool, list[str], dict[str, str]]:
    """Interpreter, whether `-m`, the words after `pytest`, and variables set by `env`."""
    environment: dict[str, str] = {}
    for index, word in enumerate(run):
        folder, slash, name = word.rpartition("/")
        if name in {"pytest", "py.test"}:
            as_module = index > 0 and run[index - 1] == "-m"
            before = [w for w in run[:index] if "python" in w.rpartition("/")[2] and not w.startswith("-")]
            if as_module and before:
                interpreter = before[0]
            elif run[0] in {"uv", "pdm"}:
                interpreter = ".venv/bin/python"
            else:
                interpreter = f"{folder}/python3" if slash else "python3"
            return interpreter, as_module, list(run[index + 1 :]), environment
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            environment[key] = value
    # `make test`, `tox`: the framework was said to be pytest, the command says nothing about selection
    return "python3", True, [], {}


def _keep(words: Sequence[str]) -> list[str]:
    """The words that select tests or make them work."""
    kept: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name = word.partition("=")[0]
        following = words[position] if position < len(words) else "-"
        if word in _DROP_WITH_VALUE or (word == "--cov" and not following.startswith("-")):
            position += 1
        elif name in _DROP_WITH_VALUE or name in _DROP_ALONE:
            continue
        elif _is_cluster(word):
            kept += ["-s"] if "s" in word else []
        elif word in {"-o", "--override-ini", "-p"}:
            value = words[position] if position < len(words) else ""
            position += 1
            if not _is_dropped_value(word, value):
                kept += [word, value]
        elif word != "--":
            kept.append(word)
    return kept


def _is_cluster(word: str) -> bool:
    """`-vv`, `-qx`, `-ra`, `-n4`, `-nauto`: short options about reporting, or with such a value attached."""
    if not word.startswith("-") or word.startswith("--") or len(word) < 2:
        return False
    return word[1] in "rn" or set(word[1:]) <= set("vqxlhs")


def _is_dropped_value(option: str, value: str) -> bool:
    if option == "-p":
        name = value.strip().removeprefix("no:")
        return name in (_NEEDED_PLUGINS if value.strip().startswith("no:") else BLOCKED_PLUGINS)
    return value.partition("=")[0].strip() in {"addopts", "junit_family", "junit_logging", "cache_dir"}


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _named_path(word: str, cwd: str, known: Collection[str]) -> str:
    """The path of the base that a word names, empty for none."""
    path = normpath(join(cwd, word.partition("::")[0]))
    return "" if word.startswith("-") or (path not in known and path != ".") else path


def _common_start(cwd: str, words: Sequence[str], known: Collection[str]) -> str:
    """Where the search for a configuration begins: the directory common to all named paths, else `cwd`."""
    named = []
    for word in words:
        if path := _named_path(word, cwd, known):
            is_folder = any(other.startswith(f"{path}/") for other in known)
            named.append(path if is_folder else dirname(path) or ".")
    if not named or "." in named:
        return cwd if not named else "."
    return commonpath(named) or "."


def _locate(start: str, files: Mapping[str, bytes]) -> tuple[str, Mapping[str, object]] | None:
    """The configuration file pytest would use from a directory upwards, and its settings."""
    folder = "" if start == "." else start
    while True:
        for name in CONFIG_NAMES:
            path = join(folder, name)
            if path in files and (settings := _settings(path, files[path])) is not None:
                return path, settings
        if not folder:
            return None
        folder = dirname(folder)


def _settings(path: str, data: bytes) -> Mapping[str, object] | None:
    """pytest's settings in a file; None where the file is not a pytest configuration."""
    name = path.rpartition("/")[2]
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".toml"):
            return _toml_settings(name, tomllib.loads(text))
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read_string(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error) as error:
        raise UserError(f"{path} of the base commit cannot be read: {error}", hint="Correct the file.") from error
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if name in {"pytest.ini", ".pytest.ini"} else None


def _toml_settings(name: str, document: Mapping[str, object]) -> Mapping[str, object] | None:
    if name != "pyproject.toml":
        table = document.get("pytest")
        return table if isinstance(table, dict) else {}
    tool = document.get("tool")
    table = tool.get("pytest") if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        return None
    options = table.get("ini_options")
    if isinstance(options, dict):
        return options
    return table or None


def _words(value: object, where: str) -> list[str]:
    """A setting as words: a list as it is, a text split as pytest does."""
    if isinstance(value, list):
        return [str(item) for item in value]
    try:
        return shlex.split(str(value or ""), comments=False)
    except ValueError as error:
        raise UserError(f"{where} of the base commit: {error}", hint="Correct the quoting.") from error
