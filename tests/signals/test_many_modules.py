"""Repositories of several modules, packages or crates: every test is found, and named so that it can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import SignalSpec, TestStatus
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.cargo import toolchain as rust
from tests.signals.go import toolchain as go
from tests.signals.maven import projects as maven
from tests.signals.project import Project

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GO_WORK = {
    "go.work": "go 1.21\n\nuse ./core\nuse ./app\n",
    "core/go.mod": "module example.org/core\n\ngo 1.21\n",
    "core/core.go": "package core\n\nfunc Double(n int) int { return n * 2 }\n",
    "core/core_test.go": 'package core\n\nimport "testing"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(2) != 4 {\n'
    '\t\tt.Fatal("wrong")\n\t}\n}\n',
    "app/go.mod": "module example.org/app\n\ngo 1.21\n\nrequire example.org/core v0.0.0\n",
    "app/app.go": 'package app\n\nimport "example.org/core"\n\nfunc Four() int { return core.Double(2) }\n',
    "app/app_test.go": 'package app\n\nimport "testing"\n\nfunc TestFour(t *testing.T) {\n\tif Four() != 5 {\n'
    '\t\tt.Fatal("wrong")\n\t}\n}\n',
}
CARGO_WORK = {
    "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["core", "app"]\n',
    "core/Cargo.toml": '[package]\nname = "core-lib"\nversion = "0.1.0"\nedition = "2021"\n',
    "core/src/lib.rs": "pub fn double(n: i32) -> i32 {\n    n * 2\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n"
    "    fn doubles() {\n        assert_eq!(super::double(2), 4);\n    }\n}\n",
    "app/Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n'
    'core-lib = { path = "../core" }\n',
    "app/src/lib.rs": "pub fn four() -> i32 {\n    core_lib::double(2)\n}\n",
    "app/tests/four.rs": "#[test]\nfn four() {\n    assert_eq!(app::four(), 5);\n}\n",
}


async def measured(folder: Path, files: Mapping[str, str], spec: SignalSpec, sandbox: object) -> dict[str, TestStatus]:
    project = Project.make(folder, files)
    project.sandbox = sandbox  # type: ignore[assignment]
    snapshot = await project.snapshot()
    found = await project.verifier().baseline(await project.repository(), project.base, (spec,), snapshot)
    (run,) = found.measurements[spec.name].runs
    assert run.problem == "", f"{run.problem}\n{run.output}"
    return {identity: case.status for identity, case in run.tests.items()}


@pytest.mark.skipif(bool(go.missing()), reason=go.missing())
async def test_modules_of_a_go_workspace_are_tested_together(tmp_path: Path) -> None:
    spec = replace(go.GO_TEST, run=("go", "test", "./core/...", "./app/..."))
    found = await measured(tmp_path, GO_WORK, spec, go.go_sandbox())
    assert found == {
        "core/core_test.go::TestDouble": TestStatus.PASSED,
        "app/app_test.go::TestFour": TestStatus.FAILED,
    }


@pytest.mark.skipif(bool(rust.missing()), reason=rust.missing())
async def test_crates_of_a_cargo_workspace_are_tested_together_also_in_the_words_of_nextest(
    tmp_path: Path,
) -> None:
    spec = replace(rust.CARGO_TEST, run=("cargo", "nextest", "run", "--workspace"), framework="")
    found = await measured(tmp_path, CARGO_WORK, spec, rust.rust_sandbox())
    assert found == {
        "core/src/lib.rs::tests::doubles": TestStatus.PASSED,
        "app/tests/four.rs::four": TestStatus.FAILED,
    }


def _pom(name: str, more: str) -> str:
    """A module's own definition under the parent."""
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<parent><groupId>demo</groupId><artifactId>stats</artifactId><version>1</version></parent>"
        f"<artifactId>{name}</artifactId>{more}</project>\n"
    )


MAVEN_MODULES = {
    "pom.xml": maven.POM.replace(
        "  <properties>",
        "  <packaging>pom</packaging>\n  <modules><module>core</module><module>app</module></modules>\n  <properties>",
        1,
    ),
    "core/pom.xml": _pom("core", ""),
    "core/src/main/java/demo/Stats.java": maven.BUGGY,
    "app/pom.xml": _pom(
        "app",
        "<dependencies><dependency><groupId>demo</groupId><artifactId>core</artifactId><version>1</version>"
        "</dependency></dependencies>",
    ),
    "app/src/test/java/demo/StatsTest.java": maven.TESTS,
}


@pytest.mark.skipif(maven.missing, reason="Maven or its packages are not on this machine")
async def test_modules_of_a_maven_project_are_tested_together(tmp_path: Path) -> None:
    found = await measured(tmp_path, MAVEN_MODULES, maven.MAVEN, Bubblewrap((maven.REPOSITORY,)))
    assert len(found) == 5
    assert found["demo.StatsTest$Median::even"] is TestStatus.FAILED
