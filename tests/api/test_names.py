"""Names of the programmatic API stay what they are, whichever of its modules was loaded first."""

from __future__ import annotations

import pkgutil

from perstack import api


def test_no_name_of_the_api_is_also_one_of_its_modules() -> None:
    modules = {module.name for module in pkgutil.iter_modules(api.__path__)}
    assert not modules & set(api.__all__)
