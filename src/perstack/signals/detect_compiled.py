"""Detection of Go, Rust, Maven, Gradle, CMake and Make projects. Pure.

Tests of Go and Rust are run by the verifier, others judged by the exit code of their own command, builds and linters
by their diagnostics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from perstack.core.signals import SignalKind
from perstack.signals.detect_found import Found, Repository, check, must, place

_FEW = 50  # sources that fit into a command line people still want to read


def detect_compiled(repository: Repository) -> Iterator[Found]:
    """Every tool chain whose manifest is there, outermost folders only."""
    yield from _go(repository)
    yield from _rust(repository)
    yield from _jvm(repository)
    if not any(repository.folders_of(name) for name in ("pom.xml", "build.gradle", "build.gradle.kts", "Makefile")):
        yield from _javac(repository)
    if "CMakeLists.txt" in repository.files:
        yield from _cmake(repository)
    elif not _has_other(repository):
        yield from _make(repository)


def _go(repository: Repository) -> Iterator[Found]:
    for folder in repository.folders_of("go.mod"):
        if not repository.any("*_test.go"):
            yield Found(
                f"go: go.mod{place(folder)} and no *_test.go; its errors are compared with the base's",
                must("build", SignalKind.COMPILER, "go build ./...", folder=folder),
            )
            continue
        run = "go test -count=1 ./..."
        yield Found(
            f"go: go.mod{place(folder)}; every test is judged by itself",
            must("tests", SignalKind.TEST, run, framework="go", folder=folder),
        )
        why = "go vet: comes with go; its findings are compared with the base's"
        yield Found(why, check("vet", "go vet ./...", folder=folder))


def _rust(repository: Repository) -> Iterator[Found]:
    for folder in repository.folders_of("Cargo.toml"):
        locked = " --locked" if f"{folder}/Cargo.lock".removeprefix("/") in repository.files else ""
        workspace = " --workspace" if "[workspace]" in _manifest(repository, folder) else ""
        run = f"cargo test{workspace}{locked}"
        yield Found(
            f"cargo: Cargo.toml{place(folder)}; every test is judged by itself",
            must("tests", SignalKind.TEST, run, framework="cargo", folder=folder),
        )
        lints = re.search(r"^\[(?:workspace\.)?lints\b.*clippy", _manifest(repository, folder), re.MULTILINE)
        if lints or repository.any(*(f"{folder}/{name}".removeprefix("/") for name in ("clippy.toml", ".clippy.toml"))):
            why = f"clippy: configured{place(folder)}; its findings are compared with the base's"
            yield Found(why, check("lint", f"cargo clippy{workspace}{locked}", folder=folder))


def _manifest(repository: Repository, folder: str) -> str:
    return repository.text(f"{folder}/Cargo.toml".removeprefix("/"))


def _jvm(repository: Repository) -> Iterator[Found]:
    for folder in repository.folders_of("pom.xml"):
        program = "./mvnw" if f"{folder}/mvnw".removeprefix("/") in repository.files else "mvn"
        inside = f"{folder}/*".removeprefix("/")
        known = repository.any(f"{inside}src/test/java/*.java", f"{folder}/src/test/java/*.java".removeprefix("/"))
        kind, how = (SignalKind.TEST, "each test by name") if known else (SignalKind.COMMAND, "by the exit code as one")
        reason = f"maven: pom.xml{place(folder)}; judged {how}"
        framework = "maven" if known else ""
        yield Found(reason, must("tests", kind, f"{program} -B -q test", framework=framework, folder=folder))
    gradle = {*repository.folders_of("build.gradle"), *repository.folders_of("build.gradle.kts")}
    for folder in sorted(gradle):
        program = "./gradlew" if f"{folder}/gradlew".removeprefix("/") in repository.files else "gradle"
        run = f"{program} test --rerun-tasks --no-build-cache"
        reason = f"gradle: build file{place(folder)}; judged by the exit code as one"
        yield Found(reason, must("tests", SignalKind.COMMAND, run, folder=folder))


def _javac(repository: Repository) -> Iterator[Found]:
    """Plain Java: a handful of sources and nothing that builds them."""
    sources = sorted(path for path in repository.files if path.endswith(".java") and " " not in path)
    if 0 < len(sources) <= _FEW and not repository.any("build.xml", "*/build.xml", "BUILD", "BUILD.bazel", "build.sbt"):
        reason = f"javac: {len(sources)} Java file(s) and no build tool; their errors are compared with the base's"
        run = f"javac -d /tmp/classes {' '.join(sources)}"
        yield Found(reason, must("build", SignalKind.COMPILER, run))


def _cmake(repository: Repository) -> Iterator[Found]:
    texts = [repository.text(path) for path in repository.files if path.endswith("CMakeLists.txt")]
    tests = any("enable_testing" in text or "include(CTest)" in text for text in texts)
    configure = "cmake -S . -B /tmp/build && cmake --build /tmp/build -j2"
    run = f"{configure} && ctest --test-dir /tmp/build --no-tests=error --output-on-failure" if tests else configure
    if tests:
        spec, how = must("tests", SignalKind.TEST, "sh -ec", framework="ctest"), " with tests; judged each by name"
    else:
        spec, how = must("build", SignalKind.COMPILER, "sh -ec"), "; the compiler's errors are compared with the base's"
    yield Found(f"cmake: CMakeLists.txt{how}", replace(spec, run=("sh", "-ec", run)))


def _make(repository: Repository) -> Iterator[Found]:
    for name in ("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile"):
        text = repository.text(name)
        target = next((t for t in ("test", "check", "tests") if re.search(rf"^{t}\s*:(?!=)", text, re.MULTILINE)), "")
        if target:
            program = "just" if "ustfile" in name else "make"
            reason = f"{program}: {name} has a target `{target}`; judged by the exit code as one"
            yield Found(reason, must("tests", SignalKind.COMMAND, f"{program} {target}"))
            return
        if re.search(r"^all\s*:(?!=)", text, re.MULTILINE) and repository.any("*.c", "*.cc", "*.cpp", "*.cxx"):
            reason = f"make: {name} has a target `all`, and there is C or C++; its errors are compared with the base's"
            yield Found(reason, must("build", SignalKind.COMPILER, "make all"))
            return


def _has_other(repository: Repository) -> bool:
    """Whether a tool chain's own manifest says more than a Makefile."""
    manifests = (
        "go.mod",
        "Cargo.toml",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "package.json",
        "pyproject.toml",
    )
    return any(repository.folders_of(name) for name in manifests) or bool(repository.any("test_*.py", "*/test_*.py"))
