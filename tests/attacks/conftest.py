"""One repository for all attacks and fixes."""

from pathlib import Path

import pytest

from tests.attacks.project import Specimen
from tests.attacks.specimen import FILES


@pytest.fixture(scope="session")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    folder: Path = tmp_path_factory.mktemp("attacks")
    return Specimen.make(folder / "tally", FILES)
