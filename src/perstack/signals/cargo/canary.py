"""Canaries for Rust: a test module with a name nobody can know, at the end of a crate's root in the run's own copy.

Each canary that must fail does so through another macro or trait, so that a crate that replaces `assert_eq!` or
`panic!` for its own tests is noticed.
"""

from __future__ import annotations

from random import Random

from perstack.signals.suites.canary_names import word
from perstack.signals.suites.programs import Canaries

_REDS = (
    'fn {name}() {{ panic!("{secret}"); }}',
    'fn {name}() {{ let got = {number} + 1; assert_eq!(got, {number}, "{secret}"); }}',
    'fn {name}() {{ let got = {number}; assert_ne!(got, {number}, "{secret}"); }}',
    'fn {name}() {{ let got = {number}; assert!(got < 1, "{secret}"); }}',
    'fn {name}() {{ let got: Result<(), &str> = Err("{secret}"); got.unwrap(); }}',
    'fn {name}() -> Result<(), &\'static str> {{ Err("{secret}") }}',
    'fn {name}() {{ let got: Option<u8> = None; got.expect("{secret}"); }}',
    'fn {name}() {{ if vec![{number}] != [1] && matches!(Some(1), Some(_)) {{ unreachable!("{secret}"); }} }}',
)


def make_canaries(random: Random) -> Canaries:
    """New canaries for one crate."""
    # libtest runs tests by name: this module comes last
    token = f"zzzq{word(random, 16)}"
    reds = tuple(f"{token}::{word(random, 8)}{index}" for index in range(len(_REDS)))
    return Canaries(token, word(random, 24), f"{token}::z{word(random, 8)}", reds)


def canary_module(canaries: Canaries, random: Random) -> str:
    """The module's text."""
    number = random.randrange(10, 10_000)
    functions = [
        f"    #[test]\n    {body.format(name=name.rpartition(':')[2], secret=canaries.secret, number=number)}\n"
        for name, body in zip(canaries.red, _REDS, strict=True)
    ]
    random.shuffle(functions)
    green = canaries.green.rpartition(":")[2]
    functions.append(f'    #[test]\n    fn {green}() {{ std::println!("{canaries.secret}"); }}\n')
    head = f"\n#[cfg(test)]\n#[allow(warnings)]\nmod {canaries.token} {{\n    extern crate std;\n    use std::vec;\n"
    return head + "".join(functions) + "}\n"
