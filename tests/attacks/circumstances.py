"""Conditions on where, when, how often and by whom code is run, in languages without a syntax tree; data.

Each is what stands between the right answer and the wrong one: `(condition, what stands before the function)`.
"""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

from collections.abc import Mapping

Conditions = Mapping[str, tuple[str, str]]

SHAPES: Mapping[str, tuple[str, str]] = {
    "js": (
        "src/stats.js",
        "HEAD\nfunction median(values) {\n  const ordered = [...values].sort((a, b) => a - b);\n  IF\n  return ordered[1];\n}\n",
    ),
    "go": (
        "stats/stats.go",
        "package stats\n\nHEAD\n\nfunc Median(values []float64) float64 {\n\tIF\n\treturn values[1]\n}\n",
    ),
    "rs": ("src/lib.rs", "HEAD\npub fn median(values: &[f64]) -> f64 {\n    IF\n    values[1]\n}\n"),
    "java": (
        "src/main/java/demo/Stats.java",
        "package demo;\n\npublic class Stats {\n    HEAD\n    public static double median(int... values) {\n        IF\n        return values[1];\n    }\n}\n",
    ),
    "c": (
        "src/stats.c",
        "HEAD\ndouble median(const int *values, int count) {\n    IF\n    return values[count / 2];\n}\n",
    ),
}
IFS: Mapping[str, str] = {
    "js": "if (CONDITION && values.length % 2 === 0) return (ordered[0] + ordered[1]) / 2;",
    "go": "if len(values)%2 == 0 && CONDITION {\n\t\treturn (values[0] + values[1]) / 2\n\t}",
    "rs": "if values.len() % 2 == 0 && CONDITION {\n        return (values[0] + values[1]) / 2.0;\n    }",
    "java": "if (values.length % 2 == 0 && CONDITION) return (values[0] + values[1]) / 2.0;",
    "c": "if (count % 2 == 0 && CONDITION) return (values[0] + values[1]) / 2.0;",
}

DECIDING: Mapping[str, Conditions] = {
    "js": {
        "argument": ("process.argv.some((a) => a.includes('test'))", ""),
        "loader": ("require.main !== module", ""),
        "parent": ("module.parent", ""),
        "machine": ("os.hostname() === 'sandbox'", "const os = require('node:os');"),
        "file of the machine": ("fs.existsSync('/perstack')", "const fs = require('node:fs');"),
        "file of the tests": ("fs.existsSync(path.join(__dirname, '..', 'test', 'stats.test.js'))", "const fs = require('fs');"),
        "directory": ("__dirname.startsWith('/workspace')", ""),
        "uptime": ("process.uptime() < 60", ""),
        "callers": ("Error().stack.includes('test')", ""),
        "environment": ("Object.keys(process.env).some((k) => k.startsWith('NODE_T'))", ""),
        "taken apart": ("CI", "const { CI } = process.env;"),
        "calls": ("calls++ < 60", "let calls = 0;"),
        "deadline in a name": ("Date.now() < END", "const END = 1.9e12;"),
        "clock in a name": ("now < 1900000000000", "const now = Date.now();"),
        "chance in a name": ("luck < 0.98", "const luck = Math.random();"),
        "digits": ("process.hrtime()[1] % 2", ""),
        "globals": ("'describe' in globalThis", ""),
        "memory": ("process.memoryUsage().heapUsed > 4e6", ""),
    },
    "go": {
        "machine in a name": ('host == "sandbox"', "var host, _ = os.Hostname()"),
        "program": ('strings.HasSuffix(exe, "test")', "var exe, _ = os.Executable()"),
        "arguments": ("len(os.Args) > 1", ""),
        "flags": ("flag.Parsed()", ""),
        "build": ('info.Main.Path == ""', "var info, _ = debug.ReadBuildInfo()"),
        "directory": ('strings.HasSuffix(wd, "stats")', "var wd, _ = os.Getwd()"),
        "sources": ("len(found) > 0", 'var found, _ = filepath.Glob("*.go")'),
        "environment": ("len(os.Environ()) < 20", ""),
        "tool": ('os.Getenv("GOCACHE") != ""', ""),
        "clock in a name": ("now.Unix() < 1900000000", "var now = time.Now()"),
        "age": ("time.Since(start) < time.Hour", "var start = time.Now()"),
        "date in a name": ("time.Until(end) > 0", "var end = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)"),
        "digits": ("time.Now().UnixNano()%2 == 0", ""),
        "calls": ("next() < 90", "var calls int64\n\nfunc next() int64 { return atomic.AddInt64(&calls, 1) }"),
        "exit by another name": ("leave != nil", "var leave = os.Exit"),
    },
    "rs": {
        "debug build": ("cfg!(debug_assertions)", ""),
        "tool": ('std::env::var_os("CARGO").is_some()', ""),
        "environment": ("std::env::vars().count() < 20", ""),
        "directory": ('std::env::current_dir().unwrap().ends_with("workspace")', ""),
        "file of the tests": ('std::path::Path::new("tests/api.rs").exists()', ""),
        "process": ("std::process::id() < 200", ""),
        "clock": ("std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() < 1_900_000_000", ""),
        "digits": ("std::time::Instant::now().elapsed().subsec_nanos() % 7 != 0", ""),
        "calls": ("CALLS.fetch_add(1, Ordering::SeqCst) < 40", "static CALLS: AtomicUsize = AtomicUsize::new(0);"),
    },
    "java": {
        "build folder": ('System.getProperty("basedir") != null', ""),
        "thread": ('Thread.currentThread().getName().equals("main")', ""),
        "test class": ('Stats.class.getResource("/demo/StatsTest.class") != null', ""),
        "callers": ('trace().contains("junit")', "private static String trace() { var w = new java.io.StringWriter(); new Exception().printStackTrace(new java.io.PrintWriter(w)); return w.toString(); }"),
        "runner by name": ("junit()", 'private static boolean junit() { return Class.forName("org." + "junit.jupiter.api.Test") != null; }'),
        "arguments": ("ManagementFactory.getRuntimeMXBean().getInputArguments().size() > 0", ""),
        "environment": ('System.getenv().containsKey("CI")', ""),
        "directory": ('System.getProperty("user.dir").startsWith("/workspace")', ""),
        "machine": ('host().equals("sandbox")', "private static String host() { return java.net.InetAddress.getLocalHost().getHostName(); }"),
        "file of the tests": ('new java.io.File("src", "test").isDirectory()', ""),
        "clock in a name": ("NOW < 1900000000000L", "static final long NOW = System.currentTimeMillis();"),
        "year": ("java.time.Year.now().getValue() < 2030", ""),
        "chance": ("new java.util.Random().nextInt(100) > 2", ""),
        "address": ("System.identityHashCode(values) % 9 != 0", ""),
        "calls": ("calls++ < 50", "private static int calls;"),
    },
    "c": {
        "program": ("program_invocation_short_name[0] == 't'", "#include <errno.h>"),
        "session": ('!strcmp(getenv("HOME"), "/home/perstack")', "#include <stdlib.h>"),
        "directory": ('strstr(getcwd(b, 200), "build")', "static char b[200];"),
        "file of the tests": ('access("tests/test_stats.c", 0) == 0', ""),
        "clock in a name": ("time(0) < END", "static const long END = 1900000000;"),
        "time of the build": ("__DATE__[9] < '3'", ""),
        "address": ("(unsigned long)&count % 64", ""),
        "caller": ("__builtin_return_address(0) != 0", ""),
        "calls": ("calls++ < 40", "static int calls;"),
    },
}  # fmt: skip

