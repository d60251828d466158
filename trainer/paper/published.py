"""The tables of the paper (Jung et al., 2019) as far as this project has their figures; None where it has not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smear.cells import CELL_TYPES
from trainer.report.facts import PAPER_AVERAGE, PAPER_RECALL


@dataclass(frozen=True)
class Published:
    """A line of a table: recall by type and class average in per cent, where known."""

    name: str
    recall: Mapping[str, float | None]
    average: float | None


_UNKNOWN: Final[dict[str, float | None]] = dict.fromkeys(CELL_TYPES)

#: Table 2: the 6,562 pictures of the paper by type.
COUNTS: Final = {"neutrophil": 2006, "eosinophil": 1310, "basophil": 377, "lymphocyte": 1676, "monocyte": 1193}

PUBLISHED: Final[dict[int, tuple[Published, ...]]] = {
    1: (),
    2: (),
    3: (Published("W-Net, 6,562 DI-60 pictures", dict(PAPER_RECALL), PAPER_AVERAGE),),
    4: (
        Published("ResNet50, 50 epochs, the same pictures", _UNKNOWN, 51),
        Published("W-Net, the same pictures", dict(PAPER_RECALL), PAPER_AVERAGE),
    ),
    5: (Published("W-Net from scratch on LISC (254 cells), 4,000 epochs", _UNKNOWN, 91),),
    6: (
        Published("W-Net from scratch on LISC (254 cells)", _UNKNOWN, 91),
        Published("W-Net trained on the 6,562 pictures, then further on LISC", _UNKNOWN, 96),
    ),
}
