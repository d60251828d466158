import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.run_folder import UnfinishedRun, open_run, read_curves, read_result


def test_a_run_is_read_back(make_run: Callable[..., Path]):
    run = open_run(make_run(wrong={("basophil", 1): "monocyte"}, groups={("basophil", 1): "slide 7"}))
    assert run.cells.probabilities.shape == (30, 5)
    assert (~run.cells.right).sum() == 1
    assert run.cells.groups[13] == "slide 7"
    assert run.info.settings == {"epochs": 3, "batch": 64, "augmentation.scale": 0.15}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: (run / "cells.parquet").unlink(), "no cross-validation has finished"),
        (lambda run: (run / "cells.parquet").write_bytes(b"PAR1 and nothing more"), "cannot be read"),
        (lambda run: (run / "run.json").unlink(), r"holds no run\.json"),
        (lambda run: (run / "run.json").write_text('{"format": 1, "mod'), "cannot be read"),
        (lambda run: (run / "run.json").write_text('{"format": 1}'), "cannot be used: model"),
        (lambda run: _change_info(run, format=2), "format 2, this version reads 1"),
        (lambda run: _change_cells(run, type=["blast"] * 30), "cell type 'blast'"),
        (lambda run: _change_cells(run, p_monocyte=[float("nan")] * 30), "no numbers"),
        (lambda run: _change_cells(run, p_monocyte=None), "p_monocyte"),
        (lambda run: pq.write_table(pq.read_table(run / "cells.parquet")[:0], run / "cells.parquet"), "holds no cells"),
    ],
)
def test_a_damaged_or_unfinished_run_is_refused_in_plain_words(
    make_run: Callable[..., Path], spoil: Callable[[Path], object], reason: str
):
    run = make_run()
    spoil(run)
    with pytest.raises(UnfinishedRun, match=reason):
        open_run(run)


def test_a_result_without_folds_is_refused(make_run: Callable[..., Path]):
    run = make_run()
    (run / "cv.json").write_text('{"folds": [], "seconds": 1}')
    with pytest.raises(UnfinishedRun, match="folds"):
        read_result(run)


def test_curves_come_by_fold_and_may_be_missing(make_run: Callable[..., Path]):
    run = make_run()
    assert [curve.fold for curve in read_curves(run)] == [0, 1, 2]
    assert read_curves(make_run("without", curves=False)) == []


def test_what_a_later_version_wrote_beside_is_not_minded(make_run: Callable[..., Path]):
    run = make_run()
    _change_info(run, unheard_of=1)
    assert open_run(run).info.model == "wnet"


def _change_info(run: Path, **keys: object) -> None:
    file = run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def _change_cells(run: Path, **columns: list[object] | None) -> None:
    table = pq.read_table(run / "cells.parquet")
    for name, values in columns.items():
        table = table.drop_columns([name])
        if values is not None:
            table = table.append_column(name, pa.array(values))
    pq.write_table(table, run / "cells.parquet")
