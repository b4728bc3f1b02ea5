"""A small real CMake project, and how its tests are run. Shared by the tests of ctest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perstack.core.signals import SignalKind, SignalSpec
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.signals.project import Project

BUGGY = """\
#include "stats.h"

double median(const int *values, int count) {
    return values[count / 2];
}

double mean(const int *values, int count) {
    double sum = 0;
    for (int index = 0; index < count; index++) sum += values[index];
    return sum / count;
}
"""
FIXED = BUGGY.replace(
    "    return values[count / 2];\n",
    "    if (count % 2 == 0) return (values[count / 2 - 1] + values[count / 2]) / 2.0;\n"
    "    return values[count / 2];\n",
)
HEADER = """\
#ifndef STATS_H
#define STATS_H
#ifdef __cplusplus
extern "C" {
#endif
double median(const int *values, int count);
double mean(const int *values, int count);
#ifdef __cplusplus
}
#endif
#endif
"""
TESTS = """\
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

static const int values[] = {1, 2, 3, 4};

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "even")) assert(median(values, 4) == 2.5);
    if (count > 1 && !strcmp(words[1], "odd")) assert(median(values, 3) == 2);
    if (count == 1) exit(mean(values, 3) == 2 ? 0 : 1);
    return 0;
}
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(stats C)
enable_testing()
add_library(stats src/stats.c)
target_include_directories(stats PUBLIC src)
add_executable(test_stats tests/test_stats.c)
target_link_libraries(test_stats stats)
add_test(NAME test_stats COMMAND test_stats)
add_test(NAME odd COMMAND test_stats odd)
add_test(NAME even COMMAND ${CMAKE_COMMAND} -E env A=B $<TARGET_FILE:test_stats> even)
add_test(NAME script COMMAND sh -c "exit 0")
add_test(NAME fails COMMAND sh -c "exit 3")
set_tests_properties(fails PROPERTIES WILL_FAIL ON)
"""
FILES: Mapping[str, str] = {
    "CMakeLists.txt": CMAKE,
    "src/stats.c": BUGGY,
    "src/stats.h": HEADER,
    "tests/test_stats.c": TESTS,
}
SCRIPT = "cmake -S . -B build && cmake --build build -j2 && ctest --test-dir build --output-on-failure"
CTEST = SignalSpec("tests", SignalKind.TEST, ("sh", "-ec", SCRIPT), framework="ctest", repeat=1, timeout_s=60)


def make(folder: Path, files: Mapping[str, str] = FILES) -> Project:
    """The project in a repository of its own; it needs nothing but the system's programs."""
    project = Project.make(folder, files)
    project.sandbox = Bubblewrap()
    return project
