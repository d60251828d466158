"""Every layout under watch, from folder to differential."""

import hashlib
import json
import shutil

import pytest
from PIL import Image
from sqlmodel import select
from structlog.testing import capture_logs

from smear.layouts import dated
from smear.layouts.manifest import DIFFERS, MISSING, UNLISTED
from smear.tables import DifferentialRow, PictureRow
from worker.install import prepare


def read(service, what):
    with service.store.read() as session:
        return session.exec(select(what).order_by(what.id)).all()


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_dated_folders_of_one_name_on_two_days_are_two_slides(drop, make_slide, make_service):
    for day, first in (("20261123", 0), ("20261124", 3), ("20261125", 6)):
        (drop / day).mkdir()
        make_slide(drop / day, "S-1", 3, first=first)
    service = make_service(layout="dated")
    service.run(75)
    names = {("S-1", 1), ("S-1@20261124", 1), ("S-1@20261125", 1)}
    assert {name.split("@")[0] for name, _ in service.states()} == {"S-1"}
    assert len(service.states()) == 3
    assert set(service.states().values()) == {"classified"}
    assert len(names & service.states().keys()) >= 2  # which of them came first, nobody knows
    service.start()
    service.run(130)
    make_slide(drop / "20261124", "S-1", 1, first=9)
    service.start()
    service.run(75)
    assert sorted(n for _, n in service.states()) == [1, 1, 1, 2]


def test_a_folder_that_is_called_as_another_days_slide_would_be_is_a_slide_of_its_own(
    drop, make_slide, make_service, worker, json_lines
):
    for day, name, first in (("20261123", "S-1", 0), ("20261123", "S-1@20261124", 3), ("20261124", "S-1", 6)):
        (drop / day).mkdir(exist_ok=True)
        make_slide(drop / day, name, 3, first=first)
    service = make_service(layout="dated")
    service.run(200)
    assert set(service.states().values()) == {"classified"}
    assert [number for _, number in service.states()] == [1, 1, 1]
    prepare(service.settings)
    told = worker("rescan", "--json", WNET_LAYOUT="dated")
    assert json_lines(told.stdout) == [{"source": "default", "counts": {"same": 3}}]
    tried = json_lines(worker("watch", "--dry-run", "--json", WNET_LAYOUT="dated").stdout)
    assert len({one["slide_id"] for one in tried}) == 3


def test_a_day_that_may_not_be_entered_hides_no_other(drop, make_slide, make_service, monkeypatch):
    for day in ("20261122", "20261123"):
        (drop / day).mkdir()
        make_slide(drop / day, f"S-{day}", 3)
    really = dated.open_inside

    def refused(folder, name):
        if name == "20261122":
            raise PermissionError(13, "Permission denied", name)
        return really(folder, name)

    monkeypatch.setattr(dated, "open_inside", refused)
    with capture_logs() as logs:
        service = make_service(layout="dated")
        service.run(150)
    assert service.states() == {("S-20261123", 1): "classified"}
    told = [one for one in logs if one["event"] == "a day's slides cannot be seen"]
    assert [(one["folder"], one["reason"]) for one in told] == [(str(drop / "20261122"), "Permission denied")]
    monkeypatch.undo()
    service.run(100)
    assert len(service.states()) == 2


def test_flat_slides_are_told_by_the_names_of_their_files(drop, make_slide, make_service, tmp_path):
    for name in ("S-1", "S-2"):
        for n, picture in enumerate(sorted(make_slide(tmp_path, name, 3, first=3 * int(name[-1])).iterdir())):
            shutil.copyfile(picture, drop / f"{name}_{n}.jpg")
    (drop / "S-2.json").write_text(json.dumps({"order_id": "O-2", "expected_cells": 3}))
    service = make_service(layout="flat")
    service.run(75)
    assert service.states() == {("S-1", 1): "classified", ("S-2", 1): "classified"}
    assert service.totals() == [3, 3]
    shutil.copyfile(drop / "S-1_0.jpg", drop / "S-2_9.jpg")
    service.wake("S-2")
    service.run(15)
    assert service.states()["S-2", 2] == "classified"
    assert ("S-1", 2) not in service.states()


