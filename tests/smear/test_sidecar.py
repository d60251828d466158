import json

import pytest

from smear.sidecar import Sidecar, parse


def test_the_known_fields_are_read_and_others_left_alone():
    told = parse(b'{"order_id": "O-1", "wbc_10e9_L": 6.1, "expected_cells": 120, "stain": "MGG", "x": [1]}')
    assert told == Sidecar(order_id="O-1", wbc_10e9_L=6.1, expected_cells=120, stain="MGG")
    assert parse(b"{}") == Sidecar()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"expected_cells": 12',
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe{}",
        b"[" * 50_000,
        b'{"expected_cells": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_sidecar_is_none(data):
    assert parse(data) is None


@pytest.mark.parametrize(
    "field",
    [
        {"expected_cells": -1},
        {"expected_cells": 1_000_001},
        {"expected_cells": 1.5},
        {"expected_cells": "many"},
        {"wbc_10e9_L": -0.1},
        {"wbc_10e9_L": float("inf")},
        {"wbc_10e9_L": float("nan")},
        {"order_id": ["O-1"]},
        {"order_id": "x" * 201},
    ],
    ids=str,
)
def test_a_senseless_value_is_left_out_and_the_others_hold(field):
    assert parse(json.dumps(field).encode()) == Sidecar()
    assert parse(json.dumps({"stain": "MGG", **field}).encode()) == Sidecar(stain="MGG")
