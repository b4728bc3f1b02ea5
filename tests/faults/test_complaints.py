"""What programs of ours complain of the machine is told as the machine's, and not as a wrong repository."""

from __future__ import annotations

import pytest

from perstack.core.faults import fault_in


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("fatal: unable to fork\n", "ulimit -u"),
        (
            "error: cannot fork() for upload-pack: Resource temporarily unavailable\nfatal: Could",
            "ulimit -u",
        ),
        ("warning: x\nfatal: cannot copy 'a' to 'b': No space left on device\n", "Free some space"),
        ("error: unable to create temporary file: Too many open files", "ulimit -n"),
        ("fatal: Out of memory, malloc failed (tried to allocate 9 bytes)", "more memory"),
        ("fatal: bad revision 'No space left on device'", ""),
        ("No space left on device", ""),
        ("fatal: not a git repository", ""),
        ("", ""),
    ],
)
def test_the_end_of_a_complaint_says_whether_the_machine_is_meant(words: str, hint: str) -> None:
    found = fault_in(words)
    assert (found is not None) == bool(hint), found
    assert found is None or hint in found[1]
