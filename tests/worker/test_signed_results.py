"""What was signed is the result: by `worker results`, for the revision and bundle that it was signed under."""

from datetime import UTC, datetime, timedelta

import pytest

from smear.differential import differential
from smear.intervals import ADULT
from smear.report import CELL_COUNTS
from smear.review_tables import SignatureRow, UserRow
from smear.slide_facts import SlideFacts
from smear.tables import BundleRow, DifferentialRow, RevisionRow, ServingRow, key, utc_now
from worker import arrivals
from worker.results import results
from worker.show import remarks
from worker.sidecars import take_up


NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MODEL = {"neutrophil": 70, "eosinophil": 3, "basophil": 1, "lymphocyte": 35, "monocyte": 7}
SIGNED = {"neutrophil": 60, "eosinophil": 3, "basophil": 1, "lymphocyte": 35, "monocyte": 17}


def numbers(counts):
    """Per cents and limits as rows and signatures keep them."""
    found = differential(counts, min_cells=50, low_count_cells=100)
    return {
        "percent": found.percent,
        "ci95": None if found.ci95 is None else {t: list(limits) for t, limits in found.ci95.items()},
    }


def signature_result(counts=SIGNED, bundle="b@1", **changed):
    """As review/signing.py writes it."""
    return {
        "counts": counts, **numbers(counts), "outside": 0, "kinds": {}, "remark": None, "flags": [{"flag": "mine"}],
        "proposal": {"counts": MODEL, "outside": 0}, "bundle": bundle, "backend": "openvino-bf16",
    } | changed  # fmt: skip


@pytest.fixture
def people(store):
    """Maria and Jonas; their row numbers."""
    with store.write() as session:
        rows = [
            UserRow(name=name, full_name=full, role="technologist", password_hash="-", must_change=False,  # noqa: S106 - opens nothing
                    active=True, created_at=utc_now())
            for name, full in (("maria", "Maria Lind"), ("jonas", "Jonas Weber"))
        ]  # fmt: skip
        session.add_all(rows)
        session.flush()
        return [key(row.id) for row in rows]


@pytest.fixture
def slide(store, queue_slide):
    """A slide classified under bundle b@1, which serves; b@2 is there too. The revision's row."""
    revision = queue_slide(store, "S-1")
    with store.write() as session:
        for number in (1, 2):
            session.add(BundleRow(id=number, bundle_id=f"b@{number}", folder="b", registered_at=utc_now()))
        session.flush()
        session.add(ServingRow(bundle=1, since=utc_now()))
        session.add(row(revision, 1))
        session.get_one(RevisionRow, revision).state = "classified"
    return revision


def row(revision, bundle, counts=MODEL, **changed):
    counted = dict.fromkeys(CELL_COUNTS, 0) | {"total": 120, "classified": sum(counts.values())}
    found = numbers(counts)
    given = {"backend": "openvino-fp32", "problems": [], "created_at": utc_now(), "needs_review": 4, "flags": [],
             "corrected": found["percent"], "corrected_ci95": found["ci95"]}  # fmt: skip
    return DifferentialRow(revision=revision, bundle=bundle, **(counted | counts | found | given | changed))


def sign(store, revision, user, meaning="signed", at=NOON, result=None, state="signed"):
    with store.write() as session:
        session.add(SignatureRow(revision=revision, user=user, role="technologist", meaning=meaning, at=at,
                                 result=result if result is not None else signature_result()))  # fmt: skip
        session.get_one(RevisionRow, revision).state = state


def objects(store, **options):
    return [result.to_object() for result in results(store, **options)]


def test_of_a_signed_slide_what_was_signed_is_the_result(store, slide, people):
    (before,) = objects(store)
    assert (before["reported_by"], before["counts"], before["needs_review"]) == ("model", MODEL, 4)
    sign(store, slide, people[0])
    (told,) = objects(store)
    assert (told["state"], told["reported_by"], told["signed_by"]) == ("signed", "signature", "Maria Lind")
    assert datetime.fromisoformat(told["signed_at"]) == NOON
    assert (told["counts"], told["percent"], told["ci95"]) == (SIGNED, *numbers(SIGNED).values())
    assert told["model"] == {"counts": MODEL, **numbers(MODEL)}
    assert told["prior_adjusted"] == numbers(MODEL)["percent"]
    assert (told["amended"], told["amending"], told["countersigned_by"]) == (False, False, None)
    assert (told["flags"], told["needs_review"], told["withheld"]) == ([{"flag": "mine"}], 0, None)


