"""What these tests work on: the shipped pictures, a tiny data folder made of them, larger sets where they are."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smear import bundle, shipped
from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.labelled import Pixels
from trainer import produce


@pytest.fixture(scope="session")
def holdout() -> Pixels:
    return produce.shipped_holdout()


@pytest.fixture(scope="session")
def shipped_bundle() -> Bundle:
    return bundle.load(shipped.folder("models") / "wnet-pbc")


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Path]:
    """make_data(per_type=4, leave_out=(), name="data"): the first hold-out pictures of each type, a data folder."""

    def make(per_type: int = 4, leave_out: tuple[str, ...] = (), name: str = "data") -> Path:
        for cell_type in CELL_TYPES:
            if cell_type not in leave_out:
                folder = tmp_path / name / cell_type
                folder.mkdir(parents=True)
                for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:per_type]:
                    shutil.copy(picture, folder)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of larger sets; WNET_TEST_DATA says where, else it lies beside the checkout."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("WNET_TEST_DATA") or beside)
    if not (folder / "pbc").is_dir():
        pytest.skip("needs the data set pbc: set WNET_TEST_DATA to the folder that holds it")
    return folder
