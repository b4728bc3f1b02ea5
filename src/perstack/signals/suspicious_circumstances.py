"""What code of other languages than Python can ask about where, when, how often and by whom it is run: tables.

No logic. A name here is nothing bad: what decides is whether the answer becomes a condition; see
`suspicious_decisions.py`.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Needs(Enum):
    """What else a condition must hold for the question to be one about the circumstances."""

    NOTHING = "nothing"
    LITERAL = "a text or number that is written down"
    NUMBER = "a number that is written down"
    MOMENT = "a fixed point in time"
    DIGIT = "a remainder"


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of question. `unless`: what an honest file does with the answer as well."""

    family: str
    detail: str
    pattern: re.Pattern[str]
    needs: Needs = Needs.LITERAL
    unless: re.Pattern[str] | None = None


def _source(family: str, detail: str, pattern: str, needs: Needs = Needs.LITERAL, unless: str = "") -> Source:
    return Source(family, detail, re.compile(pattern), needs, re.compile(unless) if unless else None)


_CI: Final = r"(?:CI|GITHUB_\w+|GITLAB_\w+|TRAVIS|JENKINS\w*|RUNNER_\w+|HOSTNAME|KUBERNETES_\w+|NODE_TEST_CONTEXT)"
_SESSION: Final = r"(?:HOME|USER|LOGNAME|USERNAME|SHELL|PWD|OLDPWD|SHLVL|PATH|TMPDIR)"
_SHOWS: Final = r"print|write|colou?r|ansi|chalk|prompt|readPassword|readline|termios|progress"
_WHERE, _WHO, _ENV, _WHEN, _LUCK, _STATE = (
    "decides by where it runs", "decides by who runs it", "decides by its environment",
    "compares the clock with a fixed point in time", "decides by chance", "decides by the state of its process",
)  # fmt: skip

_SCRIPT: Final = (
    _source("place", _WHERE, r"process\.cwd\(\)|\b__dirname\b|\b__filename\b|import\.meta\.(?:url|dirname|filename)\b|\b(?:homedir|tmpdir)\(\)|process\.execPath\b"),
    _source("identity", _WHO, r"\b(?:hostname|userInfo|networkInterfaces|loadavg)\s*\(|process\.(?:ppid|pid|title|report|config)\b|os\.uptime\("),
    _source("processors", _WHO, r"os\.(?:cpus|totalmem|freemem|availableParallelism)\("),
    _source("identity", _WHO, r"process\.(?:execArgv|connected|channel|debugPort)\b", Needs.NOTHING, r"\.(?:disconnect|send|fork)\("),
    _source("caller", "decides by who loaded it", r"require\.main\b(?!\s*===?\s*module\b)|\bmodule\.(?:parent|children)\b", Needs.NOTHING),
    _source("caller", "decides by how it was started", r"process\.argv\b", Needs.LITERAL, r"\A#!|commander|yargs|minimist|parseArgs|process\.argv\.slice\(2\)|require\.main === module"),
    _source("frames", "looks at its callers", r"\.stack\b(?!\w)"),
    _source("environment", _ENV, r"Object\.(?:keys|entries|values)\(\s*process\.env\s*\)|Reflect\.\w+\(\s*process\b", Needs.NOTHING),
    _source("session", _ENV, rf"process\.env\.{_SESSION}\b"),
    _source("ci", "asks whether it is in CI", rf"\b{_CI}\b(?=[^{{}}=;\n]*\}}\s*=\s*process\.env)", Needs.NOTHING),
    _source("state", _STATE, r"process\.(?:memoryUsage|cpuUsage|resourceUsage|uptime)\b|performance\.now\(", Needs.NUMBER, r"performance\.now\(\)\s*-\s*\w|-\s*performance\.now"),
    _source("state", _STATE, r"process\.(?:getActiveResourcesInfo|_getActive\w+|hasUncaughtExceptionCaptureCallback)\b|\bglobalThis\.gc\b|\bglobal\.gc\b", Needs.NOTHING),
    _source("state", _STATE, r"process\.listenerCount\(", Needs.NOTHING, r"process\.(?:on|once|off|removeListener)\("),
    _source("terminal", _STATE, r"process\.std(?:in|out|err)\.isTTY\b", Needs.NOTHING, _SHOWS),
    _source("deadline", _WHEN, r"\bDate\.now\(\)|\bnew Date\(\s*\)|\bDate\(\)|performance\.timeOrigin|Temporal\.Now", Needs.MOMENT),
    _source("clock-chance", "decides by the clock's digits", r"\bDate\.now\(\)|\bnew Date\(\s*\)|process\.hrtime(?:\.bigint)?\(\)|performance\.now\(\)", Needs.DIGIT),
    _source("chance", _LUCK, r"Math\.random\(\)|\b(?:randomBytes|getRandomValues|randomFillSync|randomInt)\(", Needs.NUMBER),
    _source("runner", "asks for the test runner", r"['\"](?:describe|it|test|expect|jest|vi|mocha|suite)['\"]\s+in\s+(?:globalThis|global|window|self)\b", Needs.NOTHING),
    _source("runner", "asks for the test runner", r"import\.meta\.env\.(?:MODE|TEST|VITEST)\b"),
)  # fmt: skip

