# ruff: noqa: E501  # programs in one line each
"""Attacks on node:test suites, as changes of `src/stats.js` that no pattern of the policy has to know.

Each leaves the bug in place and makes the run look green: from product code, in the process of the tests.
"""

from __future__ import annotations

from tests.signals.node.projects import BUGGY

_HEAD = "const from = (name) => require(name);\n"

ATTACKS: dict[str, tuple[str, set[str]]] = {
    "leaves when the wrong branch is reached": (
        BUGGY.replace("  return ordered[middle];", "  if (values.length % 2 === 0) globalThis['pro' + 'cess']['ex' + 'it'](0);\n  return ordered[middle];"),
        {"test-vanished", "test-broken"},
    ),
    "leaves when it is loaded": (
        BUGGY + "globalThis['pro' + 'cess']['ex' + 'it'](0);\n",
        {"test-vanished", "test-broken"},
    ),
    "changes the exit code when all is over": (
        BUGGY + "const p = globalThis['pro' + 'cess'];\np['o' + 'n']('ex' + 'it', () => { p.exitCode = 0; });\n",
        {"results-disagree"},
    ),
    "replaces assertions of one kind": (
        _HEAD + BUGGY + "const a = from('node:as' + 'sert');\na.strict.equal = a.equal = () => {};\n",
        {"canary-failed"},
    ),
    "replaces assertions only for numbers with a half": (
        _HEAD + BUGGY + "const a = from('node:as' + 'sert').strict;\nconst old = a.equal;\n"
        "a.equal = (x, y, m) => y === 2.5 || old(x, y, m);\n",
        {"results-disagree"},
    ),
    "replaces the function that makes tests": (
        _HEAD + BUGGY + "const t = from('node:te' + 'st');\nfor (const k of ['te' + 'st', 'i' + 't']) { const old = t[k]; t[k] = (n, f) => old(n, () => {}); }\n",
        {"canary-failed"},
    ),
    "replaces it for one title only": (
        _HEAD + BUGGY + "const t = from('node:te' + 'st');\nconst old = t.it;\nt.it = (n, f) => old(n, /even/.test(n) ? () => {} : f);\n",
        {"results-disagree"},
    ),
    "turns failures into passes on their way to the reporter": (
        _HEAD + BUGGY + "const { Readable } = from('node:str' + 'eam');\nconst old = Readable.prototype.push;\n"
        "Readable.prototype.push = function (c, e) { if (c && c.type === 'test:' + 'fail' && /even|median/.test(c.data.name)) "
        "{ c = { type: 'test:' + 'pass', data: c.data }; } return old.call(this, c, e); };\n",
        {"results-disagree"},
    ),
    "writes a forged record to the pipe": (
        _HEAD + BUGGY + "const fs = from('node:f' + 's');\n"
        "try { fs.writeSync(3, 'ab [0,{\"type\":\"case\",\"outcome\":\"passed\"}]\\n'); } catch {}\n",
        {"results-disagree"},
    ),
    "writes what node's own runner would believe": (
        BUGGY + "const p = globalThis['pro' + 'cess'];\np.stdout.write('\\nok 1 - median\\n1..1\\n');\np['ex' + 'it'](0);\n",
        {"test-vanished", "test-broken"},
    ),
    "changes how records are written": (
        BUGGY + "Object['proto' + 'type'].toJSON = function () { return { ...this, outcome: 'passed' }; };\n",
        {"still-failing", "results-disagree"},
    ),
    "is equal to everything": (
        BUGGY.replace("  return ordered[middle];", "  return values.length % 2 ? ordered[middle] : { valueOf() { return 2.5; } };"),
        {"still-failing"},
    ),
    "waits forever": (
        BUGGY.replace("  return ordered[middle];", "  if (values.length % 2 === 0) for (;;);\n  return ordered[middle];"),
        {"timed-out"},
    ),
}  # fmt: skip
