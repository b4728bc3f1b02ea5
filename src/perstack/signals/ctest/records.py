"""What the watched processes of a run wrote down: sealed lines, and from them who ended how. Pure.

A line that is not genuine spoils all of them: nobody but the verifier's library writes to that file.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

_MASK = (1 << 64) - 1
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


@dataclass(frozen=True, slots=True)
class Spot:
    """An address in a program or library: `offset` in hexadecimal, as debug information counts it."""

    offset: str
    file: str


@dataclass(slots=True)
class Program:
    """One program of one process, from its start. `value` is what main returned or the ending call was given.

    `returned`: main did. `left` is where an ending call was made. `twice`: somebody started the program's start again.
    """

    pid: int
    parent: int
    words: tuple[str, ...]
    main: Spot | None = None
    returned: bool = False
    left: Spot | None = None
    value: int = 0
    twice: bool = False
    file: str = field(default="")


class Forged(Exception):
    """A line that the verifier's library did not write."""


def read_records(text: str, key: bytes) -> tuple[Program, ...]:
    """Programs in the order they were started.

    Raises: Forged.
    """
    found: dict[tuple[str, str], Program] = {}
    for line in text.splitlines():
        seal, _, body = line.partition(" ")
        if not hmac.compare_digest(seal, f"{siphash(key, body.encode('utf-8', 'surrogateescape')):016x}"):
            raise Forged("a record of how a test's process ended was forged or cut")
        pid, mark, kind, value, rest = [*body.split(" ", 4), ""][:5]
        if kind == "start":
            parent, _, words = rest.partition(" ")
            found[pid, mark] = Program(int(pid), int(parent), tuple(_words(words)))
        elif (program := found.get((pid, mark))) is not None:
            _take(program, kind, int(value), rest)
    return tuple(found.values())


def _take(program: Program, kind: str, value: int, rest: str) -> None:
    offset, _, file = rest.partition(" ")
    if kind == "main":
        program.main, program.file = Spot(offset, file), file
    elif kind == "twice":
        program.twice = True
    elif kind == "returned":
        program.returned, program.value = True, value
    elif kind == "exit" and not program.returned:
        program.left, program.value = Spot(offset, file), value


def _words(text: str) -> Iterator[str]:
    data = bytes.fromhex(text)
    yield from (word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")[:-1])


def siphash(key: bytes, data: bytes) -> int:
    """SipHash-2-4 of `data` under a key of 16 bytes."""
    k = (int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little"))
    v = [word ^ k[index % 2] for index, word in enumerate(_START)]
    whole = len(data) // 8 * 8
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    for word in words:
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        _mix(v, 0, 1, 13, swaps=True)
        _mix(v, 2, 3, 16)
        _mix(v, 0, 3, 21)
        _mix(v, 2, 1, 17, swaps=True)


def _mix(v: list[int], a: int, b: int, by: int, *, swaps: bool = False) -> None:
    v[a] = (v[a] + v[b]) & _MASK
    v[b] = _rotated(v[b], by) ^ v[a]
    if swaps:
        v[a] = _rotated(v[a], 32)


def _rotated(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & _MASK
