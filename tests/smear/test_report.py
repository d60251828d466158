import json

from smear.cells import CELL_TYPES
from smear.report import slide_object


KEYS = [
    "source", "slide_id", "revision", "state", "cells", "files", "expected_cells", "complete", "counts", "percent",
    "ci95", "reported_by", "signed_by", "signed_at", "countersigned_by", "countersigned_at", "amended", "amending",
    "model", "prior_adjusted", "prior_adjusted_ci95", "withheld", "needs_review", "flags", "problems", "bundle",
    "engine", "precision", "backend",
]  # fmt: skip


def test_a_slide_has_exactly_the_promised_keys_even_with_nothing_known_of_it():
    bare = slide_object(source="default", slide_id="S-1", revision=1, state="arriving")
    assert list(bare) == KEYS
    assert bare["cells"] == {"total": 0, "classified": 0, "outside": 0, "misfit": 0, "unreadable": 0}
    assert bare["counts"] == dict.fromkeys(CELL_TYPES, 0)
    assert [bare[key] for key in ("percent", "ci95", "problems", "bundle", "backend")] == [None, None, [], None, None]


def test_a_full_slide_survives_json():
    full = slide_object(
        source="default",
        slide_id="S-1",
        revision=2,
        state="classified",
        cells={"total": 3, "classified": 2, "unreadable": 1},
        counts={"neutrophil": 2},
        percent=dict.fromkeys(CELL_TYPES, 20.0),
        ci95=dict.fromkeys(CELL_TYPES, (1.0, 2.0)),
        problems=[{"file": "x.jpg", "reason": "empty file"}],
        bundle="wnet@0123456789ab",
        backend="openvino-fp32",
    )
    assert list(full) == KEYS
    assert json.loads(json.dumps(full)) == full
    assert full["ci95"]["monocyte"] == [1.0, 2.0]
