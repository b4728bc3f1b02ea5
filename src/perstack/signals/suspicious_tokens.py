"""The same questions asked of other languages, by patterns over added lines.

Pure. Without a syntax tree only the plain spellings are seen; comments and most strings are cut off first. A pattern
that the base file matches already is not news.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from perstack.signals.suspicious_rules import Hit

Pattern = tuple[str, str, re.Pattern[str], bool]


def _pattern(family: str, detail: str, pattern: str, *, certain: bool = True) -> Pattern:
    return family, detail, re.compile(pattern), certain


_CI_NAMES = r"(?:CI|GITHUB_\w+|GITLAB_\w+|TRAVIS|JENKINS\w*|RUNNER_\w+|HOSTNAME|KUBERNETES_\w+)"

_SCRIPT: Final = (
    _pattern("exit", "ends the process", r"\bprocess\s*\.\s*(?:exit|abort|kill|reallyExit)\b|\bDeno\.exit\b"),
    _pattern("exit-hook", "runs code when the process ends", r"process\s*\.\s*on(?:ce)?\(\s*['\"](?:exit|beforeExit)"),
    _pattern("runner", "asks for the test runner",
             rf"JEST_WORKER_ID|VITEST\w*|NODE_ENV['\"\])\s]*={{2,3}}\s*['\"]test|\bnpm_lifecycle_\w+|process\.env\.{_CI_NAMES}\b"
             r"|env\[\s*['\"](?:CI|JEST_WORKER_ID|VITEST)|typeof\s+(?:jest|vi|describe|it|expect|test|mocha)\b"
             r"|globalThis\.(?:jest|vi|expect|it|test|describe)\b|require\.cache|import\.meta\.vitest"),
    _pattern("runner-import", "loads a test tool", r"(?:from|require\(|import\()\s*['\"](?:jest\b|jest-|@jest/|@?vitest\b|mocha|chai|node:test|ava['\"]|expect)"),
    _pattern("runner-state", "looks into the test runner",
             r"__vitest\w*|['\"]EVENT_HANDLERS|\$\$jest|JEST_STATE|jest-symbol-do-not-touch|RETRY_TIMES|currentlyRunningTest|NODE_TEST_CONTEXT|PERSTACK_"),
    _pattern("memory", "looks into the memory of its process", r"['\"](?:node:)?inspector(?:/promises)?['\"]|\.(?:get|write)HeapSnapshot\b|setFlagsFromString|/proc/(?:self|\d+|\$)|runInThisContext|process\s*\.\s*(?:mainModule|dlopen|_linkedBinding)\b|constructor\s*\.\s*_(?:load|cache)\b"),
    _pattern("messages", "sends messages to the process above", r"\bprocess\s*\.\s*send\b", certain=False),
    _pattern("spelled", "loads a module whose name is put together", r"\b(?:require|import)\(\s*['\"`][\w:@/.-]*['\"`]\s*\+\s*['\"`]|(?:globalThis|global|process|window)\s*\[\s*['\"`]\w*['\"`]\s*\+|\[\s*['\"`]\w+['\"`]\s*\+\s*['\"`]\w+['\"`]\s*\]"),
    _pattern("assertions", "changes how values are compared",
             r"expect\.extend|addEqualityTesters|addSnapshotSerializer|jest\.retryTimes|Symbol\.hasInstance|asymmetricMatch|\$\$typeof"),
    _pattern("patching", "changes built-in objects",
             r"\b(?:Object|Array|String|Number|Map|Set|Promise|Function|Error|Date|Math|JSON|Reflect|console|assert)"
             r"(?:\.prototype)?\.\w+\s*=[^=]|Object\.definepropert(?:y|ies)\(\s*(?:Object|Array|String|Number|globalThis)\b"
             r"|__proto__\s*=|setPrototypeOf\(\s*(?:Object|Array|String|Number)"),
    _pattern("tests", "reads test files", r"(?:readFile\w*|require|import|join|resolve)\s*\([^)]*(?:__tests__|__snapshots__|\.(?:test|spec)\.|['\"/]tests?/)"),
    _pattern("dynamic", "runs code that is not in sight", r"\beval\s*\(|\bnew\s+Function\s*\(|\bvm\.\w+|process\.binding"),
    _pattern("clock", "compares the clock with a fixed point in time",
             r"(?:Date\.now\(\)|new Date\(\)[\w.()]*)\s*[<>]=?\s*(?:\d{9,}|\d(?:\.\d+)?e\d|new Date\(|Date\.UTC|20\d\d)"),
    _pattern("chance", "decides by chance", r"Math\.random\(\)\s*[<>]|[<>]\s*Math\.random\(\)|randomInt\("),
    _pattern("frames", "looks at its callers", r"new Error\([^)]*\)\.stack|Error\.captureStackTrace(?!(?:\?\.)?\(\s*this\b)|prepareStackTrace|arguments\.callee"),
)  # fmt: skip

_GO: Final = (
    _pattern("exit", "ends the process", r"\bos\.Exit\b|\bsyscall\.(?:Exit|Kill)\(|\bruntime\.Goexit\("),
    _pattern("runner", "asks for the test runner",
             r"\btesting\.(?:Testing|Short|Verbose|CoverMode)\(|flag\.Lookup\(\s*\"test\.|\"\.test\"|\"-test\."),
    _pattern("runner-import", "loads a test tool", r"^\s*(?:import\s+)?(?:\w+\s+)?\"(?:testing|github\.com/stretchr/testify)(?:/|\")"),
    _pattern("arguments", "reads the command line", r"\bos\.Args\b", certain=False),
    _pattern("ci", "asks whether it is in CI", rf"os\.(?:Getenv|LookupEnv)\(\s*\"{_CI_NAMES}\"|\"/\.dockerenv\"|\"/proc/"),
    _pattern("frames", "looks at its callers", r"\bruntime\.(?:Callers?|Stack|FuncForPC)\(|debug\.(?:Stack|PrintStack)"),
    _pattern("linkname", "replaces functions of other packages", r"//go:linkname|\bunsafe\.Pointer\b"),
    _pattern("tests", "reads test files", r"_test\.go\"|\"testdata[/\"]|//go:embed\s.*(?:_test|\*)\.go|\"[\w./]*\*(?:_test)?\.go\""),
    _pattern("native", "brings code of another language", r"^\s*(?:import\s+)?\"C\"|^\s*(?://\s*)?#cgo\b"),
    _pattern("predeclared", "takes over what the language itself declares",
             r"^(?:func|var|const|type)\s+(?:len|cap|panic|recover|print|println|append|copy|clear|min|max|new|make|true|false|nil|iota"
             r"|error|string|bool|any|u?int(?:8|16|32|64)?|float(?:32|64)|byte|rune)\b"),
    _pattern("process", "changes what the process was given", r"\bos\.(?:Args|Stdout|Stderr)(?:\[[^\]]*\])?\s*=[^=]"),
    _pattern("clock", "compares the clock with a fixed point in time", r"time\.Now\(\)\.(?:Unix\w*\(\)\s*[<>]|Before\(time\.Date|After\(time\.Date|Year\(\))"),
    _pattern("chance", "decides by chance", r"\brand\.(?:Int\w*|Float\w*)\([^)]*\)\s*(?:[<>%]|==)"),
)  # fmt: skip

_RUST: Final = (
    _pattern("exit", "ends the process", r"\bprocess::(?:exit|abort)\b|\blibc::_?exit\b|intrinsics::abort"),
    _pattern("runner", "behaves differently under test", r"cfg!\s*\(\s*(?:not\s*\(\s*)?test|#!?\[cfg(?:_attr)?\s*\(\s*(?:not\s*\(\s*)?test|cfg\(any\(\)\)"),
    _pattern("build", "behaves differently where it is built for tests", r"cfg!\s*\(\s*(?:not\s*\(\s*)?debug_assertions|#!?\[cfg(?:_attr)?\s*\(\s*(?:not\s*\(\s*)?debug_assertions"),
    _pattern("assertions", "replaces assertions", r"macro_rules!\s*(?:debug_)?assert|macro_rules!\s*(?:panic|vec|matches)\b|\bas\s+(?:debug_)?(?:assert(?:_eq|_ne)?|panic|matches)\s*[;,}]"),
    _pattern("panic", "catches or hides panics", r"panic::(?:set_hook|catch_unwind|take_hook)|resume_unwind", certain=False),
    _pattern("ci", "asks whether it is in CI", rf"env::var\w*\(\s*\"(?:{_CI_NAMES}|RUST_TEST\w*|CARGO_\w+|NEXTEST\w*)\"|\"/proc/"),
    _pattern("linkage", "replaces symbols", r"#\[(?:unsafe\()?(?:no_mangle|link_section|export_name|ctor)|\b(?:global_)?asm!|\bfn\s+_?_?exit\s*\("),
    _pattern("crate", "changes how the crate is tested", r"#!\[\s*(?:no_main|test_runner|feature\s*\(\s*custom_test|no_implicit_prelude)"),
    _pattern("tests", "reads test files", r"include(?:_str|_bytes)?!\s*\([^)]*tests?[/.]|#\[path\s*=\s*\"[^\"]*\btests?/"),
    _pattern("frames", "looks at its callers", r"Backtrace::|current\(\)\.name\(\)|current_exe"),
    _pattern("arguments", "reads the command line", r"\benv::args\w*"),
)  # fmt: skip

_JVM: Final = (
    _pattern("exit", "ends the process", r"\bSystem\.exit\(|\bRuntime\.getRuntime\(\)\.(?:halt|exit)|\.halt\(\s*\d|\bexitProcess\("),
    _pattern("runner", "asks for the test runner", r"\"org\.junit|org\.testng|org\.junit|surefire|Class\.forName\(\s*\"org\.(?:junit|mockito)"),
    _pattern("frames", "looks at its callers", r"getStackTrace\(|StackWalker|getAllStackTraces"),
    _pattern("exit-hook", "runs code when the process ends", r"addShutdownHook\(|\.registerNatives\b"),
    _pattern("report-file", "names a test report", r"surefire-reports|\"TEST-|<testcase|<testsuite"),
    _pattern("tests", "reads test files", r"\"[^\"]*src[/.]test[/.\"]"),
    _pattern("streams", "replaces the streams of the process", r"\bSystem\.set(?:Out|Err|In|SecurityManager)\("),
    _pattern("ci", "asks whether it is in CI", rf"System\.getenv\(\s*\"{_CI_NAMES}\"|\"/\.dockerenv\"|System\.getProperty\(\s*\"(?:surefire|java\.class\.path|sun\.java\.command)"),
    _pattern("reflection", "changes what belongs to others", r"\.setAccessible\(\s*true|sun\.misc\.Unsafe|Instrumentation\b", certain=False),
    _pattern("clock", "compares the clock with a fixed point in time", r"currentTimeMillis\(\)\s*[<>]=?\s*\d{9,}|now\(\)\.is(?:Before|After)\(\s*\w+\.(?:of|parse)\("),
)  # fmt: skip

_NATIVE: Final = (
    _pattern("exit", "ends the process", r"\b(?:_exit|_Exit|quick_exit|abort|raise|kill)\s*\(|\b(?:std::)?exit\s*\(\s*(?:0|EXIT_SUCCESS)"),
    _pattern("exit-hook", "runs code when the process ends", r"\batexit\s*\(|__attribute__\s*\(\(\s*(?:con|de)structor|\bon_exit\s*\("),
    _pattern("assertions", "replaces assertions", r"#\s*(?:define|undef)\s+(?:assert|NDEBUG|ASSERT\w*|EXPECT\w*|CHECK\w*|REQUIRE\w*|TEST\w*|main|exit|abort)\b|__assert_fail"),
    _pattern("ci", "asks where it runs", rf"getenv\s*\(\s*\"(?:{_CI_NAMES}|CTEST\w*|GTEST\w*)\"|\"/proc/|\"/\.dockerenv|gethostname|getuid|getppid|\"PERSTACK"),
    _pattern("linkage", "replaces symbols", r"__attribute__\s*\(\(\s*_*(?:weak|alias|ifunc)|\[\[gnu::(?:weak|alias|ifunc)|dlsym\s*\(|LD_PRELOAD|__wrap_|asm\s*(?:volatile)?\s*\("),
    _pattern("report", "writes like a test report", r"\[\s*PASSED\s*\]|\btests? passed\b|<testsuite"),
    _pattern("origin", "says that it comes from another file", r"^\s*#\s*(?:line\b|\d+\s+\")"),
    _pattern("records", "looks for the verifier", r"PERSTACK_|/perstack/|__libc_start_main|SYS_exit|\bsyscall\s*\("),
    _pattern("clock", "compares the clock with a fixed point in time", r"\btime\s*\(\s*(?:NULL|0|nullptr)\s*\)\s*[<>]=?\s*\d{9,}"),
    _pattern("chance", "decides by chance", r"\brand\s*\(\s*\)\s*[%&<>]"),
    _pattern("build", "is compiled differently where assertions count", r"#\s*(?:el)?if(?:def|ndef)?\b.*\bNDEBUG\b"),
    _pattern("tests", "is compiled differently under test", r"#\s*if(?:def|ndef)?\b.*\b(?:\w*TEST(?:ING|S)?|GTEST\w*|UNIT_TEST\w*)\b"),
)  # fmt: skip

LANGUAGES: Final[Mapping[str, Sequence[Pattern]]] = {
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"), _SCRIPT),
    "go": _GO,
    "rs": _RUST,
    **dict.fromkeys(("java", "kt", "kts", "scala", "groovy"), _JVM),
    **dict.fromkeys(
        ("c", "h", "cc", "cpp", "cxx", "hpp", "hh", "hxx", "inl", "inc", "ipp", "tpp", "def", "ixx", "cppm"), _NATIVE
    ),
}

# where a program begins, ending it is its business: a test of it that ends early is seen in any case
_PROGRAM = re.compile(
    r"\A#!|^package main$|^(?:pub )?(?:async )?fn main\(|\bstatic void main\s*\(|^fun main\(|^int\s+main\s*\(",
    re.MULTILINE,
)
# what a project that does it already may do in one more place
_HABITS: Final = frozenset(
    {"exit", "exit-hook", "arguments", "frames", "clock", "chance", "dynamic", "native", "panic", "streams", "build"}
)
_COMMENT = re.compile(r"^\s*(?://(?!go:)|/?\*|\*)|(?<![:\"'])//(?!go:)\s.*$")


def scan_tokens(
    patterns: Sequence[Pattern],
    before: str,
    after: str,
    added: Collection[int],
    done: Callable[[re.Pattern[str]], bool],
) -> Iterator[Hit]:
    """Hits on added lines whose family the base file does not show; `done` says what other files of the base do."""
    program = _PROGRAM.search(before or after) is not None
    for family, detail, pattern, certain in patterns:
        if pattern.search(before):
            continue
        sure = certain and not (program and family in {"exit", "arguments"})
        for number, line in enumerate(after.split("\n"), 1):
            match = pattern.search(_without_comment(line)) if number in added else None
            if match and not (family in _HABITS and done(pattern)):
                yield Hit(family, f"{number}:{match[0]}", number, f"{detail}: {match[0].strip()[:60]}", sure)


def _without_comment(line: str) -> str:
    if re.match(r"\s*(?://(?!go:)|\*)", line):
        return ""
    return _COMMENT.sub("", re.sub(r"/\*.*?\*/", "", line))
