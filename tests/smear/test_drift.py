"""Control limits over days: silent on chance, on too few days and after a promotion; loud on another stain."""

from datetime import date, timedelta

import numpy as np
import pytest

from smear.drift import alarms, table
from smear.nightly_tables import DriftRow
from smear.tables import BundleRow, SourceRow, utc_now


TODAY = date(2031, 5, 20)


@pytest.fixture
def record(store):
    def write(days, last=None, last_bundle=1):
        rng = np.random.default_rng(0)
        with store.write() as session:
            session.add(SourceRow(id=1, name="di60", layout="slides", geometry="di60"))
            session.add_all([BundleRow(id=i, bundle_id=f"b@{i}", folder="b", registered_at=utc_now()) for i in (1, 2)])
            session.flush()
            for ago in range(days, -1, -1):
                noise = rng.normal(0, 1, 4)
                given = {
                    "mix": {"neutrophil": 0.6 + 0.01 * noise[0], "lymphocyte": 0.3},
                    "confidence": 0.97 + 0.004 * noise[1],
                    "outside": 0.01 + 0.001 * noise[2], "colour": {"lightness": 150 + noise[3], "a": 140.0, "b": 110.0},
                }  # fmt: skip
                bundle = last_bundle if ago == 0 else 1
                session.add(DriftRow(day=(TODAY - timedelta(days=ago)).isoformat(), source=1, bundle=bundle, cells=900,
                                     **given | (last or {} if ago == 0 else {})))  # fmt: skip
        with store.read() as session:
            found = [alarm.measure for alarm in alarms(session, TODAY)]
            write.table = table(session, TODAY)
        return found

    return write


def test_days_like_the_others_alarm_nobody(record):
    assert record(20) == []


def test_another_stain_another_mix_and_doubt_are_told(record):
    other = {"colour": {"lightness": 128.0, "a": 151.0, "b": 110.0}, "confidence": 0.8,
             "mix": {"neutrophil": 0.3, "lymphocyte": 0.6}}  # fmt: skip
    assert record(20, other) == [
        "confidence", "share of neutrophils", "share of lymphocytes", "stain colour, lightness", "stain colour, a",
    ]  # fmt: skip


def test_the_table_tells_the_limits_that_alarms_go_by(record):
    assert record(20, {"confidence": 0.8}) == ["confidence"]
    (told,) = record.table
    measures = {one["name"]: one for one in told["measures"]}
    low, high = measures["confidence"]["limits"]
    assert measures["confidence"]["value"] == 0.8 < low < 0.97 < high
    low, high = measures["stain colour, lightness"]["limits"]
    assert low <= measures["stain colour, lightness"]["value"] <= high


def test_a_week_must_be_known_first(record):
    assert record(5, {"confidence": 0.5}) == []
    assert {one["limits"] for one in record.table[0]["measures"]} == {None}


def test_another_bundle_is_no_drift_but_another_colour_is(record):
    last = {"confidence": 0.8, "colour": {"lightness": 100.0, "a": 140.0, "b": 110.0}}
    assert record(20, last, last_bundle=2) == ["stain colour, lightness"]
