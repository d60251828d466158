"""Sessions, the schema and its migrations, on SQLite files and on a real PostgreSQL."""

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, select

from smear import nightly_tables, review_tables, tables
from smear.store import NO_DATABASE, Store, StoreUnavailable, migrate, schema_problem, wait_for_schema
from smear.tables import BundleRow, SlideRow, SourceRow, utc_now


def bundle_row(number=1, **values):
    given = {"bundle_id": f"b@{number}", "folder": "b", "registered_at": utc_now()}
    return BundleRow(**given | values)


def count(store):
    with store.read() as session:
        return len(session.exec(select(BundleRow)).all())


# --- sessions -----------------------------------------------------------------------------------------------------


def test_a_transaction_is_written_whole(store):
    with store.write() as session:
        session.add_all([bundle_row(1), bundle_row(2)])
    assert count(store) == 2


def test_a_transaction_that_breaks_off_leaves_nothing(store):
    def broken():
        with store.write() as session:
            session.add(bundle_row(1))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert count(store) == 0


def test_what_is_read_is_not_written(store):
    with store.read() as session:
        session.add(bundle_row(1))
        session.flush()
    assert count(store) == 0


def test_what_is_unique_stays_unique_and_the_error_shows_no_values(store):
    with store.write() as session:
        session.add(SourceRow(name="default", layout="slides", geometry="di60"))
        session.flush()
        session.add(SlideRow(source_id=1, slide_id="PATIENT-7", folder="PATIENT-7", first_seen_at=utc_now()))
    with pytest.raises(IntegrityError) as refused, store.write() as session:
        session.add(SlideRow(source_id=1, slide_id="PATIENT-7", folder="PATIENT-7", first_seen_at=utc_now()))
    if store.engine.dialect.name == "sqlite":  # PostgreSQL's own message names the key
        assert "PATIENT-7" not in str(refused.value)


def test_a_row_that_points_nowhere_is_refused(store):
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(SlideRow(source_id=99, slide_id="S", folder="S", first_seen_at=utc_now()))


