"""Whether an engine answers as the float32 reference does, and how fast."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smear.bundle import Limits
from smear.cells import CELL_TYPES
from smear.decision import softmax
from worker.engines.face import Engine, Floats, Images


Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """An engine beside the reference over N labelled pictures.

    `largest_difference` is of any probability; `type_agreement` the share of pictures given the same type; the class
    averages are means over the types that occur.
    """

    engine: str
    images: int
    largest_difference: float
    type_agreement: float
    class_average: float
    reference_class_average: float
    images_per_second: float

    def failures(self, limits: Limits) -> list[str]:
        """What this engine may not serve for, in plain words; empty where it keeps to the bundle's limits."""
        found = []
        if self.type_agreement < limits.type_agreement:
            found.append(
                f"{self.engine} gives {self.type_agreement:.4f} of the pictures the reference's type,"
                f" at least {limits.type_agreement} are demanded"
            )
        loss = self.reference_class_average - self.class_average
        if loss > limits.class_average_loss:
            found.append(
                f"{self.engine} loses {loss:.4f} of the class average, at most {limits.class_average_loss} are allowed"
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """The keys that `engine-build verify --json` prints."""
        return {
            "engine": self.engine,
            "images": self.images,
            "largest_difference": round(self.largest_difference, 9),
            "type_agreement": round(self.type_agreement, 6),
            "class_average": round(self.class_average, 6),
            "reference_class_average": round(self.reference_class_average, 6),
            "images_per_second": round(self.images_per_second, 1),
        }


def compare(engine: Engine, reference_logits: Floats, images: Images, labels: Labels, temperature: float) -> Agreement:
    """Run the engine over (N, 128, 128, 3) pictures and compare its probabilities with those of the reference.

    ValueError for no pictures. An answer that is no number counts as the largest difference there is.
    """
    if len(images) == 0:
        raise ValueError("no pictures to compare on")
    engine.infer(images[:1])  # the first call pays for what the engine sets up
    began = time.perf_counter()
    logits, _ = engine.infer(images)
    seconds = time.perf_counter() - began
    reference, ours = softmax(reference_logits, temperature), softmax(logits, temperature)
    difference = np.abs(reference - ours)
    same = (reference.argmax(axis=1) == ours.argmax(axis=1)) & np.isfinite(ours).all(axis=1)
    return Agreement(
        engine=engine.name,
        images=len(images),
        largest_difference=float(np.where(np.isfinite(difference), difference, 1).max()),
        type_agreement=float(same.mean()),
        class_average=class_average(ours, labels),
        reference_class_average=class_average(reference, labels),
        images_per_second=len(images) / seconds,
    )


def class_average(probabilities: Floats, labels: Labels) -> float:
    """Mean recall over the types that occur among (N,) labels; rows that are no numbers are wrong."""
    right = (probabilities.argmax(axis=1) == labels) & np.isfinite(probabilities).all(axis=1)
    return float(np.mean([right[labels == i].mean() for i in range(len(CELL_TYPES)) if (labels == i).any()]))
