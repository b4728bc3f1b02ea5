"""The rules of docs/architecture.md as tests: cycles, hidden imports, chokepoints, sizes, broad handlers."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "perstack"
MODULES = sorted(p for p in SOURCE.rglob("*.py") if "worker" not in p.parts)
MAX_LINES = 400
MAX_FUNCTION = 60

# A handler for everything is allowed only where the reason stands beside it and the place is listed here.
BROAD_HANDLERS = {
    "interface/commandline.py": 1,
}


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


@cache
def imported_by(path: Path) -> tuple[tuple[str, int], ...]:
    """Everything a module imports, wherever in it, with its line."""
    return tuple((target, getattr(node, "lineno", 0)) for node in nodes_of(path) for target in imports_of(node))


def test_there_are_no_import_cycles_even_counting_type_checking_imports() -> None:
    names = {name_of(p) for p in MODULES}
    graph = {name_of(path): ({target for target, _ in imported_by(path)} & names) - {name_of(path)} for path in MODULES}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"cycle: {' → '.join((*trail[trail.index(name) :], name))}"
        if name in state:
            return
        state[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*trail, name))
        state[name] = 2

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_small_documented_and_hides_no_imports(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = tree_of(path)
    assert text.count("\n") <= MAX_LINES, f"{path}: {text.count(chr(10))} lines; is there a second idea in it?"
    assert ast.get_docstring(tree), f"{path}: say what the module is, and what it is not"
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{path}:{node.lineno}: `{node.name}` has {length} lines"
            hidden = [
                target for inner in ast.walk(node) for target in imports_of(inner) if target.split(".")[0] == "perstack"
            ]
            assert not hidden, f"{path}:{node.lineno}: `{node.name}` hides imports of {hidden}"


def test_an_event_loop_starts_where_signals_end_it_cleanly() -> None:
    found = [path.relative_to(SOURCE).as_posix() for path in MODULES if "anyio.run(" in path.read_text("utf-8")]
    assert found == ["infrastructure/interruption.py"]


_NAMELESS = re.compile(r"tempfile\.(TemporaryDirectory|mkdtemp)\((?!.*\bdir=)")


def test_a_temporary_folder_names_its_process_so_that_the_next_start_clears_it_away() -> None:
    outside = [path for path in MODULES if path.name not in {"testing.py", "bundle.py"}]  # a program's, and inside
    assert [str(path) for path in outside if _NAMELESS.search(path.read_text("utf-8"))] == []


CHOKEPOINTS = [
    # what, allowed below, modules or names that may not be imported elsewhere
    ("processes", ("infrastructure/process.py", "infrastructure/sandbox/"), {"subprocess", "multiprocessing", "pty"}),
    ("model traffic", ("providers/",), {"anthropic", "openai"}),
    ("GitHub traffic", ("forge/",), {"github"}),
    ("traffic with MCP servers", ("skills/mcp/wire_",), {"mcp", "mcp_types"}),
    (
        "other HTTP",
        # google-auth speaks through `requests`; model traffic itself goes through the SDKs.
        ("forge/", "infrastructure/sandbox/docker", "infrastructure/remote.py", "providers/vertex.py"),
        {"requests", "urllib.request", "http.client"},
    ),
    ("terminal output", ("interface/",), {"rich", "click"}),
    ("the Docker engine", ("infrastructure/sandbox/",), {"docker"}),
]


@pytest.mark.parametrize(("what", "allowed", "modules"), CHOKEPOINTS, ids=[c[0] for c in CHOKEPOINTS])
def test_a_hazard_has_one_place(what: str, allowed: tuple[str, ...], modules: set[str]) -> None:
    for path in MODULES:
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(allowed):
            continue
        for target, line in imported_by(path):
            hit = {m for m in modules if target == m or target.startswith(f"{m}.")}
            assert not hit, f"{path}:{line}: {what} belong in {allowed}, not here"


@pytest.mark.parametrize(
    ("provider", "own"), [("anthropic", "anthropic"), ("openai", "openai"), ("openai_chat", "openai")]
)
def test_a_provider_loads_no_sdk_but_its_own(provider: str, own: str) -> None:
    """Each takes a second of processor time, at the start of every run."""
    paths = {name_of(path): path for path in MODULES}
    found, left = set[str](), [f"perstack.providers.{provider}"]
    while left:
        for target, _ in imported_by(paths[left.pop()]):
            if target not in found:
                found.add(target)
                left += [target] if target in paths else []
    assert found & {"anthropic", "openai", "boto3", "google.auth"} == {own}


# A program that hands in no environment means its own; that is read here, once a call.
ENVIRONMENT = ("interface/", "api/machine.py")


def test_the_environment_is_read_in_the_interface_only() -> None:
    for path in MODULES:
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(ENVIRONMENT):
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                assert node.attr not in {"environ", "getenv"}, (
                    f"{path}:{node.lineno}: environment read outside interface"
                )


def test_processes_are_not_started_through_os_or_anyio_elsewhere() -> None:
    starters = {"system", "popen", "fork", "forkpty", "posix_spawn", "execv", "execve", "execvp", "spawnv"}
    runners = {"open_process", "run_process", "create_subprocess_exec", "create_subprocess_shell"}
    for path in MODULES:
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(("infrastructure/process.py", "infrastructure/sandbox/")) or "/pytest/" in place:
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                bad = (node.value.id == "os" and node.attr in starters) or (
                    node.value.id in {"anyio", "asyncio"} and node.attr in runners
                )
                assert not bad, f"{path}:{node.lineno}: processes start in infrastructure only"


_OWN_FILES = {"cache.py"}  # the sources of the signals themselves


@pytest.mark.parametrize("path", sorted((SOURCE / "signals").rglob("*.py")), ids=lambda path: path.name)
def test_signals_read_files_through_one_function_that_follows_no_link_and_waits_for_nobody(path: Path) -> None:
    if "worker" in path.parts or path.name in _OWN_FILES:
        return  # workers run in the sandbox
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            mode = ast.unparse(node.args[0]) if node.args else ""
            plain = name in {"read_text", "read_bytes"} and owner != "foreign" and not owner.endswith("resources")
            opening = name == "open" and (not owner or mode.startswith("'r") or not (node.args or node.keywords))
            wrong = plain or opening
            assert not wrong, f"{path}:{node.lineno}: read it with infrastructure/foreign.py"


def test_skills_reach_files_through_the_workspace_only() -> None:
    """Names in their arguments are a model's: nothing here opens one, or asks the system about one."""
    touching = {"read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "chmod",
                "symlink_to", "hardlink_to", "iterdir", "glob", "rglob", "is_file", "is_dir"}  # fmt: skip
    for path in sorted((SOURCE / "skills").rglob("*.py")):
        closed = {"shutil", "glob", "tempfile", "io", "fileinput", "zipfile", "tarfile", "mmap"}
        assert not {target for target, _ in imported_by(path)} & closed, path
        for node in nodes_of(path):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                wrong = called in {"open", "Path"} or called.rpartition(".")[2] in touching
                wrong = wrong or (called.startswith("os.") and called != "os.getpid")
                assert not wrong, f"{path}:{node.lineno}: `{called}`: go through infrastructure/workspace.py"


