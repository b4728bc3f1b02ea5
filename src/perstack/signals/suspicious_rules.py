"""What names and words mean in product code: tables, no logic. Not a list of attacks: families of things to reach for."""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


@dataclass(frozen=True, slots=True)
class Hit:
    """One construct. It is no news where the base file has its `family`, or with `project_habit` the base project."""

    family: str
    key: str
    line: int
    detail: str
    certain: bool
    project_habit: bool = False


class When(Enum):
    """In which place a name is certainly wrong."""

    ALWAYS = "always"
    IMPORT = "at import"
    CONDITION = "in a condition"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Rule:
    """A family of names. `quiet`: not even worth showing where it is not certain."""

    family: str
    detail: str
    when: When
    names: frozenset[str]
    quiet: bool = False


def _rule(family: str, detail: str, when: When, names: str, *, quiet: bool = False) -> Rule:
    return Rule(family, detail, when, frozenset(names.split()), quiet)


RULES: Final = (
    _rule("exit", "leaves the process without unwinding", When.ALWAYS,
          "os._exit os.abort signal.raise_signal _thread.interrupt_main faulthandler._sigsegv faulthandler._sigabrt"),
    _rule("kill", "sends signals to processes", When.IMPORT,
          "os.kill os.killpg signal.pthread_kill signal.alarm signal.setitimer os.execv os.execve os.execl os.execlp os.execvp"),
    _rule("leave", "ends the program", When.IMPORT, "sys.exit builtins.exit builtins.quit builtins.SystemExit"),
    _rule("daemon", "leaves a process behind", When.ALWAYS, "os.fork os.forkpty os.setsid os.setpgrp os.setpgid pty.fork"),
    _rule("process", "starts a process or thread", When.IMPORT,
          "subprocess os.system os.popen os.posix_spawn os.spawnl os.spawnv os.spawnlp os.spawnvp multiprocessing"
          " threading.Thread threading.Timer _thread.start_new_thread concurrent.futures asyncio.create_subprocess_exec"
          " asyncio.create_subprocess_shell"),
    _rule("exit-hook", "runs code when the process ends", When.NEVER,
          "atexit.register weakref.finalize threading._register_atexit signal.signal multiprocessing.util.Finalize"),
    _rule("frames", "looks at its callers or at all live objects", When.ALWAYS,
          "inspect.stack inspect.currentframe inspect.getouterframes inspect.getinnerframes inspect.trace"
          " sys._getframe sys._getframemodulename sys._current_frames sys.settrace sys.setprofile sys.gettrace"
          " sys.getprofile sys.monitoring sys.addaudithook threading.settrace threading.setprofile threading.gettrace"
          " threading.getprofile traceback.extract_stack traceback.walk_stack gc.get_objects gc.get_referrers"
          " gc.get_referents gc.callbacks sys._current_exceptions logging.currentframe tracemalloc.take_snapshot"
          " tracemalloc.get_object_traceback linecache.cache faulthandler.dump_traceback"),
    _rule("stack-text", "looks at its callers", When.CONDITION, "traceback.format_stack traceback.print_stack"),
    _rule("source", "reads program sources while running", When.ALWAYS,
          "inspect.getsource inspect.getsourcelines inspect.getsourcefile linecache.getline linecache.getlines"
          " tokenize.open"),
    _rule("identity", "depends on who or where it runs", When.CONDITION,
          "os.getuid os.geteuid os.getgid os.getegid os.getlogin os.getppid socket.gethostname socket.getfqdn"
          " platform.node getpass.getuser pwd.getpwuid uuid.getnode sys.orig_argv os.getgroups os.sched_getaffinity"),
    _rule("dynamic", "runs code that is not in sight", When.ALWAYS,
          "builtins.exec builtins.eval builtins.compile marshal types.CodeType types.FunctionType ctypes _ctypes cffi"
          " runpy zipimport imp code.InteractiveInterpreter code.InteractiveConsole importlib.reload"
          " importlib.machinery importlib._bootstrap importlib._bootstrap_external pickle.loads dill cloudpickle"
          " builtins.__import__ codeop"),
    _rule("late-import", "imports what a value names", When.NEVER,
          "importlib.import_module importlib.util.spec_from_file_location importlib.util.module_from_spec"),
    _rule("search-path", "changes where modules come from", When.IMPORT,
          "sys.path site.addsitedir site.getsitepackages"),
    _rule("importers", "looks at or changes how modules are found", When.ALWAYS,
          "sys.meta_path sys.path_hooks sys.path_importer_cache"),
    _rule("program", "reaches into the program that runs it", When.ALWAYS, "__main__"),
    _rule("started", "depends on how the interpreter was started or is watched", When.CONDITION,
          "sys.dont_write_bytecode sys.flags.dont_write_bytecode sys.flags.no_site sys.flags.no_user_site"
          " sys.flags.isolated sys.flags.safe_path sys.flags.ignore_environment sys.excepthook sys.unraisablehook"
          " sys.displayhook threading.excepthook warnings.filters warnings.showwarning logging.root.handlers"
          " logging.lastResort os.environ.__len__"),
    _rule("descriptors", "writes to file descriptors it did not open", When.ALWAYS, "os.dup2 os.closerange os.pwrite"),
    _rule("arguments", "reads the command line of whoever runs it", When.ALWAYS, "sys.argv sys.orig_argv"),
    _rule("interpreter", "changes the interpreter for everything else", When.ALWAYS,
          "builtins.__build_class__ sys.setswitchinterval site.main sys.setdlopenflags"),
    _rule("debugger", "stops for a debugger", When.ALWAYS, "builtins.breakpoint pdb.set_trace pdb.Pdb bdb"),
)  # fmt: skip