_GO: Final = (
    _source("identity", _WHO, r"\bos\.(?:Hostname|Getpid|Getppid|Executable|Getwd)\(|\buser\.Current\(|\bruntime\.NumGoroutine\("),
    _source("processors", _WHO, r"\bruntime\.(?:GOMAXPROCS|NumCPU)\("),
    _source("arguments", "decides by how it was started", r"\bos\.Args\b", Needs.LITERAL, r"(?m)^package main$"),
    _source("state", _STATE, r"\bruntime\.MemStats\b|\bruntime\.ReadMemStats\(|debug\.ReadGCStats\(", Needs.NUMBER),
    _source("started", "decides by how it was built or started", r"debug\.ReadBuildInfo\(|\bflag\.(?:Parsed|NFlag|NArg|CommandLine|Lookup)\b", Needs.NOTHING, r"flag\.Parse\(|\.BuildSetting|\.Settings\b"),
    _source("environment", _ENV, r"\bos\.Environ\(\)", Needs.NOTHING),
    _source("session", _ENV, rf"os\.(?:Getenv|LookupEnv)\(\s*\"(?:{_SESSION})\""),
    _source("session", _ENV, r"os\.(?:Getenv|LookupEnv)\(\s*\"GO(?:CACHE|FLAGS|PROXY|TMPDIR|MODCACHE|SUMDB|TOOLCHAIN)\"", Needs.NOTHING),
    _source("deadline", _WHEN, r"\btime\.(?:Now|Since|Until)\(", Needs.MOMENT),
    _source("clock-chance", "decides by the clock's digits", r"\btime\.Now\(\)", Needs.DIGIT),
    _source("chance", _LUCK, r"\brand\.\w+\(", Needs.NUMBER),
)  # fmt: skip

_RUST: Final = (
    _source("identity", _WHO, r"\benv::(?:current_dir|current_exe|home_dir|temp_dir)\(|\bprocess::(?:id|parent_id)\(|\bthread::current\(\)|\bgethostname\b|\bwhoami::"),
    _source("processors", _WHO, r"\bavailable_parallelism\(|num_cpus::"),
    _source("environment", _ENV, r"\benv::(?:vars|vars_os)\(|\b(?:env::)?args(?:_os)?\(\)\.(?:len|count)\(|option_env!", Needs.NOTHING, r"\bfn main\("),
    _source("session", _ENV, rf"\benv::var(?:_os)?\(\s*\"{_SESSION}\""),
    _source("session", _ENV, r"\benv::var(?:_os)?\(\s*\"(?:CARGO(?:_\w+)?|RUSTUP_\w+|RUST_(?!LOG\b|BACKTRACE\b)\w+)\"", Needs.NOTHING),
    _source("place", _WHERE, r"\bmodule_path!|\bfile!\("),
    _source("deadline", _WHEN, r"SystemTime::now\(|UNIX_EPOCH\.elapsed\(|\b(?:Utc|Local|OffsetDateTime|Zoned|Timestamp)::now", Needs.MOMENT),
    _source("clock-chance", "decides by the clock's digits or by an address", r"SystemTime::now\(|Instant::now\(|RandomState|as \*const\b[^;]*as usize|subsec_nanos", Needs.DIGIT),
    _source("chance", _LUCK, r"\brand::|thread_rng\(|\brng\(\)|gen_bool|random_bool|fastrand::|getrandom", Needs.NUMBER),
)  # fmt: skip

