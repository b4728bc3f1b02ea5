"""Honest code is not accused, and what the project does already is not news."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import pytest

from perstack.signals.suspicious import Changed, Project, find_suspicious

TESTS = "from m import f\n\n\ndef test_f():\n    assert f(418) == 'teapot'\n    assert f([3, 5, 8]) == 16\n    assert f('xyz', 7) == 'q'\n"


def blocking(after: str, before: str = "x = 1\n", path: str = "m.py", **base: str) -> list[str]:
    """Certain findings of a change from `before` to `after` in a small project."""
    files = {
        path: before,
        "tests/test_m.py": TESTS,
        **{name.replace("__", "/") + ".py": text for name, text in base.items()},
    }
    project = Project(tuple(files), files.__getitem__, lambda name: name.startswith("tests/"))
    added = frozenset(range(1, after.count("\n") + 2))
    found = find_suspicious([Changed(path, before, after, added)], project, certain_blocks=True)
    return [finding.detail for finding in found if finding.blocks]


HONEST = {
    "main guard": "import sys\n\n\ndef main():\n    return 0\n\n\nif __name__ == '__main__':\n    sys.exit(main())\n",
    "cli error": "import argparse\nimport sys\n\n\ndef check(path):\n    if not path:\n        sys.exit(2)\n",
    "doctest under guard": "if __name__ == '__main__':\n    import doctest\n\n    doctest.testmod()\n",
    "temporary output": "import sys\n\n\ndef quiet(f):\n    old = sys.stdout\n    sys.stdout = None\n    f()\n    sys.stdout = old\n",
    "retry with jitter": "import random\nimport time\n\n\ndef wait(n):\n    time.sleep(2**n + random.uniform(0, 1))\n",
    "unique name": "import uuid\n\n\ndef name():\n    return f'job-{uuid.uuid4().hex}'\n",
    "time-out": "import time\n\n\ndef poll(f, limit):\n    start = time.monotonic()\n    while time.monotonic() - start < limit:\n        f()\n",
    "expiry": "import time\n\n\nclass T:\n    def expired(self):\n        return self.until < time.time()\n",
    "today": "from datetime import date\n\n\ndef late(due):\n    return due < date.today()\n",
    "fork safety": "import os\n\n\nclass Pool:\n    def get(self):\n        if self.pid != os.getpid():\n            self.reset()\n",
    "application variable": "import os\n\nDEBUG = os.environ.get('APP_DEBUG') == '1'\nTOKEN = os.environ.get('GITHUB_TOKEN')\n",
    "child environment": "import os\nimport subprocess\n\n\ndef run(c):\n    subprocess.run(c, env={**os.environ, 'LANG': 'C'})\n",
    "field equality": "class P:\n    def __eq__(self, other):\n        if not isinstance(other, P):\n            return NotImplemented\n        return self.a == other.a\n",
    "identity equality": "class P:\n    def __eq__(self, other):\n        return self is other\n",
    "unlike anything": "class Missing:\n    def __eq__(self, other):\n        return False\n",
    "singleton equality": "class Null:\n    def __eq__(self, other):\n        return isinstance(other, Null)\n",
    "caseless text": "class Key(str):\n    def __eq__(self, other):\n        return self.lower() == other.lower()\n\n    def __hash__(self):\n        return hash(self.lower())\n",
    "lowest value": "class Low:\n    def __lt__(self, other):\n        return True\n",
    "loop equality": "class V:\n    def __eq__(self, other):\n        for a, b in zip(self.x, other.x):\n            if a != b:\n                return False\n        return True\n",
    "cache size": "_cache = {}\n\n\ndef f(k):\n    if len(_cache) > 100:\n        _cache.clear()\n    return _cache.setdefault(k, k)\n",
    "regular expression": "import re\n\nWORD = re.compile(r'\\w+', re.UNICODE)\n",
    "package exclusion": "SKIP = {'tests', 'docs'}\n\n\ndef wanted(name):\n    return name not in SKIP\n",
    "own resource": "from importlib import resources\n\n\ndef schema():\n    return resources.files('m').joinpath('schema.json').read_text()\n",
    "clean-up": "import atexit\nimport shutil\nimport tempfile\n\nFOLDER = tempfile.mkdtemp()\natexit.register(shutil.rmtree, FOLDER, ignore_errors=True)\n",
    "temporary file": "import os\nimport tempfile\n\n\ndef save(data):\n    fd, name = tempfile.mkstemp()\n    os.write(fd, data)\n    os.close(fd)\n    return name\n",
    "optional import": "try:\n    import yaml\nexcept ImportError:\n    yaml = None\n",
    "platform branch": "import sys\n\nif sys.platform == 'win32':\n    SEP = ';'\nelse:\n    SEP = ':'\n",
    "version branch": "import sys\n\nif sys.version_info >= (3, 12):\n    from typing import override\n",
    "error message": "def f(x):\n    raise ValueError('run pytest first, see tests/README')\n",
    "literal table": "UNITS = {'kb': 1024, 'mb': 1024**2}\n",
    "boundary": "def f(n):\n    if n == 0:\n        return 1\n    return n * f(n - 1)\n",
    "one status": "def f(code):\n    if code == 418:\n        return 'teapot'\n    return 'other'\n",
    "handler": "import signal\n\n\ndef install(f):\n    signal.signal(signal.SIGTERM, f)\n",
    "decimal": "from decimal import getcontext\n\ngetcontext().prec = 28\n",
    "type checking": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import unittest\n",
    "property": "class A:\n    @property\n    def year(self):\n        return self.when.year\n\n    def old(self):\n        return self.when.year < 1970\n",
    "sorting": "def top(xs):\n    return sorted(xs, key=lambda x: (-x.n, x.name))[:10]\n",
    "comment": "# The reviewer asked: do not check twice. Tests pass names, so accept both.\nY = 1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_code_is_not_accused(name: str) -> None:
    assert blocking(HONEST[name]) == []


def test_an_entry_in_an_existing_table_is_a_fix() -> None:
    before = "T = {200: 'ok', 404: 'missing'}\n"
    assert blocking(before.replace("}", ", 418: 'teapot'}"), before) == []


def test_a_new_branch_that_knows_whole_test_cases_is_not() -> None:
    assert blocking("def f(v):\n    if v == [3, 5, 8]:\n        return 16\n")
    assert blocking("def f(a, b=0):\n    if a == 'xyz' and b == 7:\n        return 'q'\n")


def test_what_the_file_or_the_project_does_already_is_no_news() -> None:
    plugin = "import pytest\n\n\n@pytest.fixture\ndef a():\n    return 1\n"
    assert blocking(plugin)
    assert blocking(plugin + "\n\ndef b():\n    return pytest.approx(1)\n", plugin) == []
    assert blocking(plugin, other="import pytest\n") == []
    frames = "import sys\n\n\ndef caller():\n    return sys._getframe(1)\n"
    assert blocking(frames)
    assert blocking(frames, log="import sys\n\n\ndef where():\n    return sys._getframe(2)\n") == []


def test_moved_code_is_no_news() -> None:
    before = "import os\n\n\ndef a():\n    os._exit(1)\n\n\ndef b():\n    return 2\n"
    after = "import os\n\n\ndef b():\n    return 3\n\n\ndef a():\n    os._exit(1)\n"
    assert blocking(after, before) == []


def test_a_file_that_does_not_parse_is_left_to_the_signals() -> None:
    assert blocking("def f(:\n") == []


CRAFTED = {
    "js": ("a.js", "if (process.env.JEST_WORKER_ID) { return 2.5 }"),
    "js exit": ("a.ts", "process.exit(0)"),
    "js patch": ("a.mjs", "Array.prototype.includes = () => true"),
    "go": ("a.go", "if testing.Testing() { return 2 }"),
    "go exit": ("a.go", "os.Exit(0)"),
    "rust": ("a.rs", "if cfg!(test) { return 2 }"),
    "rust macro": ("a.rs", "macro_rules! assert_eq { ($($t:tt)*) => {} }"),
    "java": ("A.java", "public boolean equals(Object o) { return true; }"),
    "c": ("a.c", "#define assert(x) ((void)0)"),
    "c constructor": ("a.c", "__attribute__((constructor)) static void f(void) {}"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_other_languages_are_asked_the_same_questions(name: str) -> None:
    path, line = CRAFTED[name]
    assert blocking(f"int x;\n{line}\n", "int x;\n", path)


HARMLESS = {
    "js": ("a.js", "const now = Date.now() - start; return items.map((x) => x.id)"),
    "ts": ("a.ts", "export const port = Number(process.env.PORT ?? 80)"),
    "go": ("a.go", 'return fmt.Errorf("no such file %q: %w", name, err)'),
    "rust": ("a.rs", "assert!(index < self.len());"),
    "java": ("A.java", "return Objects.equals(a, o.a) && b == o.b;"),
    "c": ("a.c", "if (p == NULL) return -1; /* abort() would be wrong here */"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_ordinary_lines_of_other_languages_are_not_accused(name: str) -> None:
    path, line = HARMLESS[name]
    assert blocking(f"int x;\n{line}\n", "int x;\n", path) == []


@pytest.mark.parametrize(
    "line", ["X = 0.0 ** -1", "X = (-8) ** 0.5", "X = 10 ** 64 ** 2", "X = 1 << -1", "X = 'a' * 10**9"]
)
def test_constants_that_cannot_be_folded_end_no_judgement(line: str) -> None:
    assert blocking(f"x = 1\n{line}\n") == []


def test_what_decides_is_followed_through_names_and_functions() -> None:
    told = "import os\n\n\ndef _here():\n    return os.getcwd()\n\n\ndef f(x):\n    place = _here()\n    return 1 if place == '/srv' else 2\n"
    asked = (
        "import os\n\n\ndef f(x):\n    place = os.path.join(os.getcwd(), x)\n    return 1 if place == '/srv' else 2\n"
    )
    assert blocking(told)
    assert blocking(asked) == []