def test_the_bundle_and_engine_are_those_of_the_signature(store, slide, people):
    sign(store, slide, people[0])
    (told,) = objects(store)
    assert (told["bundle"], told["engine"], told["precision"], told["backend"]) == (
        "b@1", "openvino", "bf16", "openvino-bf16",
    )  # fmt: skip


def test_a_countersignature_is_named_until_an_amendment_takes_its_place(store, slide, people):
    maria, jonas = people
    sign(store, slide, maria)
    sign(store, slide, jonas, meaning="second", at=NOON + timedelta(hours=1))
    (told,) = objects(store)
    assert (told["signed_by"], told["countersigned_by"]) == ("Maria Lind", "Jonas Weber")
    assert datetime.fromisoformat(told["countersigned_at"]) == NOON + timedelta(hours=1)
    later = SIGNED | {"neutrophil": 59, "monocyte": 18}
    sign(store, slide, jonas, meaning="amended", at=NOON + timedelta(hours=2), result=signature_result(later))
    (told,) = objects(store)
    assert (told["counts"], told["amended"], told["signed_by"]) == (later, True, "Jonas Weber")
    assert (told["countersigned_by"], told["countersigned_at"]) == (None, None)


def test_while_a_slide_is_open_for_amendment_the_last_signature_stays_its_result(store, slide, people):
    sign(store, slide, people[0], state="reviewed")
    (told,) = objects(store)
    assert (told["state"], told["reported_by"], told["amending"], told["counts"]) == (
        "reviewed", "signature", True, SIGNED,
    )  # fmt: skip
    assert told["needs_review"] == 4  # it is open again


def test_a_slide_signed_under_a_bundle_that_no_longer_serves_keeps_what_was_signed(store, slide, people):
    sign(store, slide, people[0])
    with store.write() as session:
        session.get_one(ServingRow, 1).bundle = 2
        session.add(row(slide, 2, MODEL | {"neutrophil": 77, "monocyte": 0}))
    (told,) = objects(store)
    assert (told["reported_by"], told["bundle"], told["counts"]) == ("signature", "b@1", SIGNED)
    assert told["model"]["counts"] == MODEL
    under = {told["bundle"]: told for told in objects(store, everything=True)}
    assert under["b@1"] == told
    assert (under["b@2"]["reported_by"], under["b@2"]["signed_by"], under["b@2"]["needs_review"]) == ("model", None, 4)
    assert under["b@2"]["counts"]["neutrophil"] == 77


def test_a_new_revision_of_a_signed_slide_is_the_models_until_it_is_signed_too(store, slide, people):
    sign(store, slide, people[0])
    second = arrivals.open_revision(store, arrivals.known_slides(store, 1)["S-1"]).revision
    with store.write() as session:
        session.add(row(second, 1))
    (told,) = objects(store)
    assert (told["revision"], told["reported_by"], told["counts"]) == (2, "model", MODEL)
    assert [o["reported_by"] for o in objects(store, everything=True)] == ["signature", "model"]


FEW = {"neutrophil": 20, "eosinophil": 0, "basophil": 0, "lymphocyte": 15, "monocyte": 5}


def test_data_that_changed_after_a_signature_change_no_result_and_are_named(store, slide, people):
    with store.write() as session:
        session.get_one(RevisionRow, slide).sidecar = {"expected_cells": 150, "order_id": "O-1"}
    sign(store, slide, people[0], result=signature_result(expected_cells=150, files=120))
    (before,) = objects(store)
    take_up(store, slide, SlideFacts({"expected_cells": 120, "order_id": "O-2"}, [], "stat"), ADULT)
    (told,) = objects(store)
    assert (told["expected_cells"], told["complete"]) == (150, False)
    assert [problem["file"] for problem in told["problems"]] == [""]
    assert "changed after signing: expected cells 150 → 120, order O-1 → O-2" in told["problems"][0]["reason"]
    assert before["problems"] == []
    assert told | {"problems": []} == before
    assert "order O-1 → O-2" in remarks(told, 100)


def per_cents(told):
    return [told[name] for name in ("percent", "ci95", "prior_adjusted", "prior_adjusted_ci95")] + [
        told["model"][name] for name in ("percent", "ci95")
    ]


def test_what_a_person_withheld_is_withheld_in_every_number_of_the_model_too(store, slide, people):
    sign(store, slide, people[0], result=signature_result(FEW))
    (told,) = objects(store)
    assert (told["withheld"], told["counts"], told["model"]["counts"]) == ("few cells", FEW, MODEL)
    assert per_cents(told) == [None] * 6
    assert told["flags"] == []


