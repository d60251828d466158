"""The pictures that compiled forms are made with and judged on, and what the network's tensors reach on them."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import openvino as ov

from engine_build.precision import LAYERS
from smear import shipped
from smear.bundle import Bundle
from smear.geometry import PROFILES, prepare, profile
from smear.labelled import BadDataFolder, LabelledCell, Pixels, load_pixels, read_folder
from worker.engines.face import Images


#: NNCF's own default; beyond it the ranges hardly move.
_CALIBRATION: Final = 300
_BATCH: Final = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """Calibration pictures (N, 128, 128, 3), labelled ones to verify on - none in both - and what each is called."""

    calibration: Images
    calibration_name: str
    verification: Pixels
    verification_name: str


def pictures(bundle: Bundle, data: Path | None, geometry: str | None, limit: int = 0) -> Pictures:
    """The shipped samples and hold-out; of a folder of one's own every fourth cell calibrates, the rest judges.

    `limit` verification pictures at the most, spread over all; 0 takes all. Raises BadDataFolder.
    """
    if data is None:
        chosen = _spread(_sample_files(), _CALIBRATION)
        calibration = np.stack([prepare(f.read_bytes(), PROFILES["di60"]) for f in chosen])
        return Pictures(calibration, "samples", verification(bundle, None, geometry, limit), "holdout")
    cells = read_folder(data, min_per_type=0)
    how = profile(geometry or bundle.manifest.geometry)
    calibrating = load_pixels(_spread(_calibrating(cells), _CALIBRATION), how)
    judged = _judging(cells)
    if not calibrating.cells:
        raise BadDataFolder(f"{data} holds too few pictures to calibrate on")
    name = name_of(data)
    return Pictures(calibrating.images, name, _loaded(data, _by_type(judged, limit), how.name), name)


def verification(
    bundle: Bundle, data: Path | None, geometry: str | None, limit: int = 0, calibrated_on: Container[str | None] = ()
) -> Pixels:
    """The shipped hold-out, or a labelled folder less what may have calibrated a form: nothing is judged on that.

    `calibrated_on`: the names of the data that the forms were calibrated on. `limit` pictures at the most. Raises
    BadDataFolder.
    """
    folder = data or shipped.folder("holdout")
    # The shipped hold-out is cut already; a folder of one's own is as the bundle's analyser writes it.
    how = geometry or (bundle.manifest.geometry if data else "whole")
    cells = read_folder(folder, min_per_type=0)
    if data:
        cells = _judging(cells) if name_of(data) in calibrated_on else cells
        samples = {hashlib.sha256(file.read_bytes()).hexdigest() for file in _sample_files()}
        cells = [cell for cell in cells if cell.sha256 not in samples]
    return _loaded(folder, _by_type(cells, limit), how)


def name_of(data: Path) -> str:
    """What a data folder is called in a form's sidecar."""
    return data.resolve().name


def ranges(bundle: Bundle, images: Images) -> dict[str, float]:
    """The largest magnitude, on (N, 128, 128, 3) pictures, of every tensor that a quantised layer reads."""
    core = ov.Core()
    model = core.read_model(bundle.network)
    names = list(LAYERS.values())
    model.add_outputs(names)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"})
    found = dict.fromkeys(names, 0.0)
    for at in range(0, len(images), _BATCH):
        answer = compiled({"images": images[at : at + _BATCH]})
        for name in names:
            found[name] = max(found[name], float(np.abs(answer[name]).max()))
    return found


def _sample_files() -> list[Path]:
    return sorted(shipped.folder("samples").glob("*/*.jpg"))


def _calibrating(cells: list[LabelledCell]) -> list[LabelledCell]:
    """Every fourth cell by content, whatever the files are called."""
    return sorted(cells, key=lambda cell: cell.sha256)[::4]


def _judging(cells: list[LabelledCell]) -> list[LabelledCell]:
    calibrating = {cell.sha256 for cell in _calibrating(cells)}
    return [cell for cell in cells if cell.sha256 not in calibrating]


def _spread(items: list[T], most: int) -> list[T]:
    if most and len(items) > most:
        return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]
    return items


def _by_type(cells: list[LabelledCell], limit: int) -> list[LabelledCell]:
    # By type, so that an even stride keeps the types' shares.
    return _spread(sorted(cells, key=lambda cell: (cell.cell_type, cell.sha256)), limit)


def _loaded(folder: Path, cells: list[LabelledCell], geometry: str) -> Pixels:
    pixels = load_pixels(cells, profile(geometry))
    if not pixels.cells:
        reason = pixels.refused[0][1] if pixels.refused else "there is none"
        raise BadDataFolder(f"{folder} holds no picture that can be used: {reason}")
    return pixels