RUNNERS: Final = frozenset(
    {"pytest", "_pytest", "unittest", "nose", "nose2", "pluggy", "doctest", "coverage", "hypothesis", "xdist",
     "testtools", "mock", "conftest", "pytest_mock", "pytest_cov", "execnet", "tox", "nox", "behave", "trial"}
)  # fmt: skip

INTERNALS: Final = frozenset(
    {"__code__", "__globals__", "__builtins__", "__subclasses__", "__closure__", "f_back", "f_locals", "f_globals",
     "f_code", "tb_frame", "findCaller", "gi_frame", "cr_frame", "ag_frame", "f_trace", "co_filename", "co_name"}
)  # fmt: skip
SKIPS: Final = frozenset({"SkipTest", "Skipped", "OutcomeException", "XFailed", "importorskip", "hookimpl"})

RUNNER_WORD: Final = re.compile(
    r"^(?:_?pytest|py\.test|unittest|nose2?|pluggy|conftest|sitecustomize|hypothesis|testtools)(?:\.\w+)*$"
    r"|PYTEST_[A-Z]|^--junit-?xml|^_?pytest[_/.]"
)
CI_WORD: Final = re.compile(
    r"^(?:CI|CI_\w*|CONTINUOUS_INTEGRATION|BUILD_(?:NUMBER|ID|URL)|GITHUB_(?!TOKEN$)\w*|GITLAB_\w*|TRAVIS\w*|CIRCLE\w*"
    r"|JENKINS\w*|TF_BUILD|RUNNER_\w+|TOX_?\w*|NOSE\w*|COVERAGE_\w+|COV_CORE\w*|PERSTACK\w*|HOSTNAME|TEAMCITY\w*"
    r"|KUBERNETES_\w+|TESTING|TEST_MODE|UNDER_TEST|IS_TEST\w*|RUNNING_TESTS|SANDBOX\w*|container|PYTHONHASHSEED"
    r"|FAKETIME\w*|LD_PRELOAD|_)$"
)
# of these, what no other table than the environment has as a key
MACHINE_WORD: Final = re.compile(
    r"^(?:CONTINUOUS_INTEGRATION|GITHUB_(?:ACTIONS?|RUN_\w+|WORKFLOW\w*|JOB)|GITLAB_CI|TRAVIS|CIRCLECI|TF_BUILD"
    r"|PERSTACK\w*|PYTHONHASHSEED|LD_PRELOAD|TEAMCITY_\w+|KUBERNETES_\w+)$"
)
HOST_PATH: Final = re.compile(
    r"^/(?:\.dockerenv|run/\.containerenv|proc(?:/|$)|sys/fs/cgroup|dev/fd|dev/(?:pts|tty)\b|etc/hostname|etc/ld\.so\.preload)"
)
REPORT_WORD: Final = re.compile(
    r"<testsuites?\b|<testcase\b|\b\d+ passed\b|\bpassed in \d|\.pytest_cache|junitxml|\bresults?\.xml$|\breport\.xml$"
)
TEST_PATH: Final = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__)/|(?:^|/)(?:test_\w+|\w+_test|conftest)\.py$|^test_\*|\*_test"
)
TEST_DIRECTORY: Final = frozenset({"test", "tests", "spec", "specs", "__tests__", "testdata", "unittests"})
PATH_CALLS: Final = frozenset(
    {"open", "Path", "PurePath", "join", "joinpath", "glob", "rglob", "iglob", "listdir", "scandir", "walk", "exists",
     "isfile", "isdir", "is_file", "is_dir", "read_text", "read_bytes", "write_text", "import_module", "__import__",
     "spec_from_file_location", "getline", "with_name", "fnmatch", "files", "get_data", "find_spec", "is_relative_to"}
)  # fmt: skip
SOURCE_GLOB: Final = re.compile(r"^(?:\*\*/)*(?:\*|\w*\*\w*)\.pyc?$")

