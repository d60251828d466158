"""A backup is whole; a restored database gives no number out again, and nothing that was open goes on under it."""

import json
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import delete
from sqlmodel import select

from smear.audit import Actor, append, verify
from smear.nightly_tables import LeaseRow, RunRow
from smear.renewal import GAP, Replaced, counted_tables, renew
from smear.review_tables import AuditRow, BoardRow, DeviceRow, ReviewRow, SessionRow, UserRow
from smear.runs import begin, latest, next_stage
from smear.settings import private_folder
from smear.store import Store, _alembic, schema_problem
from smear.tables import CellRow, RevisionRow, SlideRow, SourceRow, key, utc_now
from worker import ledger


def add_slide(store, name, state="queued"):
    """A slide of one cell; (slide, revision, cell)."""
    with store.write() as session:
        source = session.exec(select(SourceRow)).first() or SourceRow(name="default", layout="slides", geometry="di60")
        session.add(source)
        session.flush()
        slide = SlideRow(source_id=key(source.id), slide_id=name, folder=name, first_seen_at=utc_now())
        session.add(slide)
        session.flush()
        revision = RevisionRow(slide=key(slide.id), number=1, state=state, arrived_at=utc_now(), published_at=utc_now())
        cell = CellRow(slide=key(slide.id), sha256="a" * 64)
        session.add_all([revision, cell])
        session.flush()
        append(session, Actor(None, "page", "program"), "test", slide=slide.id, revision=revision.id)
        return key(slide.id), key(revision.id), key(cell.id)


def remove_slide(store, slide):
    from worker.forgetting import remove

    with store.write() as session:
        remove(session, [slide])


def revisions(store):
    with store.read() as session:
        return {row.id: row for row in session.exec(select(RevisionRow))}


@pytest.fixture
def lived(sqlite_store):
    """A database in use: a slide that a worker has claimed and a person holds, a sign-in, a lease, a night."""
    _, revision, _ = add_slide(sqlite_store, "S-1")
    assert ledger.claim(sqlite_store, revision, "w").token == 1
    with sqlite_store.write() as session:
        user = UserRow(name="maria", full_name="M", role="reviewer", password_hash="", must_change=False, active=True,
                       created_at=utc_now())  # fmt: skip
        session.add(user)
        session.flush()
        session.add(SessionRow(token_sha256="0" * 64, user=key(user.id), created_at=utc_now(), seen_at=utc_now()))
        session.add(DeviceRow(token_sha256="1" * 64, user=key(user.id), seen_at=utc_now()))
        session.add(ReviewRow(revision=revision, version=3, held_by=user.id, held_at=utc_now()))
        session.add(LeaseRow(name="nightly", holder="h", token=5, beat=9))
        source = session.exec(select(SourceRow)).one()
        source.watched_by, source.watch_token = "h", 4
    return sqlite_store


def test_a_backup_holds_what_was_there_while_others_write(worker, lived, tmp_path, dump):
    there = dump(lived)
    with lived.write() as session:
        session.add(SourceRow(name="not yet", layout="slides", geometry="di60"))
        session.flush()
        done = worker("backup", tmp_path / "saved.sqlite", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["audit"]["lines"], told["audit"]["problem"]) == (0, 1, None)
    assert told["bytes"] == (tmp_path / "saved.sqlite").stat().st_size
    assert not list(tmp_path.glob(".saved*"))
    assert (tmp_path / "saved.sqlite").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "saved.sqlite") as one_file:
        assert one_file.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    one_file.close()
    saved = Store(f"sqlite:///{tmp_path / 'saved.sqlite'}")
    assert dump(saved) == there
    saved.close()


def test_a_backup_replaces_no_other_and_needs_a_database(worker, lived, tmp_path):
    (tmp_path / "there").write_text("another backup")
    done = worker("backup", tmp_path / "there")
    assert (done.returncode, "is there already: a backup replaces no other" in done.stderr) == (2, True)
    assert (tmp_path / "there").read_text() == "another backup"
    done = worker("backup", tmp_path / "new", WNET_VAR=tmp_path / "elsewhere")
    assert (done.returncode, "there is no database at" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "elsewhere" / "wnet.sqlite").exists()


def break_audit(store):
    with sqlite3.connect(store.file) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET who = 'nobody'")
    connection.close()


