"""`worker models`: listed with scorecards, promoted with a reason, followed between slides, rolled back in a step."""

import json

import numpy as np
import pytest
from sqlmodel import select

from smear import bundle as bundles
from smear import promotion
from smear.audit import verify
from smear.nightly_tables import RunRow, ScorecardRow
from smear.paired import Paired
from smear.review_tables import AuditRow
from smear.shipped import folder, shipped_bundle
from smear.tables import DifferentialRow, utc_now
from worker import promoting
from worker.beside import compare
from worker.install import prepare
from worker.models import ServingEngine, register, serving


@pytest.fixture
def other(settings, sqlite_store):
    """Prepared, and a second bundle beside the shipped one: the same network, another temperature."""
    prepare(settings)
    first = bundles.load(settings.models_folder / shipped_bundle().name)
    calibration = first.manifest.calibration.model_copy(update={"temperature": 1.5})
    made = bundles.write(
        settings.models_folder, "nightly-20310501", first.network.read_bytes(), "# For tests\n",
        geometry=first.manifest.geometry, data=first.manifest.data, command="none", scores={}, calibration=calibration,
        training_mix=first.manifest.training_mix, parent=first.bundle_id,
    )  # fmt: skip
    register(sqlite_store, made)
    return made


def test_a_bundle_is_promoted_with_a_reason_and_rolled_back_in_one_step(worker, other, sqlite_store):
    first = serving(sqlite_store)[0]
    no_reason = worker("models", "promote", "nightly-20310501", "--reason", "ok")
    assert (no_reason.returncode, "say why" in no_reason.stderr) == (2, True)
    done = worker("models", "promote", "nightly-20310501", "--reason", "better on our slides", "--json")
    assert json.loads(done.stdout) == {"before": first, "serves": other.bundle_id}
    assert serving(sqlite_store)[0] == other.bundle_id
    twice = worker("models", "promote", other.bundle_id, "--reason", "better on our slides")
    assert (twice.returncode, "serves already" in twice.stderr) == (2, True)
    assert worker("models", "rollback", "--reason", "too few basophils").returncode == 0
    assert serving(sqlite_store)[0] == first
    assert worker("models", "rollback", "--reason", "too few basophils").returncode == 2
    with sqlite_store.read() as session:
        lines = session.exec(select(AuditRow)).all()
    assert [(line.action, line.reason, line.role) for line in lines] == [
        ("promote bundle", "better on our slides", "administrator"),
        ("rollback bundle", "too few basophils", "administrator"),
    ]
    assert verify(sqlite_store).problem is None


def test_an_unknown_name_and_a_damaged_bundle_are_refused(worker, other, sqlite_store):
    unknown = worker("models", "promote", "nonsense", "--reason", "because I say so")
    assert (unknown.returncode, other.bundle_id in unknown.stderr) == (2, True)
    other.network.write_bytes(b"damaged")
    damaged = worker("models", "promote", other.bundle_id, "--reason", "because I say so")
    assert (damaged.returncode, "SHA-256 differs" in damaged.stderr) == (2, True)
    assert serving(sqlite_store)[0] != other.bundle_id


def test_what_serves_compiled_is_followed_only_by_what_is_compiled_too(settings, other, sqlite_store, monkeypatch):
    forms = {serving(sqlite_store)[0]: {"openvino-int8"}, other.bundle_id: set()}
    monkeypatch.setattr(promoting, "_verified", lambda _, bundle: forms[bundle.bundle_id])
    with pytest.raises(promotion.CannotServe, match="no verified openvino-int8 on this host"):
        promoting.promote(sqlite_store, settings, other.bundle_id, "better on our slides")
    forms[other.bundle_id] = {"openvino-int8", "openvino-bf16"}
    promoting.promote(sqlite_store, settings, other.bundle_id, "better on our slides")
    assert serving(sqlite_store)[0] == other.bundle_id


def test_a_night_without_a_challenger_and_one_with_are_told(worker, other, sqlite_store):
    assert json.loads(worker("models", "list", "--json").stdout)["night"] is None
    with sqlite_store.write() as session:
        session.add(RunRow(night="2031-05-01", stage="collect", state="ended", reason="31 new labels, 50 needed",
                           created_at=utc_now()))  # fmt: skip
    listed = worker("models", "list")
    assert "31 new labels, 50 needed" in listed.stdout
    assert "serves" in listed.stdout
    rules = [{"rule": "throughput", "kept": True, "sentence": "fine", "difference": [0.1, 0.05, 0.15],
              "also": {"called outside": [0.2, -0.1, 0.3]}}]  # fmt: skip
    card = {"challenger": other.bundle_id, "champion": "x", "rules": rules}
    with sqlite_store.write() as session:
        session.add(ScorecardRow(night="2031-05-02", bundle=2, challenger=other.bundle_id, champion="x", passed=True,
                                 reason="every rule is kept", card=card, at=utc_now()))  # fmt: skip
    (told,) = [one for one in json.loads(worker("models", "list", "--json").stdout)["bundles"] if one["night"]]
    assert (told["bundle"], told["scorecard"]["rules"][0]["kept"]) == (other.bundle_id, True)
    shown = worker("models", "list").stdout
    assert "throughput" in shown
    assert "+0.050 to +0.150" in " ".join(shown.split())
    assert "called outside" in " ".join(shown.split())
    assert "-0.100 to +0.300" in " ".join(shown.split())