CLOCKS: Final = frozenset(
    {"time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
     "time.localtime", "time.gmtime", "time.ctime", "time.asctime", "time.strftime", "email.utils.formatdate",
     "email.utils.localtime", "logging.LogRecord", "time.process_time", "time.clock_gettime",
     "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
     "pendulum.now", "arrow.now", "arrow.utcnow", "os.path.getmtime", "os.path.getctime", "os.times"}
)  # fmt: skip
CHANCE: Final = ("random.", "secrets.", "numpy.random.", "os.urandom", "os.getrandom", "uuid.uuid1", "uuid.uuid4", "ssl.RAND_",
                 "tempfile.mktemp", "tempfile._get_candidate_names")  # fmt: skip
ADDRESSES: Final = frozenset({"builtins.id", "builtins.hash", "os.getpid", "os.getppid", "threading.get_ident"})
CLI_MODULES: Final = frozenset({"argparse", "click", "typer", "docopt", "optparse", "getopt", "fire", "cmd"})
CLI_FUNCTION: Final = re.compile(
    r"^_*(?:main|cli|run|entry|console|cmd|command|do|parse|usage|die|fatal|handle_sig)\w*$"
)

_WORDS: Final = {
    "runner": r"pytest|unittest|doctest|coverage|hypothesis|nose|mock|tox|pluggy",
    "runner-word": r"pytest|unittest|nose|hypothesis|conftest|PYTEST|py\.test|tox",
    "internals": "|".join(sorted(INTERNALS | SKIPS)),
    "ci-environment": r"environ|getenv",
    "environment": "environ",
    "modules": r"sys\.modules",
    "chance": r"random|secrets|uuid",
    "interrupt": r"KeyboardInterrupt|GeneratorExit",
    "descriptors": r"os\.write|dup2|pwrite|closerange",
    "host-path": r"/proc|/sys|/dev|dockerenv|hostname",
    "patching": r"\.\w+ = |setattr",
}


def words_of(family: str) -> re.Pattern[str]:
    """A pattern without which a text cannot hold this family."""
    name = family.removesuffix("@import")
    ends = [dotted.rpartition(".")[2] for rule in RULES if rule.family == name for dotted in rule.names]
    pattern = "|".join(filter(None, [_WORDS.get(name, ""), *map(re.escape, ends)]))
    return re.compile(pattern or ".")