def test_a_backup_with_a_broken_audit_is_made_and_said(worker, lived, tmp_path):
    break_audit(lived)
    done = worker("backup", tmp_path / "saved.sqlite")
    assert done.returncode == 1
    assert "saved, but its audit is broken: line 1 is not what was written" in done.stderr
    assert (tmp_path / "saved.sqlite").exists()


def test_what_is_restored_is_what_was_saved_and_the_replaced_database_lies_beside_it(worker, lived, tmp_path):
    assert worker("backup", tmp_path / "saved.sqlite").returncode == 0
    later, _, _ = add_slide(lived, "S-2")
    head = verify(lived)
    lived.close()
    done = worker("restore", tmp_path / "saved.sqlite", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["claims_ended"], told["sessions_ended"], told["revisions"]) == (1, 1, 1)
    with lived.read() as session:
        assert session.exec(select(SlideRow.slide_id)).all() == ["S-1"]
        assert session.exec(select(DeviceRow)).all() == []
        line = session.exec(select(AuditRow).where(AuditRow.action == "restore")).one()
    assert (line.who, line.before) == ("console", {"lines": head.lines, "head": head.head})
    assert (line.after["lines"], line.after["problem"]) == (1, None)
    assert verify(lived).problem is None
    assert (told["audit"]["lines"], told["audit"]["head"]) == (2, verify(lived).head)
    replaced = Store(f"sqlite:///{told['replaced']}")
    with replaced.read() as session:
        assert session.get(SlideRow, later).slide_id == "S-2"
    replaced.close()
    names = {path.name for path in lived.file.parent.iterdir()}
    assert not [name for name in names if name.startswith(".")]


def test_after_a_restore_no_number_comes_again_and_nothing_goes_on_that_was_open(worker, lived, tmp_path):
    before = revisions(lived)
    assert worker("backup", tmp_path / "saved.sqlite").returncode == 0
    gone, later = add_slide(lived, "S-2"), add_slide(lived, "S-3")
    remove_slide(lived, later[0])
    with lived.write() as session:
        session.add(SessionRow(token_sha256="1" * 64, user=1, created_at=utc_now(), seen_at=utc_now()))
    lived.close()
    assert worker("restore", tmp_path / "saved.sqlite").returncode == 0
    new = add_slide(lived, "S-4")
    for place, number in enumerate(new):
        assert number > max(gone[place], later[place])
    now = revisions(lived)
    assert {row.identity for row in now.values()}.isdisjoint(row.identity for row in before.values())
    first = now[1]
    assert (first.claimed_by, first.in_hand, first.published_at, first.state) == (None, None, None, "queued")
    assert first.token > before[1].token + 2
    with lived.read() as session:
        assert session.exec(select(SessionRow)).all() == []
        assert session.exec(select(ReviewRow)).one().held_by is None
        lease, source = session.exec(select(LeaseRow)).one(), session.exec(select(SourceRow)).one()
    assert (lease.holder, lease.token > 5, source.watched_by, source.watch_token > 4) == (None, True, None, True)
    with pytest.raises(ledger.Fenced):
        ledger.beat(lived, ledger.Claim(1, before[1].token, 1, "S-1", 1, "S-1", "default", 1))


def test_a_page_opened_before_the_restore_changes_nothing_though_its_numbers_fit(worker, lived, tmp_path):
    from review.refusal import Refused
    from review.slide import latest_to_write

    seen = revisions(lived)[1]
    assert worker("backup", tmp_path / "saved.sqlite").returncode == 0
    lived.close()
    assert worker("restore", tmp_path / "saved.sqlite").returncode == 0
    with lived.write() as session, pytest.raises(Refused, match="the database was restored"):
        latest_to_write(session, seen.slide, seen.number, seen.identity)


def test_a_night_that_the_backup_does_not_know_keeps_its_name(worker, lived, tmp_path):
    from datetime import date

    assert worker("backup", tmp_path / "saved.sqlite").returncode == 0
    assert begin(lived, date(2031, 5, 1), again=False) == "2031-05-01"
    lived.close()
    assert worker("restore", tmp_path / "saved.sqlite").returncode == 0
    with lived.read() as session:
        assert next_stage(latest(session)) is None
        assert session.exec(select(RunRow.reason)).all() == ["the database was restored to a state before this night"]
    assert begin(lived, date(2031, 5, 1), again=True) == "2031-05-01.2"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(worker, lived, tmp_path):
    assert worker("backup", tmp_path / "saved.sqlite").returncode == 0
    return tmp_path / "saved.sqlite"


