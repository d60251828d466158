"""The pictures that compiled forms are made with and judged on, and what the network's tensors reach on them."""

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
        files = sorted(shipped.folder("samples").glob("*/*.jpg"))
        calibration = np.stack([prepare(f.read_bytes(), PROFILES["di60"]) for f in _spread(files, _CALIBRATION)])
        return Pictures(calibration, "samples", verification(bundle, None, geometry, limit), "holdout")
    cells = sorted(read_folder(data, min_per_type=0), key=lambda cell: cell.sha256)
    how = profile(geometry or bundle.manifest.geometry)
    calibrating = load_pixels(_spread(cells[::4], _CALIBRATION), how)
    judged = [cell for i, cell in enumerate(cells) if i % 4]
    if not calibrating.cells:
        raise BadDataFolder(f"{data} holds too few pictures to calibrate on")
    return Pictures(calibrating.images, data.name, _loaded(data, _by_type(judged, limit), how.name), data.name)


def verification(bundle: Bundle, data: Path | None, geometry: str | None, limit: int = 0) -> Pixels:
    """The shipped hold-out, or all of a labelled folder; `limit` pictures at the most. Raises BadDataFolder."""
    folder = data or shipped.folder("holdout")
    # The shipped hold-out is cut already; a folder of one's own is as the bundle's analyser writes it.
    how = geometry or (bundle.manifest.geometry if data else "whole")
    return _loaded(folder, _by_type(read_folder(folder, min_per_type=0), limit), how)


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
