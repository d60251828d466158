"""`worker rescan`: everything compared at once, by stat or by every byte."""

import os

import pytest

from worker.install import prepare


@pytest.fixture
def rewritten(drop, done):
    """A slide of which one file was rewritten with the size and the times that it had, unseen by anybody."""
    path = drop / "S-1" / "cell_001.jpg"
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    before = path.stat()
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return done


@pytest.fixture
def unseen(rewritten, monkeypatch):
    """As `rewritten`, on a file system that keeps no time of change: ctime tells nothing."""
    from smear.files import Stat

    real = Stat.of.__func__
    monkeypatch.setattr(Stat, "of", classmethod(lambda cls, r: cls(real(cls, r).size, r.st_mtime_ns, 0, r.st_ino)))
    with rewritten.store.write() as session:
        from sqlmodel import text

        session.connection().execute(text("UPDATE pictures SET ctime_ns = 0"))
    return rewritten


def test_an_unchanged_source_is_the_same_by_stat_and_by_hash(worker, done, json_lines, dump):
    before = dump(done.store)
    for arguments in ([], ["--hash"], ["default"]):
        told = worker("rescan", "--json", *arguments)
        assert told.returncode == 0, told.stderr
        assert json_lines(told.stdout) == [{"source": "default", "counts": {"same": 1}}]
    assert dump(done.store) == before
    assert "1 same" in worker("rescan").stdout


def test_a_rewrite_that_kept_size_and_times_is_found_by_hash_alone(worker, unseen, json_lines):
    assert json_lines(worker("rescan", "--json").stdout)[-1]["counts"] == {"same": 1}
    told = json_lines(worker("rescan", "--hash", "--json").stdout)
    assert (told[0]["slide_id"], told[0]["found"]) == ("S-1", "changed")
    assert unseen.states()["S-1", 2] == "arriving"
    unseen.run(15)  # the watcher takes it from here
    assert unseen.states()["S-1", 2] == "classified"


def test_ctime_tells_a_rewrite_without_reading_everything(worker, rewritten, json_lines):
    assert json_lines(worker("rescan", "--json").stdout)[-1]["counts"] == {"changed": 1}


def test_new_slides_and_those_under_way_and_not_blood_are_told_apart(worker, drop, make_slide, done, json_lines):
    make_slide(drop, "S-2", 2)
    make_slide(drop, "BFS-1", 2)
    done.wake("BFS-1")
    done.run(12)
    (drop / "empty").mkdir()
    told = json_lines(worker("rescan", "--json").stdout)
    assert [(one["slide_id"], one["found"]) for one in told[:-1]] == [("S-2", "new")]
    assert told[-1]["counts"] == {"same": 1, "new": 1, "left alone": 2}
    assert json_lines(worker("rescan", "--json").stdout)[-1]["counts"]["under way"] == 1
    done.run(15)
    assert done.states()["S-2", 1] == "classified"


def test_a_source_that_is_away_or_unknown_is_named(worker, drop, settings, sqlite_store):
    prepare(settings)
    assert worker("rescan", "nowhere").returncode == 2
    drop.rmdir()
    away = worker("rescan")
    assert away.returncode == 1
    assert "the drop folder cannot be read: No such file or directory" in away.stdout