def test_while_a_program_has_the_database_open_nothing_is_restored(worker, lived, saved, dump):
    there = dump(lived)  # its connection stays in the pool
    done = worker("restore", saved)
    assert (done.returncode, "has" in done.stderr and "open: stop the service first" in done.stderr) == (2, True)
    assert dump(lived) == there
    assert worker("restore", "--renew").returncode == 2


@pytest.mark.parametrize("name", ["supervisor.sock", "broker.sock"])
def test_while_the_service_answers_nothing_is_restored(worker, lived, saved, settings, name):
    lived.close()
    folder = private_folder(settings.socket_folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / name))
        listening.listen()
        done = worker("restore", saved)
    assert (done.returncode, done.stderr) == (2, "worker: the service is running: stop it first\n")
    assert worker("restore", saved).returncode == 0  # a socket that nobody listens on is none


def test_a_backup_whose_audit_is_broken_is_restored_by_force_alone(worker, lived, saved, tmp_path):
    broken = Store(f"sqlite:///{saved}")
    break_audit(broken)
    broken.close()
    lived.close()
    done = worker("restore", saved)
    assert done.returncode == 1
    assert "is broken: line 1 is not what was written (--force restores it all the same)" in done.stderr
    done = worker("restore", saved, "--force", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["audit"]["problem"] == "line 1 is not what was written"
    with lived.read() as session:
        line = session.exec(select(AuditRow).where(AuditRow.action == "restore")).one()
    assert line.after["problem"] == "line 1 is not what was written"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path, _: path.write_bytes(b"rubbish" * 1000), "cannot be read: file is not a database"),
        (
            lambda path, _: sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close(),
            "is no database of this",
        ),
        (lambda path, saved: path.write_bytes(saved.read_bytes()[:20_000]), "damaged|cannot be read|malformed"),
        (lambda *_: None, "there is no file"),
        (lambda path, _: path.mkdir(), "there is no file"),
    ],
)
def test_what_is_no_whole_backup_is_refused_and_the_database_stays(worker, lived, saved, tmp_path, dump, make, words):
    import re

    there = dump(lived)
    lived.close()
    make(tmp_path / "bad", saved)
    done = worker("restore", tmp_path / "bad")
    assert done.returncode == 2
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert dump(lived) == there
    assert not [path for path in lived.file.parent.iterdir() if path.name.startswith(".")]


def test_a_backup_of_a_newer_version_is_refused(worker, lived, saved):
    with sqlite3.connect(saved) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    lived.close()
    done = worker("restore", saved)
    assert (done.returncode, "written by a newer version of this program" in done.stderr) == (2, True)


def test_the_database_is_not_restored_from_itself(worker, lived):
    lived.close()
    assert "is the database itself" in worker("restore", lived.file).stderr


# --- what was there before --------------------------------------------------------------------------------------------


def test_a_backup_of_the_version_before_is_brought_to_this_one(worker, lived, tmp_path):
    old = Store(f"sqlite:///{tmp_path / 'old.sqlite'}")
    command.upgrade(_alembic(old), "0005")
    old.close()
    lived.close()
    done = worker("restore", tmp_path / "old.sqlite")
    assert done.returncode == 0, done.stderr
    assert schema_problem(lived) is None
    assert (tmp_path / "old.sqlite").exists()


@pytest.mark.parametrize("there", ["damaged", "none", "its log alone"])
def test_where_the_replaced_database_cannot_be_asked_numbers_go_on_far_above(worker, lived, saved, tmp_path, there):
    lived.close()
    if there == "damaged":
        lived.file.write_bytes(b"rubbish" * 1000)
        (lived.file.parent / "wnet.sqlite-wal").write_bytes(b"its log")
    else:
        lived.file.unlink()
    if there == "its log alone":
        shutil.copyfile(saved, tmp_path / "other.sqlite")
        other = Store(f"sqlite:///{tmp_path / 'other.sqlite'}")
        add_slide(other, "S-9")
        shutil.copyfile(tmp_path / "other.sqlite-wal", lived.file.parent / "wnet.sqlite-wal")
        other.close()
    done = worker("restore", saved, "--json")
    assert done.returncode == 0, done.stderr
    with lived.read() as session:
        assert session.exec(select(SlideRow.slide_id)).all() == ["S-1"]
    assert min(add_slide(lived, "S-2")) > GAP
    aside = json.loads(done.stdout)["replaced"]
    assert (aside is None) == (there != "damaged")
    if aside is not None:
        assert Path(aside).read_bytes().startswith(b"rubbish")
        assert Path(f"{aside}-wal").read_bytes() == b"its log"


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_on_postgresql_both_name_its_own_programs(worker, postgres_store, tmp_path):
    url = postgres_store.engine.url.render_as_string(hide_password=False)
    for call in (["backup", tmp_path / "x"], ["restore", __file__]):
        done = worker(*call, WNET_DATABASE_URL=url)
        assert done.returncode == 2
        assert "save it with pg_dump and bring it back with pg_restore" in done.stderr


