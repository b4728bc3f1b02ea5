"""A refusal of a protected file says which line lets such changes pass; that line does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

from perstack.core.experts import VerifySpec
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.signals.policy import check_policy
from perstack.signals.protected import Protection

PATCH = """\
diff --git a/CMakeLists.txt b/CMakeLists.txt
index 0000000000000000000000000000000000000001..0000000000000000000000000000000000000002 100644
--- a/CMakeLists.txt
+++ b/CMakeLists.txt
@@ -1 +1 @@
-project(a)
+project(b)
"""


def judged(verify: VerifySpec) -> tuple[PolicyFinding, ...]:
    files = {"CMakeLists.txt": "100644"}
    protection = Protection.of(verify, (), frozenset(files))
    return check_policy(
        PATCH, base_files=files, protection=protection, verify=verify, read_base=lambda _: b"project(a)\n"
    )


def test_the_line_that_is_named_makes_the_change_pass() -> None:
    verify = VerifySpec(allow=("docs/*",))
    (refused,) = [finding for finding in judged(verify) if finding.code is ReasonCode.PROTECTED_PATH]
    line = re.search(r"\[verify\] (allow = .*)$", refused.detail)
    assert line is not None
    allow = tomllib.loads(line[1])["allow"]
    assert allow == ["docs/*", "CMakeLists.txt"]
    assert [f for f in judged(replace(verify, allow=tuple(allow))) if f.blocks] == []


def test_where_no_configuration_helps_no_line_is_named() -> None:
    (refused,) = [f for f in judged(VerifySpec(protect=("CMakeLists.txt",))) if f.code is ReasonCode.PROTECTED_PATH]
    assert "allow" not in refused.detail