def test_times_come_back_in_utc_and_a_time_without_a_zone_is_refused(store):
    east = datetime(2031, 5, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with store.write() as session:
        session.add(bundle_row(1, registered_at=east))
    with store.read() as session:
        found = session.exec(select(BundleRow)).one().registered_at
    assert (found, found.utcoffset()) == (east, timedelta(0))
    with pytest.raises(Exception, match="a time without a zone"), store.write() as session:
        session.add(bundle_row(2, registered_at=datetime(2031, 5, 1)))  # noqa: DTZ001 - that is the point


def test_sqlite_keeps_what_was_committed_through_a_power_cut(sqlite_store):
    with sqlite_store.read() as session:
        connection = session.connection()
        asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert asked == ["wal", 2]
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_writers_wait_for_each_other(sqlite_store):
    def write_ten(first):
        other = Store(str(sqlite_store.engine.url))
        for number in range(first, first + 10):
            with other.write() as session:
                # Reading first, then writing, deadlocks where the write lock is not taken at once.
                session.exec(select(BundleRow)).all()
                session.add(bundle_row(number))
        other.close()

    threads = [threading.Thread(target=write_ten, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(sqlite_store) == 40


def test_a_reader_does_not_wait_for_a_writer(sqlite_store):
    with sqlite_store.write() as session:
        session.add(bundle_row(1))
        session.flush()
        assert count(sqlite_store) == 0
    assert count(sqlite_store) == 1


# --- no database ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "rubbish", "sqlite", "oracle://x/y", "nosuch+driver://x", "postgresql+nosuch://x/y", "mysql://x/y"]
)
def test_a_url_that_cannot_be_used_is_one_sentence(url):
    with pytest.raises(StoreUnavailable, match=r"^WNET_DATABASE_URL cannot be used: "):
        Store(url)


@pytest.mark.parametrize(
    "url", ["postgresql://wnet:p@Pa55:w0rd@host/x", "postgresql://wnet@host:port/x", "sqlite:////x/y?timeout=soon"]
)
def test_a_url_whose_numbers_are_none_is_one_sentence_without_its_password(url):
    with pytest.raises(StoreUnavailable, match=r"^WNET_DATABASE_URL cannot be used: ") as refused:
        Store(url)
    assert "w0rd" not in str(refused.value)


@pytest.mark.parametrize("option", ["nosuch=1", "connect_timeout=soon"])
def test_an_option_that_a_server_s_client_does_not_know_is_unavailable(option, tmp_path):
    pytest.importorskip("psycopg")
    store = Store(f"postgresql+psycopg://wnet@/wnet?host={tmp_path}&{option}")
    with pytest.raises(StoreUnavailable, match=option.partition("=")[0]), store.read():
        pass
    with pytest.raises(StoreUnavailable, match=option.partition("=")[0]):
        migrate(store, tmp_path / "lock")


def test_a_server_that_does_not_answer_is_unavailable(tmp_path):
    pytest.importorskip("psycopg")
    store = Store(f"postgresql+psycopg://wnet@/wnet?host={tmp_path}")
    with pytest.raises(StoreUnavailable), store.read():
        pass
    with pytest.raises(StoreUnavailable):
        schema_problem(store)
    with pytest.raises(StoreUnavailable):
        migrate(store, tmp_path / "lock")


def test_a_locked_database_is_unavailable_and_not_broken(sqlite_store, monkeypatch):
    monkeypatch.setattr("smear.store.BUSY_TIMEOUT_MS", 1)
    impatient = Store(str(sqlite_store.engine.url))
    with sqlite_store.write() as session:
        session.add(bundle_row(1))
        session.flush()
        with pytest.raises(StoreUnavailable, match="locked"), impatient.write() as other:
            other.add(bundle_row(2))
    assert count(impatient) == 1
    impatient.close()


@pytest.mark.parametrize("make", [lambda file: file.write_bytes(b"rubbish" * 500), lambda file: file.mkdir()])
def test_a_file_that_is_no_database_is_unavailable(tmp_path, make):
    file = tmp_path / "wnet.sqlite"
    make(file)
    store = Store(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailable, match=r"not a database|unable to open"):
        schema_problem(store)
    with pytest.raises(StoreUnavailable, match=r"not a database|unable to open"):
        migrate(store, tmp_path / "lock")
    store.close()


def test_a_file_that_cannot_even_be_asked_for_is_unavailable(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/{'n' * 300}/wnet.sqlite")  # as where we may not enter the folder
    with pytest.raises(StoreUnavailable, match="File name too long"):
        schema_problem(store)
    store.close()


def test_looking_for_a_database_does_not_make_one(tmp_path):
    file = tmp_path / "none" / "wnet.sqlite"
    store = Store(f"sqlite:///{file}")
    assert schema_problem(store).startswith(f"there is no database at {file}: ")
    assert not file.parent.exists()
    assert store.file == file
    store.close()


# --- schema ----------------------------------------------------------------------------------------------------------


def fresh(kind, request):
    if kind == "postgresql":
        return Store(request.getfixturevalue("empty_postgres"))
    return Store(f"sqlite:///{request.getfixturevalue('tmp_path') / 'deep' / 'er' / 'fresh.sqlite'}")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrating_brings_the_schema_to_head_and_twice_is_once(kind, request, tmp_path, dump):
    store = fresh(kind, request)
    assert schema_problem(store).startswith("there is no database ")
    migrate(store, tmp_path / "lock")
    assert schema_problem(store) is None
    with store.write() as session:
        session.add(bundle_row(1))
    before = dump(store)
    migrate(store, tmp_path / "lock")
    assert dump(store) == before
    store.close()


def test_tables_and_migrations_agree(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "target_metadata": SQLModel.metadata},
        )
        assert compare_metadata(context, SQLModel.metadata) == []


MIGRATE = """
import sys
from pathlib import Path
from smear.store import Store, migrate
sys.stdin.read()
migrate(Store(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_four_processes_migrate_at_once(kind, request, tmp_path):
    store = fresh(kind, request)
    url = store.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", MIGRATE, url, str(tmp_path / "lock")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate(timeout=100)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], errors
    assert schema_problem(store) is None
    store.close()


def test_a_newer_schema_is_refused_in_words(sqlite_store):
    with sqlite_store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    said = schema_problem(sqlite_store)
    assert "the database's schema is 9999, this version needs " in said
    assert "worker migrate" in said


def test_a_process_waits_for_the_schema_and_says_why(tmp_path):
    store, stop = Store(f"sqlite:///{tmp_path / 'wnet.sqlite'}"), threading.Event()
    waited = []
    for problem in wait_for_schema(store, stop, poll_seconds=0):
        waited.append(problem)
        if len(waited) == 2:
            migrate(store, tmp_path / "lock")
    assert [said.split(":")[0] for said in waited] == [f"there is no database at {tmp_path}/wnet.sqlite"] * 2
    stop.set()
    assert list(wait_for_schema(Store(f"sqlite:///{tmp_path / 'other'}"), stop)) == []
    store.close()


def test_the_schema_is_awaited_through_a_database_that_is_away(tmp_path):
    pytest.importorskip("psycopg")
    waiting = wait_for_schema(Store(f"postgresql+psycopg://wnet@/w?host={tmp_path}"), threading.Event(), 0)
    assert "failed" in next(waiting)
    assert "failed" in next(waiting)


def test_another_program_can_read_the_file(sqlite_store):
    with sqlite_store.write() as session:
        session.add(bundle_row(1))
    with sqlite3.connect(sqlite_store.file) as connection:
        assert connection.execute("SELECT bundle_id FROM bundles").fetchall() == [("b@1",)]
    connection.close()


def test_every_table_has_a_row_class():
    assert {t.name for t in SQLModel.metadata.sorted_tables} == {
        row.__tablename__
        for module in (tables, review_tables, nightly_tables)
        for row in vars(module).values()
        if isinstance(row, type) and hasattr(row, "__table__")
    }


def test_now_is_utc():
    assert utc_now().tzinfo is UTC


def test_the_documented_address_checks_the_servers_certificate_and_its_name(postgres_with_tls, certificate):
    def opened(options):
        store = Store(f"{postgres_with_tls}?{options}")
        try:
            return schema_problem(store)
        finally:
            store.close()

    checked = f"sslmode=verify-full&sslrootcert={certificate[0]}"
    assert opened(checked) == NO_DATABASE
    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        opened("sslmode=verify-full&sslrootcert=system")
    other_name = postgres_with_tls.replace("127.0.0.1", "localhost")
    store = Store(f"{other_name}?{checked}")
    with pytest.raises(StoreUnavailable, match="localhost"):
        schema_problem(store)
    store.close()