def test_after_pg_restore_everything_is_renewed_once_nobody_is_connected(worker, postgres_store):
    url = postgres_store.engine.url.render_as_string(hide_password=False)
    before = add_slide(postgres_store, "S-1")
    identity = revisions(postgres_store)[before[1]].identity
    assert worker("restore", "--renew", WNET_DATABASE_URL=url).returncode == 2
    postgres_store.close()
    done = worker("restore", "--renew", "--json", WNET_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"revisions": 1, "claims_ended": 0, "sessions_ended": 0}
    assert revisions(postgres_store)[before[1]].identity != identity
    assert min(add_slide(postgres_store, "S-2")) > GAP
    assert verify(postgres_store).problem is None


def test_what_the_readme_says_of_postgresql_brings_a_database_back(worker, postgres_store, tmp_path):
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    url = postgres_store.engine.url
    place = ["--host", url.query["host"], "--username", url.username]
    add_slide(postgres_store, "S-1")
    dumped = ["pg_dump", *place, "--format=custom", f"--file={tmp_path / 'wnet.dump'}", url.database]
    subprocess.run([programs / dumped[0], *dumped[1:]], check=True)
    gone = add_slide(postgres_store, "S-2")
    postgres_store.close()
    restored = ["pg_restore", *place, "--clean", "--if-exists", f"--dbname={url.database}", tmp_path / "wnet.dump"]
    subprocess.run([programs / restored[0], *restored[1:]], check=True)
    url_text = url.render_as_string(hide_password=False)
    assert worker("restore", "--renew", WNET_DATABASE_URL=url_text).returncode == 0
    with postgres_store.read() as session:
        assert session.exec(select(SlideRow.slide_id)).all() == ["S-1"]
    again = add_slide(postgres_store, "S-3")
    assert all(new > old for new, old in zip(again, gone, strict=True))
    with postgres_store.read() as session:
        lines = dict(session.exec(select(BoardRow.slide_name, BoardRow.changed)).all())
    assert lines["S-3"] > max(lines["S-1"], GAP)
    assert verify(postgres_store).problem is None
    with pytest.raises(Exception, match="append-only"), postgres_store.write() as session:
        session.execute(delete(AuditRow))


def test_every_table_whose_numbers_are_counted_goes_on_above_those_of_the_replaced_database(store):
    numbers = {table.name: 700 + n for n, table in enumerate(counted_tables())}
    renew(store, verify(store), Replaced(numbers))
    slide, revision, cell = add_slide(store, "S-1")
    assert (slide > numbers["slides"], revision > numbers["revisions"], cell > numbers["cells"]) == (True, True, True)
    if store.engine.dialect.name == "sqlite":
        copy = sqlite3.connect(store.file)
        told = dict(copy.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        copy.close()
        assert all(told[name] >= number for name, number in numbers.items())


def test_the_call_names_a_file_or_says_renew(worker, lived):
    assert worker("restore").returncode == 2
    assert worker("restore", "x", "--renew").returncode == 2


def test_doctor_says_that_the_file_is_damaged(lived, settings):
    from worker.doctor import _database

    lived.close()
    assert _database(settings).verdict == "good"
    data = bytearray(lived.file.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    with sqlite3.connect(lived.file) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'revisions'").fetchone()
    connection.close()
    data[(page - 1) * size : page * size] = bytes(size)
    shutil.copyfile(lived.file, lived.file.with_name("whole"))
    lived.file.write_bytes(data)
    found = _database(settings)
    assert (found.verdict, "the file is damaged" in found.found, "worker restore" in found.cure) == ("bad", True, True)
