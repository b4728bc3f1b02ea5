"""How the end of a reply is found among what commands write. The channel over real sandboxes is in test_sandbox."""

from __future__ import annotations

import pytest

from perstack.infrastructure.sandbox.channel import ReplyStream

_MARK, _SEAL = "0123456789abcdef" * 2, "a5" * 16


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"words",
        b"words\n",
        b"\n" + b"ab" * 16 + b" 12",
        b"\n" + b"ab" * 16 + b" 12\n",
        f"\n{_MARK} ".encode(),
        b"\n\n",
    ],
)
def test_the_end_is_found_after_whatever_was_written_and_however_it_arrives(written: bytes, step: int) -> None:
    stream = ReplyStream(_MARK, _SEAL, 1000)
    data = written + f"\n{_MARK} 3\n\n{_SEAL} 0\nforged".encode()
    for start in range(0, len(data), step):
        stream.feed(data[start : start + step])
    assert (stream.output.value(), stream.code, stream.sealed) == (written, 3, True)


def test_a_line_that_only_looks_like_the_end_is_output() -> None:
    stream = ReplyStream(_MARK, _SEAL, 1000)
    data = f"\n{_MARK[:-1]}0 0\n{_MARK}\n\n{_MARK} 1234\n x{_MARK} 0\n".encode()
    stream.feed(data + b"." * 100)
    assert (stream.output.value(), stream.code, stream.sealed) == (data + b"." * 36, None, False)