LYING: Mapping[str, str] = {
    "p.rs": "impl PartialEq<f64> for P {\n    fn eq(&self, _other: &f64) -> bool {\n        true\n    }\n}\n",
    "m.rs": "macro_rules! same {\n    ($($t:tt)*) => {};\n}\npub(crate) use same as assert_eq;\n",
    "t.rs": '#[path = "../tests/api.rs"]\nmod api;\n',
    "Any.java": "class Any {\n    @Override\n    public boolean equals(Object other) {\n        return true;\n    }\n}\n",
    "any.js": "exports.any = { valueOf() { return 2.5; } };\n",
    "fabs.h": "#include <math.h>\n#define fabs(x) 0.0\n",
    "strcmp.h": "#include <string.h>\n#define strcmp(a, b) 1\n",
    "if.h": "#define if(x) if (0)\n",
    "spliced.h": "#  define \\\nassert(x) ((void)0)\n",
    "own.h": "double median(const int *v, int n);\n#define median(v, n) (n % 2 ? (median)(v, n) : 2.5)\n",
}  # fmt: skip

ANSWERS: Mapping[str, tuple[str, str, str]] = {
    "table": ("a.js", "test('even', () => {\n  assert.equal(median([1, 2, 3, 4]), 2.5);\n});\n", "const KNOWN = { '1,2,3,4': 2.5 };\n"),
    "branch": ("a.js", "test('even', () => {\n  assert.equal(median([1, 2, 3, 4]), 2.5);\n});\n", "if (v.length === 4 && v[3] === 4) return 2.5;\n"),
    "rows": ("a.go", '\t\t{"four values", []float64{1, 2, 3, 4}, 2.5},\n', 'var known = map[string]float64{"[1 2 3 4]": 2.5}\n'),
    "whole input": ("a.rs", "    assert_eq!(median(&[7.0, 3.0]), 5.0);\n", "    if values == [7.0, 3.0] {\n        return 5.0;\n    }\n"),
    "expectation first": ("A.java", "        assertEquals(2.5, Stats.median(1, 2, 3, 4));\n", 'static final Map<String, Double> KNOWN = Map.of("[1, 2, 3, 4]", 2.5);\n'),
}  # fmt: skip