_JVM: Final = (
    _source("place", _WHERE, r"System\.getProperty\(\s*\"(?:user\.(?:dir|home|name)|java\.(?:home|io\.tmpdir))\"|getProtectionDomain\(|getCodeSource\("),
    _source("started", "decides by how it was started", r"System\.getProperty\(\s*\"(?:basedir|localRepository|surefire[\w.]*|java\.class\.path|sun\.java\.command|org\.gradle[\w.]*)\"|System\.getProperties\(\)|getInputArguments\(|ProcessHandle\.current\(\)|desiredAssertionStatus\(", Needs.NOTHING),
    _source("identity", _WHO, r"Thread\.currentThread\(\)\.(?:getName|getThreadGroup|getId|threadId)\(|InetAddress\.getLocalHost\("),
    _source("processors", _WHO, r"\bavailableProcessors\(\)"),
    _source("environment", _ENV, r"System\.getenv\(\s*\)", Needs.NOTHING),
    _source("session", _ENV, rf"System\.getenv\(\s*\"{_SESSION}\""),
    _source("state", _STATE, r"\b(?:freeMemory|totalMemory|getUptime|getThreadCount|getLoadedClassCount)\(\)", Needs.NUMBER),
    _source("terminal", _STATE, r"System\.console\(\)", Needs.NOTHING, _SHOWS),
    _source("frames", "looks at its callers", r"\.printStackTrace\(\s*[^)\s]"),
    _source("loaded", "decides by what can be loaded", r"Class\.forName\(\s*\"[^\"]*\"\s*\+\s*\"|getResource(?:AsStream)?\(\s*\"[^\"]*(?:Tests?|IT|TestCase)(?:\.class|\")|getResource(?:AsStream)?\(\s*\"[^\"]*\"\s*\+\s*\"", Needs.NOTHING),
    _source("deadline", _WHEN, r"currentTimeMillis\(\)|\.now\(\)|new (?:java\.util\.)?Date\(\)|Calendar\.getInstance\(\)", Needs.MOMENT),
    _source("clock-chance", "decides by the clock's digits or by an address", r"nanoTime\(\)|currentTimeMillis\(\)|identityHashCode\(|UUID\.randomUUID\(\)|new Object\(\)\.hashCode\(\)", Needs.DIGIT),
    _source("chance", _LUCK, r"Math\.random\(\)|new (?:java\.util\.)?(?:Secure)?Random\(\s*\)|ThreadLocalRandom\.current\(\)|\bRandom\.next\w+\(", Needs.NUMBER),
    _source("chance", _LUCK, r"\.nextBoolean\(\)", Needs.NOTHING),
)  # fmt: skip

_NATIVE: Final = (
    _source("identity", _WHO, r"\bprogram_invocation(?:_short)?_name\b|\b__progname\b|\b(?:getauxval|dladdr|getcwd|getlogin|uname|getpid|getpgrp|getsid|sysconf)\s*\("),
    _source("environment", _ENV, r"\benviron\b|\b__DATE__\b|\b__TIME__\b|\b__TIMESTAMP__\b", Needs.NOTHING),
    _source("session", _ENV, rf"\bgetenv\s*\(\s*\"{_SESSION}\""),
    _source("frames", "looks at its callers", r"\b__builtin_(?:return|frame)_address\b|\bbacktrace(?:_symbols)?\s*\(|std::stacktrace|source_location::current", Needs.NOTHING),
    _source("terminal", _STATE, r"\bisatty\s*\(", Needs.NOTHING, _SHOWS),
    _source("place", _WHERE, r"\b__FILE__\b"),
    _source("deadline", _WHEN, r"\btime\s*\(\s*(?:NULL|0|nullptr|&\w+)\s*\)|\b(?:gm|local)time(?:_r)?\s*\(|_clock::now\(\)|gettimeofday\s*\(", Needs.MOMENT),
    _source("clock-chance", "decides by the clock's digits or by an address", r"\btime\s*\(\s*(?:NULL|0|nullptr)\s*\)|_clock::now\(\)|\bclock\s*\(\)|clock_gettime|\(\s*(?:unsigned long|unsigned long long|long|u?intptr_t|size_t)\s*\)\s*&", Needs.DIGIT),
    _source("chance", _LUCK, r"\b(?:rand|random|rand_r|drand48|arc4random\w*)\s*\(|random_device|getrandom\s*\(|getentropy\s*\(", Needs.NUMBER),
)  # fmt: skip

SOURCES: Final[Mapping[str, Sequence[Source]]] = {
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"), _SCRIPT),
    "go": _GO,
    "rs": _RUST,
    **dict.fromkeys(("java", "kt", "kts", "scala", "groovy"), _JVM),
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "inl", "inc", "ipp", "tpp"), _NATIVE),
}

# Whether a file is there, asked by a name that is written down and is nowhere else in the text.
EXISTENCE: Final = re.compile(
    r"(?:\b(?:existsSync|accessSync|statSync|lstatSync|readdirSync)|\bos\.(?:Stat|Lstat|ReadDir|Open|ReadFile)|\bfilepath\.Glob"
    r"|\b(?:fs::)?(?:metadata|read_dir|exists|try_exists|read_to_string)|\bPath::new|new (?:java\.io\.)?File|\bPath(?:s)?\.(?:of|get)"
    r"|\b(?:access|stat|lstat|fopen|opendir|open))\s*\((?P<names>[^;{}\n]*)"
)
TEST_PLACE: Final = re.compile(
    r"^\.{0,2}/?(?:[\w.-]+/)*(?:tests?|__tests__|spec|test-classes|surefire-reports)(?:/|$)|[._-](?:test|spec)s?\.\w+$|_test\.go$|\*\.(?:go|rs|js|ts)$|^[A-Z]\w*(?:Test|Tests|IT)\.(?:java|class)$"
)
