"""Pictures that could not be kept are counted, named, and filled in while the source still has them."""

import shutil
from pathlib import Path

import pytest
from sqlmodel import select

from smear.audit import Actor, append
from smear.picture_store import PictureStore
from smear.tables import CellRow, RevisionRow, SlideRow
from worker.gaps import attention, gaps


@pytest.fixture
def full(monkeypatch):
    """Say `full.is_full = True`, and the folder of kept pictures has no room left."""

    class FakeDisk:
        is_full = False

    real = PictureStore.put

    def put(self, digest, data):
        if FakeDisk.is_full:
            raise OSError(28, "No space left on device")
        real(self, digest, data)

    monkeypatch.setattr(PictureStore, "put", put)
    return FakeDisk


def kept(service):
    folder = PictureStore(service.settings.pictures_folder)
    with service.store.read() as session:
        return sorted(folder.has(digest) for digest in session.exec(select(CellRow.sha256)))


def not_kept(service):
    with service.store.read() as session:
        return session.exec(select(RevisionRow.not_kept)).all()


def needs_attention(service):
    with service.store.read() as session:
        return attention(gaps(session) | {"slides": {"classified": 1}}, service.settings)


def test_a_full_disk_is_named_in_status_and_the_pictures_are_filled_in_once_there_is_room(
    drop, make_slide, either_service, full
):
    full.is_full = True
    make_slide(drop, "S-1", 3)
    either_service.run(75)
    assert either_service.states() == {("S-1", 1): "classified"}
    assert not_kept(either_service) == [3]
    (said,) = needs_attention(either_service)
    assert said.startswith("3 pictures of 1 slide could not be kept")
    full.is_full = False
    either_service.run(75)
    assert (not_kept(either_service), kept(either_service)) == ([0], [True] * 3)
    assert needs_attention(either_service) == []


def test_a_folder_that_goes_away_is_named_and_not_made_again_in_its_place(drop, make_slide, either_service):
    folder = either_service.settings.pictures_folder
    shutil.rmtree(folder)
    make_slide(drop, "S-1", 3)
    either_service.run(75)
    assert not folder.exists()
    assert not_kept(either_service) == [3]
    assert any(f"{folder} is not there" in said for said in needs_attention(either_service))
    folder.mkdir()
    either_service.run(75)
    assert (not_kept(either_service), kept(either_service)) == ([0], [True] * 3)


def test_pictures_lost_later_are_noticed_and_filled_in(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.run(75)
    assert kept(service) == [True] * 3
    for folder in service.settings.pictures_folder.iterdir():
        shutil.rmtree(folder)
    service.run(75)
    assert kept(service) == [True] * 3


def test_what_the_source_has_no_longer_stays_counted(drop, make_slide, service, full):
    full.is_full = True
    folder = make_slide(drop, "S-1", 3)
    service.run(75)
    full.is_full = False
    (folder / "cell_000.jpg").unlink()
    (folder / "cell_001.jpg").write_bytes(b"another picture")
    service.run(3)
    service.watch._kept._due = 0.0
    service.watch._kept.step(service.clock.now)
    assert not_kept(service)[0] == 2
    shutil.rmtree(folder)
    service.run(75)
    assert not_kept(service)[0] == 2


def test_pictures_that_a_person_had_deleted_do_not_come_back(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.run(75)
    with service.store.write() as session:
        slide = session.exec(select(SlideRow.id)).one()
        append(session, Actor(None, "console", "program"), "purge pictures", slide=slide, reason="asked for")
    for folder in service.settings.pictures_folder.iterdir():
        shutil.rmtree(folder)
    service.run(130)
    assert (kept(service), not_kept(service)) == ([False] * 3, [0])


def test_where_none_are_to_be_kept_none_are_missed(drop, make_slide, make_service):
    service = make_service(keep_pictures_days=0)
    make_slide(drop, "S-1", 3)
    service.run(150)
    assert (kept(service), not_kept(service)) == ([False] * 3, [0])
    assert needs_attention(service) == []


@pytest.mark.parametrize("how", ["classes", "flat", "dated"])
def test_every_layout_fills_in(drop, sample_pictures, make_service, full, how):
    path = {"classes": "S-1/NEU/a.jpg", "flat": "S-1_a.jpg", "dated": "20261123/S-1/a.jpg"}[how]
    (drop / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sample_pictures[0], drop / path)
    service = make_service(layout=how)
    full.is_full = True
    service.run(75)
    assert not_kept(service) == [1]
    full.is_full = False
    service.run(75)
    assert kept(service) == [True]


def test_status_and_doctor_name_pictures_that_are_not_kept(worker, drop, make_slide, service, full, json_lines):
    full.is_full = True
    make_slide(drop, "S-1", 3)
    service.run(75)
    status = worker("status", "--json")
    (told,) = json_lines(status.stdout)
    assert status.returncode == 1
    assert told["pictures_not_kept"] == {"slides": 1, "pictures": 3}
    assert any("3 pictures of 1 slide could not be kept" in said for said in told["needs_attention"])
    doctor = worker("doctor", "--json")
    assert doctor.returncode == 1
    (finding,) = [one for one in json_lines(doctor.stdout) if one["name"] == "kept pictures"]
    assert (finding["verdict"], finding["found"].split(" could")[0]) == ("bad", "3 pictures of 1 slide")


def test_the_doctor_names_a_folder_that_is_gone_or_full(
    worker, settings, sqlite_store, json_lines, monkeypatch, tmp_path
):
    def found(**variables):
        told = json_lines(worker("doctor", "--json", **variables).stdout)
        (finding,) = [one for one in told if one["name"] == "kept pictures"]
        return finding["verdict"], finding["found"]

    assert found()[0] == "good"
    gone = tmp_path / "not mounted"
    assert found(WNET_PICTURES=gone) == ("bad", f"the folder of kept pictures {gone} is not there")
    gone.mkdir()
    monkeypatch.setattr("worker.keeping.tempfile.NamedTemporaryFile", lambda **_: Path("/dev/full").open("wb"))  # noqa: SIM115
    assert found(WNET_PICTURES=gone)[0] == "bad"
    assert "No space left" in found(WNET_PICTURES=gone)[1]