def test_a_manifest_completes_its_slide_and_names_what_is_wrong(drop, make_slide, make_service):
    folder = make_slide(drop, "S-1", 4)
    files = {path.name: sha(path) for path in sorted(folder.iterdir())}
    files["cell_001.jpg"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps({"count": 4, "files": files}))
    service = make_service(layout="manifest")
    service.run(3)  # not the ten seconds of quiet that a slide without a manifest is waited for
    assert service.states() == {("S-1", 1): "classified"}
    (differential,) = read(service, DifferentialRow)
    assert differential.problems == [{"file": "cell_001.jpg", "reason": DIFFERS}]
    assert (differential.classified + differential.outside, differential.unreadable) == (3, 1)
    service.start()
    service.run(200)
    assert len(service.states()) == 1


def test_a_file_that_a_manifest_lists_is_waited_for_and_named_if_it_never_comes(drop, make_slide, make_service):
    folder = make_slide(drop, "S-1", 3)
    files = {path.name: sha(path) for path in sorted(folder.iterdir())}
    late = (folder / "cell_002.jpg").read_bytes()
    (folder / "cell_002.jpg").unlink()
    (folder / "manifest.csv").write_text("file,sha256\n" + "".join(f"{n},{h}\n" for n, h in files.items()))
    service = make_service(layout="manifest")
    service.run(9)
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(3)
    assert service.states() == {("S-1", 1): "classified"}
    assert read(service, DifferentialRow)[0].problems == [{"file": "cell_002.jpg", "reason": MISSING}]
    (folder / "cell_002.jpg").write_bytes(late)
    service.wake("S-1")
    service.run(5)
    assert service.states() == {("S-1", 1): "classified", ("S-1", 2): "classified"}
    assert read(service, DifferentialRow)[1].problems == []


def test_a_manifest_that_comes_late_has_its_say(drop, make_slide, make_service, dump):
    folder = make_slide(drop, "S-1", 3)
    service = make_service(layout="manifest")
    service.run(15)
    files = {path.name: sha(path) for path in sorted(folder.iterdir())} | {"cell_000.jpg": "f" * 64}
    del files["cell_002.jpg"]
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    service.wake("S-1")
    service.run(15)
    assert service.states() == {("S-1", 1): "classified", ("S-1", 2): "classified"}
    said = {p["file"]: p["reason"] for p in read(service, DifferentialRow)[1].problems}
    assert said == {"cell_000.jpg": DIFFERS, "cell_002.jpg": UNLISTED}
    before = dump(service.store)
    service.wake("S-1")
    service.run(200)
    (folder / "cell_001.jpg").unlink()  # purged: no change
    service.wake("S-1")
    service.run(200)
    assert dump(service.store) == before


@pytest.mark.parametrize("name", ["slide.xml", "slide.csv"])
def test_a_sidecar_of_any_kind_ends_the_wait_and_is_kept(drop, make_slide, make_service, name):
    folder = make_slide(drop, "S-1", 3)
    told = {"slide.xml": "<slide><order_id>O-1</order_id><expected_cells>3</expected_cells></slide>",
            "slide.csv": "order_id,expected_cells\nO-1,3\n"}[name]  # fmt: skip
    (folder / name).write_text(told)
    service = make_service()
    service.run(3)
    assert service.states() == {("S-1", 1): "classified"}


def test_tiff_pictures_are_classified_and_a_half_written_one_is_waited_for(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 2)
    with Image.open(folder / "cell_000.jpg") as picture:
        picture.save(folder / "scan.tif", compression="tiff_lzw")
    (folder / "cell_000.jpg").unlink()
    whole = (folder / "scan.tif").read_bytes()
    (folder / "scan.tif").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    (folder / ".complete").touch()
    service.wake("S-1")
    service.run(5)
    assert service.states() == {("S-1", 1): "arriving"}
    (folder / "scan.tif").write_bytes(whole)
    service.wake("S-1")
    service.run(4)
    assert service.states() == {("S-1", 1): "classified"}
    assert [p.problem for p in read(service, PictureRow)] == [None, None]
