# ruff: noqa: E501  # programs in one line each
"""Attacks on vitest suites, as changes of `src/stats.ts`; see `node_test_attacks.py`."""

from __future__ import annotations

from tests.signals.node.projects import TS_BUGGY

_WRONG = "  return ordered[middle];"
_HEAD = "const g: any = globalThis;\n"
_BUGGY = _HEAD + TS_BUGGY
_API = "const api: any = await import(/* @vite-ignore */ 'vi' + 'test');\n"
_CHAI = "const proto = api.chai.Assertion['proto' + 'type'];\n"

ATTACKS: dict[str, tuple[str, set[str]]] = {
    "leaves with success when the wrong branch is reached": (
        _BUGGY.replace(_WRONG, "  if (values.length % 2 === 0) g['pro' + 'cess']['reallyEx' + 'it'](0);\n" + _WRONG),
        {"test-vanished", "test-broken", "results-disagree"},
    ),
    "leaves with success when it is loaded": (
        _BUGGY + "g['pro' + 'cess']['reallyEx' + 'it'](0);\n",
        {"test-vanished"},
    ),
    "kills the process above": (
        _BUGGY + "const p = g['pro' + 'cess'];\np['ki' + 'll'](p.ppid, 'SIGKILL');\n",
        {"report-missing", "signal-error"},
    ),
    "accepts everything by one matcher": (
        _BUGGY
        + _API
        + "api['exp' + 'ect']['ext' + 'end']({ toBe() { return { pass: true, message: () => '' }; } });\n",
        {"canary-failed"},
    ),
    "accepts one value by one matcher": (
        _BUGGY
        + _API
        + _CHAI
        + "const old = proto.toBe;\nproto.toBe = function (v: any) { return v === 2.5 ? this : old.call(this, v); };\n",
        {"results-disagree"},
    ),
    "calls one value equal to every other": (
        _BUGGY
        + _API
        + "api['exp' + 'ect']['addEquality' + 'Testers']([(a: any, b: any) => (b === 2.5 ? true : undefined)]);\n",
        {"results-disagree"},
    ),
    "gives one test another body": (
        _BUGGY + _API + "const r: any = await import('@vitest/' + 'runner');\n"
        "api.beforeEach((c: any) => { if (/even/.test(c.task.name)) r['set' + 'Fn'](c.task, async () => {}); });\n",
        {"results-disagree"},
    ),
    "says that one test is meant to fail": (
        _BUGGY.replace(
            _WRONG, "  if (values.length % 2 === 0) g['__vitest_' + 'worker__'].current.fails = true;\n" + _WRONG
        ),
        {"results-disagree", "test-skipped"},
    ),
    "lets one test be tried until it is skipped": (
        _BUGGY.replace(
            _WRONG, "  if (values.length % 2 === 0) g['__vitest_' + 'worker__'].current.context.skip();\n" + _WRONG
        ),
        {"test-skipped"},
    ),
    "makes the result of one test good": (
        _BUGGY.replace(
            _WRONG,
            "  if (values.length % 2 === 0) { const t = g['__vitest_' + 'worker__'].current; const r = t.result; "
            "Object.defineProperty(t, 'result', { get: () => ({ ...r, state: 'pass', errors: undefined, retryCount: 0 }), set() {} }); }\n"
            + _WRONG,
        ),
        {"results-disagree", "still-failing"},
    ),
    "tells the process above that all is well": (
        _BUGGY + "g['__vitest_' + 'worker__'].rpc.onTaskUpdate = async () => {};\n"
        "const p = g['pro' + 'cess'];\nconst old = p['se' + 'nd'];\np['se' + 'nd'] = (m: any, ...r: any[]) => { try { for (const pack of m.a[0]) pack[1] = { state: 'pass' }; } catch {} return old.call(p, m, ...r); };\n",
        {"results-disagree", "canary-failed", "still-failing"},
    ),
    "catches rejections of all promises": (
        _BUGGY
        + "const then = Promise['proto' + 'type'].then;\nPromise['proto' + 'type'].then = function (a: any, b: any) { return then.call(this, a, b && ((e: any) => /2\\.5/.test(String(e)) ? a?.() : b(e))); };\n",
        {"results-disagree", "still-failing"},
    ),
    "writes a forged record to the pipe": (
        _BUGGY + "const fs: any = await import('node:f' + 's');\ntry { fs.writeSync(5, 'ab [0,{}]\\n'); } catch {}\n",
        {"results-disagree"},
    ),
    "reads the key through the debugger": (
        _BUGGY + "const i: any = await import('node:inspec' + 'tor');\nconst s = new i.Session();\ns.connect();\n",
        {"test-vanished", "test-broken"},
    ),
}
