"""`worker rerun`: old slides under another bundle beside what was reported; nothing is stored."""

import json
import os
import shutil

import numpy as np
import pytest
from sqlmodel import select

from smear import bundle as bundles
from smear.cells import CELL_TYPES
from smear.listing import slide_name
from smear.picture_store import PictureStore
from smear.review_tables import LabelRow, SignatureRow, UserRow
from smear.shipped import shipped_bundle
from smear.tables import CellRow, RevisionRow, SlideRow, key, utc_now
from worker.engines.face import empty_answer
from worker.install import prepare
from worker.models import ServingEngine, register
from worker.reading import SlideReader
from worker.rerun import Rerun
from worker.work import Work


class AllMonocytes:
    """An engine of one opinion."""

    name = "fake-fp32"

    def infer(self, images):
        logits, features = empty_answer(len(images))
        logits[:], features[:] = np.eye(5, dtype=np.float32)[CELL_TYPES.index("monocyte")] * 9, 0
        return logits, features


class Always:
    """Serves one bundle."""

    def __init__(self, bundle, engine):
        self.get = lambda: (bundle, engine)


@pytest.fixture
def classified(settings, sqlite_store, make_slide, queue_slide, fake_engine):
    """A slide of 60 pictures, classified, its pictures kept; the revision's row."""
    prepare(settings)
    make_slide(settings.sources[0].root, "S-1", 60)
    kept = PictureStore(settings.pictures_folder)
    serving = ServingEngine(sqlite_store, settings.models_folder, lambda _: fake_engine)
    revision = queue_slide(sqlite_store, "S-1")
    Work(settings, sqlite_store, serving, SlideReader(1, keep=kept.put)).do(revision)
    return revision


@pytest.fixture
def other(classified, settings):
    """A second bundle beside the one that classified: the same network, another temperature."""
    first = bundles.load(settings.models_folder / shipped_bundle().name)
    calibration = first.manifest.calibration.model_copy(update={"temperature": 1.5})
    return bundles.write(
        settings.models_folder, "other", first.network.read_bytes(), "# For tests\n", parent=first.bundle_id,
        geometry=first.manifest.geometry, data=first.manifest.data, command="none", scores={}, calibration=calibration,
        training_mix=first.manifest.training_mix,
    )  # fmt: skip


@pytest.fixture
def again(settings, sqlite_store, other):
    """again(): the slides under another bundle, which calls every cell a monocyte."""
    return lambda *names: list(Rerun(sqlite_store, settings, other, AllMonocytes()).slides(names, pytest.fail))


def test_a_slide_is_shown_beside_what_the_model_reported_and_nothing_is_stored(classified, again, sqlite_store, dump):
    before = dump(sqlite_store)
    (told,) = again("S-1")
    assert dump(sqlite_store) == before
    reported, rerun = told["reported"], told["rerun"]
    assert (told["slide_id"], told["state"], reported["by"], told["pictures_gone"]) == ("S-1", "classified", "model", 0)
    assert sum(reported["counts"].values()) == 60
    assert len([n for n in reported["counts"].values() if n]) > 1
    assert rerun["counts"] == {t: 60 if t == "monocyte" else 0 for t in CELL_TYPES}
    assert rerun["percent"]["monocyte"] == 100
    assert told["called_otherwise"] == 60 - reported["counts"]["monocyte"]


def test_what_people_signed_is_what_was_reported(classified, again, sqlite_store):
    with sqlite_store.write() as session:
        user = UserRow(name="maria", full_name="Maria", role="technologist", password_hash="-", must_change=False,  # noqa: S106 - opens nothing
                       active=True, created_at=utc_now())  # fmt: skip
        session.add(user)
        session.flush()
        for cell in session.exec(select(CellRow)).all():
            session.add(LabelRow(cell=key(cell.id), label="monocyte", user=key(user.id), at=utc_now(),
                                 revision=classified, version=1))  # fmt: skip
        counts = dict.fromkeys(CELL_TYPES, 0) | {"monocyte": 60}
        session.add(SignatureRow(revision=classified, user=key(user.id), role="technologist", meaning="reviewed",
                                 at=utc_now(), result={"bundle": "b@1", "counts": counts, "percent": None,
                                                       "ci95": None}))  # fmt: skip
        session.get_one(RevisionRow, classified).state = "signed"
    (told,) = again("S-1")
    assert told["reported"] == {"by": "people", "bundle": "b@1", "counts": counts, "percent": None, "ci95": None}
    assert told["called_otherwise"] == 0


def test_pictures_come_by_content_from_where_they_are_kept_else_from_the_source_else_are_told_gone(
    classified, again, settings, worker, other
):
    source = settings.sources[0].root / "S-1"
    one = min(source.iterdir())
    # The same name with other bytes is not what was reported on.
    one.write_bytes(sorted(source.iterdir())[1].read_bytes())
    assert again("S-1")[0]["pictures_gone"] == 0
    shutil.rmtree(settings.pictures_folder)
    (told,) = again("S-1")
    assert (told["pictures_gone"], told["rerun"]["cells"]["total"]) == (1, 59)
    shutil.rmtree(source)
    (told,) = again("S-1")
    assert (told["pictures_gone"], told["rerun"]) == (60, None)
    done = worker("rerun", "--bundle", other.folder, "S-1")
    assert (done.returncode, "60 pictures are gone" in done.stdout) == (1, True)


def test_the_command_shows_it_for_one_slide_or_all_and_names_what_is_not_there(classified, worker, other):
    done = worker("rerun", "--bundle", other.folder, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sum(told["rerun"]["counts"].values()) + told["rerun"]["cells"]["outside"] == 60
    assert (told["rerun"]["bundle"], told["reported"]["bundle"].split("@")[0]) == (other.bundle_id, "wnet-pbc")
    table = worker("rerun", "S-1", "S-9", "--bundle", other.folder)
    assert (table.returncode, "otherwise" in table.stdout) == (1, True)
    assert "no finished slide 'S-9'" in table.stderr
    assert worker("rerun", "--bundle", "nonsense").returncode == 2


@pytest.mark.parametrize("names", [[], ["S-1"]])
@pytest.mark.parametrize("bundle", ["wnet-pbc", shipped_bundle()])
def test_a_bundle_is_not_compared_with_itself(classified, worker, bundle, names):
    done = worker("rerun", "--bundle", bundle, *names)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "itself reported these slides; name another bundle" in done.stderr


def test_slides_that_the_bundle_itself_reported_are_left_out_with_a_word(
    classified, worker, other, settings, sqlite_store, make_slide, queue_slide, fake_engine
):
    make_slide(settings.sources[0].root, "S-2", 4)
    register(sqlite_store, other)
    Work(settings, sqlite_store, Always(other, fake_engine), SlideReader(1)).do(queue_slide(sqlite_store, "S-2"))
    done = worker("rerun", "--bundle", other.folder, "--json")
    assert (done.returncode, json.loads(done.stdout)["slide_id"]) == (0, "S-1")
    assert f"left out: 1 slide that {other.bundle_id} itself reported" in done.stderr
    assert worker("rerun", "--bundle", other.folder, "--json", "S-1", "S-2").returncode == 1


def test_a_name_is_found_as_a_shell_hands_it_over(classified, worker, other, sqlite_store):
    name = os.fsdecode(b"S-\xe4")
    with sqlite_store.write() as session:
        session.get_one(SlideRow, 1).slide_id = slide_name(name)
    done = worker("rerun", "--bundle", other.folder, "--json", name)
    assert (done.returncode, json.loads(done.stdout)["slide_id"]) == (0, r"S-\xe4"), done.stderr
