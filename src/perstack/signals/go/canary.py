"""Canaries for Go: a test file with a name nobody can know, compiled into a package's test binary.

Each canary that must fail does so by another means, so that a package that hides `len`, `true` or `panic` from its
own tests is noticed, as is one that changes what failing does.
"""

from __future__ import annotations

from random import Random

from perstack.signals.suites.canary_names import word
from perstack.signals.suites.programs import Canaries

PATTERN = "TestQ[a-z]{16}Z"
"""Matches the names of canaries that must pass; a command line can hold it and give nothing away."""
RED_PATTERN = "TestQ[a-z]{16}Y[a-z]"
_REDS = (
    't.Fatal("{secret}")',
    'if len([]int{{{number}, 2}}) != 3 {{\n\t\tt.Error("{secret}")\n\t}}',
    'var got, want float64 = {number}.5, {number}\n\tif got != want {{\n\t\tt.Errorf("%s", "{secret}")\n\t}}',
    'if qreflect.DeepEqual([]int{{{number}}}, []int{{1}}) != true {{\n\t\tt.Fatalf("{secret}")\n\t}}',
    'defer func() {{\n\t\tif recover() != nil {{\n\t\t\tt.Error("{secret}")\n\t\t}}\n\t}}()\n\tpanic("{number}")',
    't.Run("inner", func(t *qtesting.T) {{\n\t\tt.Fail()\n\t}})\n\tt.Log("{secret}")',
)


def make_canaries(random: Random) -> Canaries:
    """New canaries for one package."""
    token = f"TestQ{word(random, 16)}"
    reds = tuple(f"{token}Y{letter}" for letter, _ in zip("abcdefgh", _REDS, strict=False))
    return Canaries(token, word(random, 24), f"{token}Z", reds)


def canary_file(package: str, canaries: Canaries, random: Random) -> tuple[str, str]:
    """(name, text) of the file for a package."""
    number = random.randrange(10, 10_000)
    functions = [
        f"func {name}(t *qtesting.T) {{\n\t{body.format(secret=canaries.secret, number=number)}\n}}\n"
        for name, body in zip(canaries.red, _REDS, strict=True)
    ]
    random.shuffle(functions)
    functions.append(f'func {canaries.green}(t *qtesting.T) {{\n\tt.Log("{canaries.secret}")\n}}\n')
    head = f'package {package}\n\nimport (\n\tqreflect "reflect"\n\tqtesting "testing"\n)\n\n'
    # sorts behind the package's own files, so that its canaries run last
    return f"zz{word(random, 16)}_test.go", head + "\n".join(functions)
