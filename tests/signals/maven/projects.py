"""A small real Maven project, and how its tests are run. Shared by the tests of Maven."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from perstack.core.signals import SignalKind, SignalSpec
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.project import Project

REPOSITORY = Path.home() / ".m2" / "repository"
BUGGY = """\
package demo;

import java.util.Arrays;

public class Stats {
    public static double median(int... values) {
        int[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted[middle];
    }

    public static double mean(int... values) {
        return Arrays.stream(values).average().orElseThrow();
    }
}
"""
FIXED = BUGGY.replace(
    "        return sorted[middle];\n",
    "        if (sorted.length % 2 == 0) return (sorted[middle - 1] + sorted[middle]) / 2.0;\n"
    "        return sorted[middle];\n",
)
TESTS = """\
package demo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StatsTest {
    @Test
    void mean() {
        assertEquals(2, Stats.mean(1, 2, 3));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5})
    void ofOne(int value) {
        assertEquals(value, Stats.median(value));
    }

    @Nested
    class Median {
        @Test
        void odd() {
            assertEquals(2, Stats.median(3, 1, 2));
        }

        @Test
        void even() {
            assertEquals(2.5, Stats.median(1, 2, 3, 4));
        }
    }
}
"""
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>demo</groupId>
  <artifactId>stats</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.junit.jupiter</groupId>
      <artifactId>junit-jupiter</artifactId>
      <version>5.14.1</version>
      <scope>test</scope>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <artifactId>maven-resources-plugin</artifactId>
        <version>3.3.1</version>
      </plugin>
      <plugin>
        <artifactId>maven-compiler-plugin</artifactId>
        <version>3.14.1</version>
      </plugin>
      <plugin>
        <artifactId>maven-surefire-plugin</artifactId>
        <version>3.2.5</version>
      </plugin>
    </plugins>
  </build>
</project>
"""
FILES: Mapping[str, str] = {
    "pom.xml": POM,
    "src/main/java/demo/Stats.java": BUGGY,
    "src/test/java/demo/StatsTest.java": TESTS,
}
MAVEN = SignalSpec(
    "tests",
    SignalKind.TEST,
    ("mvn", "-q", "test", f"-Dmaven.repo.local={REPOSITORY}"),
    framework="maven",
    repeat=1,
    timeout_s=300,
)
missing = shutil.which("mvn") is None or not REPOSITORY.is_dir()


def make(folder: Path, files: Mapping[str, str] = FILES) -> Project:
    """The project in a repository of its own; the sandbox sees this machine's packages, read-only."""
    project = Project.make(folder, files)
    project.sandbox = Bubblewrap((REPOSITORY,))
    return project
