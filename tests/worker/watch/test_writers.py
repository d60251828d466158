"""Writers of every bad habit: what is stored in the end is what they wrote in the end, and nothing half-written."""

import os

import pytest
from sqlmodel import select

from smear.files import sha256
from smear.tables import CellRow, PictureRow, RevisionRow


@pytest.fixture
def pictures(sample_pictures):
    return [path.read_bytes() for path in sample_pictures[:6]]


def stored(service):
    """{file name: SHA-256} of the latest revision; fails where a revision holds anything unreadable."""
    with service.store.read() as session:
        latest = session.exec(select(RevisionRow).order_by(RevisionRow.number.desc())).first()
        assert latest.state == "classified"
        rows = session.exec(select(PictureRow, CellRow).where(PictureRow.cell == CellRow.id)).all()
        assert all(picture.problem is None for picture, _ in rows)
        return {picture.path: cell.sha256 for picture, cell in rows if picture.revision == latest.id}


def revisions(service):
    return max((number for _, number in service.states()), default=0)


@pytest.fixture
def folder(drop):
    made = drop / "S-1"
    made.mkdir()
    return made


def test_temporary_names_that_are_renamed_when_whole(folder, service, pictures):
    for n, data in enumerate(pictures):
        half = folder / f"c{n}.jpg.part"
        half.write_bytes(data[:3000])
        service.wake("S-1")
        service.run(4)
        half.write_bytes(data)
        half.rename(folder / f"c{n}.jpg")
        service.wake("S-1")
        service.run(3)
    service.run(15)
    assert stored(service) == {f"c{n}.jpg": sha256(data) for n, data in enumerate(pictures)}
    assert revisions(service) == 1


def test_chunks_with_pauses_shorter_than_the_quiet(folder, service, pictures):
    for n, data in enumerate(pictures[:2]):
        for start in range(0, len(data), 8192):
            with (folder / f"c{n}.jpg").open("ab") as file:
                file.write(data[start : start + 8192])
            service.wake("S-1")
            service.run(6)
    service.run(15)
    assert stored(service) == {f"c{n}.jpg": sha256(data) for n, data in enumerate(pictures[:2])}
    assert revisions(service) == 1


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_files_allocated_ahead_and_filled_in_any_order_wait_although_the_marker_is_there(
    folder, service, pictures, order
):
    for n, data in enumerate(pictures[:2]):
        (folder / f"c{n}.jpg").write_bytes(bytes(len(data)))
    (folder / ".complete").touch()
    service.wake("S-1")
    service.run(5)
    starts = list(range(0, len(pictures[0]), 4096))
    for start in starts if order == "forwards" else reversed(starts):
        for n, data in enumerate(pictures[:2]):
            with (folder / f"c{n}.jpg").open("r+b") as file:
                file.seek(start)
                file.write(data[start : start + 4096])
        service.wake("S-1")
        service.run(3)  # longer than a file needs to settle
    with (folder / "c1.jpg").open("r+b") as file:  # the second is the longer one
        file.write(pictures[1])
    service.run(5)
    assert stored(service) == {f"c{n}.jpg": sha256(data) for n, data in enumerate(pictures[:2])}
    assert revisions(service) == 1


def test_two_writers_of_one_slide_end_with_what_the_last_one_wrote(folder, service, pictures):
    for turn in range(3):
        for n in range(2):
            (folder / f"c{n}.jpg").write_bytes(pictures[(n + turn) % 6])
        service.wake("S-1")
        service.run(1)
        (folder / "c0.jpg").write_bytes(pictures[5 - turn])
        service.wake("S-1")
        service.run(20)
    assert stored(service) == {"c0.jpg": sha256(pictures[3]), "c1.jpg": sha256(pictures[3])}


def test_a_file_replaced_under_its_name_with_its_old_size_and_time(folder, service, pictures):
    # Padding behind the end marker makes the two equally long.
    longest = max(map(len, pictures[:2]))
    old, new = (data.ljust(longest, b"\0") for data in pictures[:2])
    path = folder / "c0.jpg"
    path.write_bytes(old)
    service.wake("S-1")
    service.run(15)
    before = path.stat()
    path.write_bytes(new)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    service.start()  # no event: the round after a start finds it by its ctime
    service.run(15)
    assert revisions(service) == 2
    assert stored(service) == {"c0.jpg": sha256(new)}


def test_late_files_one_after_the_other_each_open_a_revision(folder, service, pictures):
    for n, data in enumerate(pictures[:3]):
        (folder / f"c{n}.jpg").write_bytes(data)
        service.wake("S-1")
        service.run(15)
    assert revisions(service) == 3
    assert len(stored(service)) == 3
