"""A slide as one row of a spreadsheet: every column, blanks where nothing is known, nothing that would calculate."""

from zoneinfo import ZoneInfo

import pytest

from smear.cells import CELL_TYPES
from smear.report import SignedResult, slide_object
from worker.results_csv import CSV_COLUMNS, csv_row


BERLIN = ZoneInfo("Europe/Berlin")
FIVE = dict.fromkeys(CELL_TYPES, 20.0)
LIMITS = {cell_type: [10.0, 30.0] for cell_type in CELL_TYPES}


def slide(**changed):
    given = {"source": "default", "slide_id": "S-1", "revision": 1, "state": "classified"}
    return slide_object(**(given | changed))


def signed(**changed):
    given = {"counts": {"monocyte": 70}, "percent": FIVE, "ci95": LIMITS, "signed_by": "Maria Lind",
             "signed_at": "2026-11-28T13:05:09.123456+00:00",
             "flags": [{"flag": "monocytosis"}, {"flag": "neutropenia"}]}  # fmt: skip
    return SignedResult(**(given | changed))


def test_a_row_has_every_column_and_blanks_where_nothing_is_known():
    row = csv_row(slide(state="queued"), BERLIN)
    assert sorted(row) == sorted(CSV_COLUMNS)
    assert len(set(CSV_COLUMNS)) == len(CSV_COLUMNS)
    blank = [name for name in CSV_COLUMNS if "percent" in name or "95" in name]
    blank += ["signed_by", "signed_at", "countersigned_by", "countersigned_at"]
    assert {row[name] for name in (*blank, "expected_cells", "complete", "withheld", "bundle")} == {None}
    assert (row["reported_by"], row["amended"], row["flags"], row["problems"]) == ("model", "false", "", 0)


def test_what_was_signed_and_what_the_model_said_stand_side_by_side():
    row = csv_row(
        slide(state="signed", counts={"neutrophil": 60}, percent=FIVE | {"monocyte": 1.5}, ci95=LIMITS,
              prior_adjusted=FIVE | {"basophil": 0.5}, prior_adjusted_ci95=LIMITS, expected_cells=70, complete=True,
              cells={"total": 71, "classified": 60}, backend="openvino-fp32", signed=signed()),
        BERLIN,
    )  # fmt: skip
    assert (row["monocyte"], row["neutrophil"], row["model_neutrophil"], row["model_monocyte"]) == (70, 0, 60, 0)
    assert (row["monocyte_percent"], row["model_monocyte_percent"]) == (20.0, 1.5)
    assert (row["basophil_low95"], row["model_basophil_high95"]) == (10.0, 30.0)
    assert (row["prior_adjusted_basophil_percent"], row["prior_adjusted_basophil_low95"]) == (0.5, 10.0)
    assert (row["reported_by"], row["signed_by"], row["signed_at"]) == (
        "signature", "Maria Lind", "2026-11-28T14:05:09+01:00",
    )  # fmt: skip
    assert (row["expected_cells"], row["complete"], row["flags"]) == (70, "true", "monocytosis; neutropenia")
    assert (row["engine"], row["precision"], row["total"]) == ("openvino", "fp32", 71)


def test_where_a_differential_is_withheld_no_column_gives_per_cents():
    row = csv_row(
        slide(state="signed", counts={"neutrophil": 60}, percent=FIVE, ci95=LIMITS, prior_adjusted=FIVE,
              prior_adjusted_ci95=LIMITS, signed=signed(percent=None)),
        BERLIN,
    )  # fmt: skip
    assert row["withheld"] == "few cells"
    assert {row[name] for name in CSV_COLUMNS if "percent" in name or "95" in name} == {None}


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_a_name_of_a_formulas_shape_is_text_to_a_spreadsheet(name):
    row = csv_row(slide(slide_id=name, source=name, signed=signed(signed_by=name, countersigned_by=name)), BERLIN)
    assert {row[column] for column in ("slide_id", "source", "signed_by", "countersigned_by")} == {f"'{name}"}
