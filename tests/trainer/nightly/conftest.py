import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg


sys.path.append(str(Path(__file__).parent))  # behind: other folders have a conftest of their own

from lab import signed_slide

from engine_build import nightly as build
from engine_build.calibration import pictures
from smear import shipped
from smear.cells import CELL_TYPES
from smear.geometry import PROFILES
from smear.labelled import Pixels
from smear.picture_store import PictureStore
from smear.settings import Settings
from smear.store import Store
from trainer import produce
from trainer.nightly import base, judge
from worker.install import prepare


def elsewhere(data: bytes) -> bytes:
    """The picture as another camera and stain would give it: darker, redder, flatter; 360 wide still."""
    image = simplejpeg.decode_jpeg(data, "RGB").astype(np.float32) / 255
    image = 0.1 + 0.7 * image ** np.array([1.6, 2.8, 0.6], np.float32)
    return simplejpeg.encode_jpeg(np.clip(255 * image, 0, 255).astype(np.uint8), 92, "RGB", "444", fastdct=False)


@pytest.fixture(scope="session")
def lab_pictures(samples: Path) -> list[tuple[bytes, str]]:
    """The sample slides' cells under a strong fixed shift of colour, with their true types."""
    truth = json.loads((samples / "truth.json").read_text())
    return [
        (elsewhere((samples / slide / name).read_bytes()), label)
        for slide, told in sorted(truth.items())
        for name, label in sorted(told["files"].items())
    ]


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Prepared: schema, bundle, one that serves. A small base set, so that an epoch takes seconds."""
    folder = tmp_path / "base"
    for cell_type in CELL_TYPES:
        (folder / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("core") / cell_type).iterdir())[:8]:
            shutil.copy(picture, folder / cell_type)
    made = make_settings(base_data=folder, nightly_min_labels=20)
    prepare(made)
    return made


@pytest.fixture
def lab_store(settings: Settings) -> Store:
    return Store(settings.database)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less to be judged on: every tenth of the hold-out; the base is cut already."""
    whole = produce.shipped_holdout()
    rows = np.arange(0, len(whole.labels), 10)
    part = Pixels(whole.images[rows], whole.labels[rows], [whole.cells[i] for i in rows], [])
    monkeypatch.setattr(produce, "shipped_holdout", lambda: part)
    strange = judge.outside_set()
    monkeypatch.setattr(judge, "outside_set", lambda: replace(strange, images=strange.images[::5]))
    monkeypatch.setattr(build, "pictures", lambda bundle, *_: pictures(bundle, None, None, limit=60))
    monkeypatch.setattr(base, "profile", lambda _: PROFILES["whole"])


@pytest.fixture
def laboratory(lab_store: Store, settings: Settings, lab_pictures: list[tuple[bytes, str]]) -> Callable[..., None]:
    """laboratory(first, last, wrong): signs slides of 21 labelled cells; `wrong` makes a label of (number, label)."""

    def sign(
        first: int = 0, last: int = 14, wrong: Callable[[int, str], str] = lambda _, label: label, name: str = "S"
    ) -> None:
        pictures = PictureStore(settings.pictures_folder)
        for slide in range(first, last):
            # Every 14th picture: each slide has its share of what is rare.
            cells = [(data, wrong(i, label)) for i, (data, label) in enumerate(lab_pictures[slide::14])]
            signed_slide(lab_store, pictures, f"{name}-{slide:03}", cells)

    return sign
