"""Whatever a drop folder holds beside pictures: it does no harm, and nothing outside the folder is read."""

import hashlib
import os
import socket
import stat

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.tables import CellRow, DifferentialRow, PictureRow, RevisionRow, SlideRow
from worker.watch.observe import Observing
from worker.watch.source import SourceWatch


@pytest.fixture
def secret(tmp_path, sample_pictures):
    """A folder outside, with a picture in it that would decode."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.jpg").write_bytes(sample_pictures[50].read_bytes())
    return folder


def test_links_pipes_sockets_devices_and_folders_among_the_pictures_are_named_and_left_alone(
    sqlite_store, settings, drop, make_slide, make_work, fake_engine, secret, monkeypatch
):
    folder = make_slide(drop, "S-1", 3)
    (folder / "link.jpg").symlink_to(secret / "secret.jpg")
    (folder / "up.jpg").symlink_to("../../outside/secret.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(folder)  # the path of a socket is short
        listening.bind("socket.jpg")
    (folder / "folder.jpg").mkdir()
    hostile = {"link.jpg", "up.jpg", "dangling.jpg", "loop.jpg", "pipe.jpg", "socket.jpg"}
    if os.getuid() == 0:
        os.mknod(folder / "zero.jpg", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        hostile.add("zero.jpg")
    (drop / "S-2").symlink_to(secret)
    (drop / "S-3").symlink_to(folder)
    (source,) = settings.sources
    watch = SourceWatch(sqlite_store, source, settings, Observing(drop, layout("slides"), "none"))
    for now in range(40):
        watch.step(float(now))
    with sqlite_store.read() as session:
        assert session.exec(select(SlideRow.slide_id)).all() == ["S-1"]
    make_work(sqlite_store, fake_engine).do(1)
    with sqlite_store.read() as session:
        assert session.get(RevisionRow, 1).state == "classified"
        assert session.exec(select(DifferentialRow)).one().classified == 3
        problems = {p.path: p.problem for p in session.exec(select(PictureRow)) if p.problem}
        contents = set(session.exec(select(CellRow.sha256)))
    assert problems.keys() == hostile
    assert {problems[name] for name in ("link.jpg", "up.jpg", "dangling.jpg", "loop.jpg")} == {
        "a link, not a file: links are not followed"
    }
    assert hashlib.sha256((secret / "secret.jpg").read_bytes()).hexdigest() not in contents


@pytest.mark.parametrize("folder", ["..", "../outside", "S-1/../../outside", "/etc"])
def test_a_row_that_points_out_of_its_source_is_not_followed(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, secret, folder
):
    make_slide(drop, "S-1", 1)
    revision = queue_slide(sqlite_store)
    with sqlite_store.write() as session:
        session.get_one(SlideRow, 1).folder = folder
    make_work(sqlite_store, fake_engine).do(revision)
    with sqlite_store.read() as session:
        assert session.get(RevisionRow, revision).state == "arriving"
        assert session.exec(select(CellRow)).all() == []
    assert fake_engine.batches == []
