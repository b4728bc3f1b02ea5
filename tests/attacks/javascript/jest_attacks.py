# ruff: noqa: E501  # programs in one line each
"""Attacks on jest suites, as changes of `src/stats.js`; see `node_test_attacks.py`."""

from __future__ import annotations

from tests.signals.node.projects import BUGGY

_HEAD = (
    "const from = (name) => require(name);\nconst outer = (text) => from('v' + 'm')['runIn' + 'ThisContext'](text);\n"
)
_WRONG = "  return ordered[middle];"

ATTACKS: dict[str, tuple[str, set[str]]] = {
    "leaves with success when the wrong branch is reached": (
        BUGGY.replace(_WRONG, "  if (values.length % 2 === 0) globalThis['pro' + 'cess']['ex' + 'it'](0);\n" + _WRONG),
        {"test-vanished", "test-broken"},
    ),
    "leaves with success when it is loaded, from the outer realm": (
        _HEAD + BUGGY + "outer('process')['reallyEx' + 'it'](0);\n",
        {"test-vanished", "test-broken"},
    ),
    "kills the process above": (
        _HEAD + BUGGY + "const p = outer('process');\np['ki' + 'll'](p.ppid, 'SIGTERM');\n",
        {"report-missing", "results-disagree"},
    ),
    "accepts everything by one matcher": (
        BUGGY + "globalThis['exp' + 'ect']['ext' + 'end']({ toBe() { return { pass: true, message: () => '' }; } });\n",
        {"canary-failed", "results-disagree"},
    ),
    "accepts one value by one matcher": (
        BUGGY
        + "const e = globalThis['exp' + 'ect'];\nglobalThis['exp' + 'ect'] = Object.assign((v) => v === 3 ? { toBe() {}, toEqual() {} } : e(v), e);\n",
        {"results-disagree"},
    ),
    "changes one matcher for one value": (
        BUGGY + "const m = globalThis[Symbol.for('$$jest-' + 'matchers-object')].matchers;\nconst old = m.toBe;\n"
        "m.toBe = function (a, b) { return b === 2.5 ? { pass: true, message: () => '' } : old.call(this, a, b); };\n",
        {"results-disagree"},
    ),
    "replaces the function that makes tests": (
        BUGGY
        + "for (const k of ['te' + 'st', 'i' + 't']) { const old = globalThis[k]; globalThis[k] = (n) => old(n, () => {}); }\n",
        {"canary-failed"},
    ),
    "replaces it for one title only": (
        BUGGY
        + "const old = globalThis['i' + 't'];\nglobalThis['i' + 't'] = Object.assign((n, f) => old(n, /even/.test(n) ? () => {} : f), old);\n",
        {"results-disagree"},
    ),
    "takes errors out of lists": (
        BUGGY + "const old = Array['proto' + 'type'].push;\nArray['proto' + 'type'].push = function (...v) { "
        "return old.apply(this, v.filter((x) => !/2\\.5/.test(String(x && x.message || x)))); };\n",
        {"results-disagree", "canary-failed"},
    ),
    "sends the result of the file itself": (
        _HEAD
        + BUGGY
        + "const p = outer('process');\nconst test = (ancestorTitles, title) => ({ ancestorTitles, title, fullName: title, status: 'passed', "
        "failureMessages: [], failureDetails: [], duration: 1, invocations: 1, numPassingAsserts: 1, retryReasons: [], location: null });\n"
        "p['se' + 'nd']([0, { testResults: [test([], 'mean'), test(['median'], 'is the middle one of an odd number'), "
        "test(['median'], 'is between the middle ones of an even number')], numFailingTests: 0, numPassingTests: 3, numPendingTests: 0, "
        "numTodoTests: 0, leaks: false, skipped: false, openHandles: [], perfStats: { start: 1, end: 2, runtime: 1, slow: false }, "
        "snapshot: { added: 0, fileDeleted: false, matched: 0, unchecked: 0, uncheckedKeys: [], unmatched: 0, updated: 0 }, testFilePath: 'x' }]);\n",
        {"results-disagree"},
    ),
    "changes what is sent": (
        _HEAD
        + BUGGY
        + "outer(`{ const old = process['se' + 'nd']; process['se' + 'nd'] = function (m, ...r) { try { if (m[1].testResults) { "
        "for (const t of m[1].testResults) { t.status = 'passed'; t.failureMessages = []; } m[1].numFailingTests = 0; } } catch {} "
        "return old.call(process, m, ...r); } }`);\n",
        {"results-disagree", "canary-failed", "still-failing"},
    ),
    "changes the runner in the outer realm": (
        _HEAD
        + BUGGY
        + "outer(`{ const old = Array['proto' + 'type'].map; Array['proto' + 'type'].map = function (f, ...r) { "
        "return old.call(this, f, ...r).map2 ?? old.call(this, f, ...r); } }`);\n",
        {"results-disagree"},
    ),
    "looks for the key in the cache of modules": (
        _HEAD + BUGGY + "const m = outer('process')['main' + 'Module'];\nconst c = m.constructor._cache;\n"
        "for (const k of Object.keys(c)) if (/jest_runner/.test(k)) { c[k].exports.prepare({ key: 'mine' }); const old = c[k].exports; "
        "Object.defineProperty(c[k], 'exports', { get: () => old }); }\n",
        {"still-failing"},
    ),
    "forgives errors when jest tells of them": (
        BUGGY
        + "globalThis[Symbol.for('EVENT_' + 'HANDLERS')].push((e) => { if (e.name === 'test_' + 'done' && /even/.test(e.test.name)) e.test.errors.length = 0; });\n",
        {"results-disagree", "still-failing"},
    ),
    "gives one test another body before anybody sees it": (
        BUGGY
        + "globalThis[Symbol.for('EVENT_' + 'HANDLERS')].unshift((e) => { if (e.name === 'add_' + 'test' && /even/.test(e.testName)) e.fn = () => {}; });\n",
        {"results-disagree"},
    ),
    "forgives the errors of the test that runs": (
        BUGGY.replace(
            _WRONG,
            "  if (values.length % 2 === 0) { const s = Object.getOwnPropertySymbols(globalThis).find((k) => /STATE/.test(String(k))); "
            "const t = globalThis[s].currentlyRunningTest; Object.defineProperty(t, 'errors', { value: Object.assign([], { push() {} }) }); }\n"
            + _WRONG,
        ),
        {"still-failing"},
    ),
    "calls one value equal to every other": (
        BUGGY + "globalThis['exp' + 'ect']['addEquality' + 'Testers']([(a, b) => (b === 2.5 ? true : undefined)]);\n",
        {"results-disagree"},
    ),
    "lets tests be tried until they pass": (
        BUGGY.replace(
            _WRONG,
            "  globalThis.tries = (globalThis.tries ?? 0) + 1;\n  if (globalThis.tries > 2 && values.length % 2 === 0) return 2.5;\n"
            + _WRONG,
        )
        + "jest['retry' + 'Times'](3);\n",
        {"still-failing", "test-flaky", "test-broken"},
    ),
    "writes a stored snapshot": (
        BUGGY + "require('f' + 's').writeFileSync(__dirname + '/__snap' + 'shots__.snap', 'x');\n",
        {"still-failing"},
    ),
}