def test_broad_handlers_are_listed_with_a_reason() -> None:
    found: dict[str, int] = {}
    for path in MODULES:
        lines = path.read_text("utf-8").splitlines()
        for node in nodes_of(path):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else ""
                if caught in {"", "Exception"}:
                    place = path.relative_to(SOURCE).as_posix()
                    found[place] = found.get(place, 0) + 1
                    assert "BLE001" in lines[node.lineno - 1], f"{path}:{node.lineno}: give the reason"
    assert found == BROAD_HANDLERS


def files_below(top: Path, skipped: set[str]) -> Iterator[Path]:
    for folder, below, names in os.walk(top):
        below[:] = sorted(set(below) - skipped)
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def test_no_registry_host_and_no_path_of_a_machine_is_named_in_the_repository() -> None:
    hosts = [
        "py" + "pi.org",
        "python" + "hosted.org",
        "npm" + "js.org",
        "deb.deb" + "ian.org",
        "/wo" + "rk/",
        "/fa" + "rm/",
    ]
    caches = {".mypy_cache", ".ruff_cache", ".pytest_cache", ".cache", ".hypothesis", "__pycache__"}
    for path in files_below(ROOT, {".git", ".venv", "node_modules", *caches}):
        data = path.read_bytes()
        if b"\0" in data[:4096]:
            continue
        text = data.decode("utf-8", errors="replace")
        hits = [h for h in hosts if h in text]
        assert not hits, f"{path.relative_to(ROOT)} names {hits}"