def test_under_load_no_slide_fails_and_each_result_names_the_bundle_that_served(
    settings, other, sqlite_store, make_slide, make_work, queue_slide, fake_engine
):
    first = serving(sqlite_store)[0]
    engine = ServingEngine(sqlite_store, settings.models_folder, lambda _: fake_engine)
    from worker.reading import SlideReader
    from worker.work import Work

    work = Work(settings, sqlite_store, engine, SlideReader(1))
    expected = {}
    for number in range(12):
        make_slide(settings.sources[0].root, f"S-{number}", 3)
        revision = queue_slide(sqlite_store, f"S-{number}")
        if number % 4 == 2:
            promotion.promote(sqlite_store, 2, promoting.actor(), "better on our slides")
        elif number % 4 == 0 and number:
            promotion.rollback(sqlite_store, promoting.actor(), "not better after all")
        expected[revision] = other.bundle_id if number % 4 >= 2 else first
        work.do(revision)
    with sqlite_store.read() as session:
        rows = session.exec(select(DifferentialRow)).all()
    names = {1: first, 2: other.bundle_id}
    assert {row.revision: names[row.bundle] for row in rows} == expected


class Knows:
    """An engine that knows the type of each picture but for those whose places are given."""

    name = "fake"

    def __init__(self, labels, wrong):
        self._labels, self._wrong = labels, wrong

    def infer(self, images):
        logits = np.eye(5, dtype=np.float32)[self._labels[: len(images)]]
        logits[self._wrong] = np.roll(logits[self._wrong], 1, axis=1)
        return logits, np.zeros((len(images), 1024), np.float32)


def test_two_bundles_are_compared_on_the_same_pictures(tmp_path):
    from smear.cells import CELL_TYPES

    for cell_type in CELL_TYPES:
        (tmp_path / "data" / cell_type).mkdir(parents=True)
        for picture in sorted((folder("core") / cell_type).iterdir())[:8]:
            (tmp_path / "data" / cell_type / picture.name).write_bytes(picture.read_bytes())
    labels = np.repeat(np.arange(5), 8)
    bundle = bundles.load(shipped_bundle())
    told = compare((bundle, Knows(labels, [0, 1, 2])), (bundle, Knows(labels, [2])), tmp_path / "data", "whole")
    assert told["images"] == 40
    first = told["types"]["neutrophil"]
    assert (first["first"], first["second"], first["only_first"], first["only_second"]) == (0.625, 0.875, 0, 2)
    low, high = Paired(8, 0, 2).limits()
    assert first["ci95"] == [pytest.approx(-high, abs=1e-6), pytest.approx(-low, abs=1e-6)]
    assert told["class_average"]["difference"] == pytest.approx(0.05)
    assert told["class_average"]["ci95"][0] >= 0


def test_the_list_names_engine_and_precision_beside_each_bundle(
    worker, other, sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine
):
    make_slide(drop, "S-1", 4)
    fake_engine.name = "openvino-int8"
    make_work(sqlite_store, fake_engine).do(queue_slide(sqlite_store))
    told = json.loads(worker("models", "list", "--json", WNET_PRECISION="int8").stdout)
    assert (told["engine"], told["precision"]) == ("auto", "int8")
    by_name = {one["bundle"]: one["engines"] for one in told["bundles"]}
    used = [{"backend": "openvino-int8", "engine": "openvino", "precision": "int8", "results": 1}]
    assert by_name == {serving(sqlite_store)[0]: used, other.bundle_id: []}
    said = worker("models", "list").stdout
    assert "Set here: engine auto, precision fp32 (WNET_ENGINE, WNET_PRECISION)" in said
    assert "openvino int8, 1 result" in said


def test_status_names_engine_and_precision_of_this_service(worker, other):
    told = json.loads(worker("status", "--json", WNET_PRECISION="auto").stdout)
    assert (told["engine"], told["precision"]) == ("auto", "auto")
    assert "auto, precision fp32" in worker("status").stdout
