from collections import Counter
from pathlib import Path

from smear.cells import CELL_TYPES
from smear.labelled import LabelledCell
from trainer.replay import replayed


def _cells(name: str, counts: dict[str, int]) -> list[LabelledCell]:
    return [
        LabelledCell(Path(f"{name}/{t}/{i}.png"), t, f"{name}-{t}-{i}")
        for t in CELL_TYPES
        for i in range(counts.get(t, 0))
    ]


def test_every_type_comes_to_twice_the_commonest_new_one():
    new = _cells("day", {"neutrophil": 30, "lymphocyte": 10})
    base = _cells("base", dict.fromkeys(CELL_TYPES, 100))
    mixed = Counter(cell.cell_type for cell in new + replayed(new, base))
    assert mixed == dict.fromkeys(CELL_TYPES, 60)


def test_a_small_base_gives_what_it_has_and_nothing_twice():
    new = _cells("day", {"neutrophil": 30})
    base = _cells("base", {"neutrophil": 100, "basophil": 7}) + new[:5]
    chosen = replayed(new, base)
    assert Counter(cell.cell_type for cell in chosen) == {"neutrophil": 30, "basophil": 7}
    assert not {cell.sha256 for cell in chosen} & {cell.sha256 for cell in new}


def test_the_same_cells_are_replayed_whatever_order_they_come_in():
    new = _cells("day", {"monocyte": 3})
    base = _cells("base", dict.fromkeys(CELL_TYPES, 50))
    assert {c.sha256 for c in replayed(new, base)} == {c.sha256 for c in replayed(new, base[::-1])}
