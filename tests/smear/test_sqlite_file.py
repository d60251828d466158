"""A database's file that is replaced or removed under a running program is noticed, and damage is told."""

import shutil

import pytest
from sqlmodel import select

from smear.sqlite_file import damage
from smear.store import Store, StoreUnavailable
from smear.tables import BundleRow, utc_now


def add(store, name):
    with store.write() as session:
        session.add(BundleRow(bundle_id=name, folder=name, registered_at=utc_now()))


def names(store):
    with store.read() as session:
        return list(session.exec(select(BundleRow.bundle_id).order_by(BundleRow.id)))


@pytest.fixture
def other(tmp_path, migrated_sqlite):
    """A file with another database, in which only `other` is."""
    file = tmp_path / "other.sqlite"
    shutil.copyfile(migrated_sqlite, file)
    store = Store(f"sqlite:///{file}")
    add(store, "other")
    store.close()
    return file


def test_a_file_that_was_replaced_is_opened_again_and_its_log_is_not_applied_to_the_new_one(
    sqlite_store, other, capsys
):
    add(sqlite_store, "first")  # stands in the write-ahead log
    assert names(sqlite_store) == ["first"]
    other.replace(sqlite_store.file)
    assert names(sqlite_store) == ["other"]
    assert "the database's file was replaced" in capsys.readouterr().out
    add(sqlite_store, "second")
    fresh = Store(str(sqlite_store.engine.url))
    assert names(fresh) == names(sqlite_store) == ["other", "second"]
    fresh.close()
    sqlite_store.close()
    assert damage(sqlite_store.file) is None


def test_two_programs_notice_one_after_the_other_and_go_on_with_the_same_file(sqlite_store, other):
    second = Store(str(sqlite_store.engine.url))
    add(sqlite_store, "first")
    assert names(second) == ["first"]
    other.replace(sqlite_store.file)
    add(sqlite_store, "second")
    add(second, "third")
    assert names(sqlite_store) == names(second) == ["other", "second", "third"]
    second.close()
    assert names(sqlite_store) == ["other", "second", "third"]


def test_a_transaction_that_was_under_way_ends_on_the_file_it_began_on(sqlite_store, other):
    with sqlite_store.read() as session:
        assert session.exec(select(BundleRow)).all() == []
        other.replace(sqlite_store.file)
        assert session.exec(select(BundleRow)).all() == []
    assert names(sqlite_store) == ["other"]


def test_a_file_that_is_gone_is_said_and_no_empty_one_is_made(sqlite_store, other):
    assert names(sqlite_store) == []
    sqlite_store.file.rename(other.with_name("away"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is gone: put it back, or restore a backup"):
            names(sqlite_store)
    sqlite_store.engine.dispose()
    with pytest.raises(StoreUnavailable, match="is gone"):
        names(sqlite_store)
    assert not sqlite_store.file.exists()
    other.with_name("away").rename(sqlite_store.file)
    assert names(sqlite_store) == []


def test_damage_is_told_in_words(sqlite_store, tmp_path):
    add(sqlite_store, "first")
    sqlite_store.close()
    assert damage(sqlite_store.file) is None
    data = bytearray(sqlite_store.file.read_bytes())
    data[4096 * 3 : 4096 * 6] = bytes(4096 * 3)
    spoilt = tmp_path / "spoilt.sqlite"
    spoilt.write_bytes(data)
    assert damage(spoilt)
    (tmp_path / "none").write_bytes(b"rubbish" * 1000)
    assert damage(tmp_path / "none") == "file is not a database"
    assert "unable to open" in damage(tmp_path / "absent")


def test_a_program_that_keeps_row_numbers_in_memory_is_told_before_it_writes_to_another_database(sqlite_store, other):
    told = []
    sqlite_store.when_replaced(lambda: told.append("replaced"))
    add(sqlite_store, "first")
    other.replace(sqlite_store.file)
    with pytest.raises(StoreUnavailable, match="another database lies in the place"):
        add(sqlite_store, "second")
    assert told == ["replaced"]
    assert names(sqlite_store) == ["other"]