def test_what_the_model_withheld_stays_withheld_in_its_own_numbers_when_a_person_signs_more(store, slide, people):
    with store.write() as session:
        first = session.get_one(DifferentialRow, 1)
        # An earlier version stored adjusted per cents where it withheld the rest.
        first.sqlmodel_update(FEW | {"percent": None})
    (told,) = objects(store)
    assert (told["withheld"], per_cents(told)) == ("few cells", [None] * 6)
    sign(store, slide, people[0])
    (told,) = objects(store)
    assert (told["withheld"], told["percent"], told["model"]["percent"], told["prior_adjusted"]) == (
        None, numbers(SIGNED)["percent"], None, None,
    )  # fmt: skip


@pytest.mark.parametrize("result", [{"counts": SIGNED}, {"counts": SIGNED, "percent": numbers(SIGNED)["percent"]}])
def test_a_signature_that_lacks_later_keys_is_shown_as_far_as_it_goes(store, slide, people, result):
    sign(store, slide, people[0], result=result)
    (told,) = objects(store)
    assert (told["counts"], told["percent"], told["ci95"], told["flags"]) == (
        SIGNED, result.get("percent"), None, None,
    )  # fmt: skip
    assert (told["bundle"], told["backend"]) == ("b@1", "openvino-fp32")


def test_a_signature_that_does_not_say_what_was_signed_makes_no_result(store, slide, people):
    sign(store, slide, people[0], result={})
    (told,) = objects(store)
    assert (told["reported_by"], told["counts"]) == ("model", MODEL)


def test_of_a_bundle_whose_row_is_gone_only_what_the_signature_kept_is_told(store, slide, people):
    sign(store, slide, people[0], result=signature_result(bundle="gone@1"))
    (told,) = objects(store)
    assert (told["bundle"], told["counts"]) == ("gone@1", SIGNED)
    assert told["model"] == {"counts": MODEL, "percent": None, "ci95": None}


# --- filters -------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(store, slide, people, queue_slide):
    """S-1 signed at noon, countersigned at one; S-2 classified at ten; S-3 arrived at eleven and waits."""
    sign(store, slide, people[0])
    sign(store, slide, people[1], meaning="second", at=NOON + timedelta(hours=1))
    second, third = queue_slide(store, "S-2"), queue_slide(store, "S-3")
    with store.write() as session:
        session.add(row(second, 1))
        session.get_one(RevisionRow, second).sqlmodel_update(
            {"state": "classified", "arrived_at": NOON - timedelta(days=9), "finished_at": NOON - timedelta(hours=2)}
        )
        session.get_one(RevisionRow, third).arrived_at = NOON - timedelta(hours=1)


def names(store, **options):
    return [told["slide_id"] for told in objects(store, **options)]


def test_results_are_bounded_by_when_they_last_changed(store, three):
    hour = timedelta(hours=1)
    assert names(store, since=NOON - 2 * hour) == ["S-1", "S-2", "S-3"]
    assert names(store, since=NOON - hour) == ["S-1", "S-3"]
    assert names(store, since=NOON + hour) == ["S-1"]  # its countersignature
    assert names(store, since=NOON + 2 * hour) == []
    assert names(store, until=NOON - hour) == ["S-2"]
    assert names(store, since=NOON - 2 * hour, until=NOON) == ["S-2", "S-3"]


def test_results_of_some_states_of_one_source_and_the_last_that_arrived(store, three):
    assert names(store, states=["signed", "queued"]) == ["S-1", "S-3"]
    assert names(store, source="default") == ["S-1", "S-2", "S-3"]
    assert names(store, source="other") == []
    assert names(store, limit=2) == ["S-2", "S-3"]
    assert names(store, limit=1, states=["signed", "classified"]) == ["S-2"]
    assert names(store, limit=9, everything=True) == ["S-1", "S-2", "S-3"]


def test_an_archive_of_signed_slides_is_read_in_batches(store, slide, people, monkeypatch, queue_slide):
    monkeypatch.setattr("worker.results._BATCH", 3)
    for n in range(2, 9):
        revision = queue_slide(store, f"S-{n}")
        with store.write() as session:
            session.add(row(revision, 1))
        sign(store, revision, people[n % 2])
    assert [told["reported_by"] for told in objects(store)] == ["model"] + ["signature"] * 7
