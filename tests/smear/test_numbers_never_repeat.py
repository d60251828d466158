"""Row numbers and the board's counter never come again; a database of an earlier version is brought there whole."""

import pytest
from alembic import command
from sqlalchemy import insert, inspect, text
from sqlmodel import SQLModel, select

from smear.plain import PlainError
from smear.review_tables import AuditRow, BoardRow
from smear.store import Store, _alembic, migrate
from smear.tables import RevisionRow, SlideRow, SourceRow, key, utc_now


def add_slide(session, source, name, state="classified"):
    slide = SlideRow(source_id=source, slide_id=name, folder=name, first_seen_at=utc_now())
    session.add(slide)
    session.flush()
    revision = RevisionRow(slide=key(slide.id), number=1, state=state, arrived_at=utc_now())
    session.add(revision)
    session.flush()
    return slide, revision


@pytest.fixture
def source(store):
    with store.write() as session:
        row = SourceRow(name="default", layout="slides", geometry="di60")
        session.add(row)
        session.flush()
        return key(row.id)


def test_the_number_of_a_deleted_row_is_not_given_out_again(store, source):
    seen = []
    for _ in range(3):
        with store.write() as session:
            slide, revision = add_slide(session, source, "S-1")
            seen.append((slide.id, revision.id, revision.identity))
            session.delete(revision)
            session.flush()
            session.delete(slide)
    for numbers in zip(*seen, strict=True):
        assert len(set(numbers)) == 3


def test_rows_inserted_in_bulk_have_an_identity_of_their_own_too(store, source):
    with store.write() as session:
        slide, _ = add_slide(session, source, "S-1")
        told = {"slide": slide.id, "state": "queued", "attempts": 0, "token": 0, "beat": 0, "arrived_at": utc_now()}
        session.execute(insert(RevisionRow), [told | {"number": number} for number in (2, 3)])
    with store.read() as session:
        assert len(set(session.exec(select(RevisionRow.identity)))) == 3


def test_every_table_whose_numbers_the_database_counts_never_gives_one_twice(sqlite_store):
    counted = {table.name for table in SQLModel.metadata.sorted_tables if table.autoincrement_column is not None} - {
        "serving",
        "audit_head",
    }  # one row, number 1
    with sqlite_store.read() as session:
        told = dict(session.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all())
    assert {name for name, sql in told.items() if "AUTOINCREMENT" in sql} == counted
    assert {"slides", "revisions", "cells", "sessions", "board_clock"} <= counted


def test_the_boards_counter_grows_also_after_its_newest_line_is_gone(store, source):
    seen = []
    for name in ("S-1", "S-2", "S-3"):
        with store.write() as session:
            slide, revision = add_slide(session, source, name)
        with store.read() as session:
            seen.append(session.exec(select(BoardRow.changed).where(BoardRow.slide == slide.id)).one())
        with store.write() as session:
            session.delete(session.get_one(RevisionRow, revision.id))
    assert seen == sorted(set(seen))


# --- a database of the version before ---------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request, tmp_path):
    """A database at schema 0005 with a slide, a signature and a line of the audit that names a purged slide."""
    url = request.getfixturevalue("empty_postgres") if request.param == "postgresql" else f"sqlite:///{tmp_path}/o.db"
    store = Store(url)
    command.upgrade(_alembic(store), "0005")
    now = "2031-05-01 12:00:00+00:00" if request.param == "postgresql" else "2031-05-01 12:00:00.000000"
    statements = f"""
        INSERT INTO sources (name, layout, geometry) VALUES ('default', 'slides', 'di60');
        INSERT INTO slides (source_id, slide_id, folder, first_seen_at) VALUES (1, 'S-1', 'S-1', '{now}');
        INSERT INTO revisions (slide, number, state, sidecar, attempts, token, beat, arrived_at)
            VALUES (1, 1, 'signed', '{{"order_id": "A-1"}}', 1, 7, 3, '{now}'),
                   (1, 2, 'queued', NULL, 0, 0, 0, '{now}');
        INSERT INTO cells (slide, sha256) VALUES (1, '{"a" * 64}');
        INSERT INTO pictures (revision, path, cell, size, mtime_ns, ctime_ns, inode)
            VALUES (1, 'c.jpg', 1, 5000000000, 1, 1, '18446744073709551615');
        INSERT INTO users (name, full_name, role, password_hash, must_change, active, created_at)
            VALUES ('maria', 'M', 'reviewer', 'x', false, true, '{now}');
        INSERT INTO signatures (revision, "user", role, meaning, at, result)
            VALUES (1, 1, 'reviewer', 'signed', '{now}', '{{}}');
        INSERT INTO audit (number, at, who, role, action, slide, revision, previous_hash, hash)
            VALUES (1, '{now}', 'maria', 'reviewer', 'sign', 40, 50, '', '');
    """  # noqa: S608 - our own words
    with store.write() as session:
        for statement in statements.strip().split(";\n"):
            session.execute(text(statement.rstrip(";").replace(":", r"\:")))
    yield store
    store.close()


def described(store):
    """Every table but the new one: columns, keys, constraints, indices; and the names of the triggers."""
    found = inspect(store.engine)
    tables = {}
    for name in set(found.get_table_names()) - {"board_clock"}:
        tables[name] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], str(c["default"])) for c in found.get_columns(name)},
            "primary": found.get_pk_constraint(name)["constrained_columns"],
            "foreign": sorted(
                (f["name"], f["constrained_columns"], f["referred_table"]) for f in found.get_foreign_keys(name)
            ),
            "unique": sorted((u["name"], u["column_names"]) for u in found.get_unique_constraints(name)),
            "indices": sorted((i["name"], i["column_names"]) for i in found.get_indexes(name)),
        }  # fmt: skip
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if store.engine.dialect.name == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    with store.read() as session:
        return tables, sorted(session.execute(text(query)).scalars())


def rows(store):
    with store.read() as session:
        names = set(inspect(store.engine).get_table_names()) - {"alembic_version", "board_clock"}
        read = {name: session.execute(text(f"SELECT * FROM {name} ORDER BY 1")).mappings() for name in names}  # noqa: S608
        return {name: [dict(row) for row in found] for name, found in read.items()}


def test_a_database_of_the_version_before_keeps_rows_constraints_indices_and_triggers(older, tmp_path):
    (tables, triggers), there = described(older), rows(older)
    command.upgrade(_alembic(older), "0006")
    now_there = rows(older)
    identities = [row.pop("identity") for row in now_there["revisions"]]
    assert len({*identities}) == 2
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in identities)
    assert now_there == there
    now_tables, now_triggers = described(older)
    assert now_triggers == triggers
    tables["revisions"]["columns"]["identity"] = ("VARCHAR(32)", False, "None")
    tables["revisions"]["unique"].append(("uq_revisions_identity", ["identity"]))
    tables["cells"]["indices"].append(("ix_cells_sha256", ["sha256"]))
    for table, told in tables.items():
        for what in ("unique", "indices"):
            told[what].sort()
            # PostgreSQL shows the index of a unique constraint too.
            told[what] = (
                [one for one in told[what] if not one[0].startswith("uq_")] if what == "indices" else told[what]
            )
            now_tables[table][what] = [
                one for one in now_tables[table][what] if what == "unique" or not one[0].startswith("uq_")
            ]
    assert now_tables == tables
    migrate(older, tmp_path / "lock")


def test_numbers_go_on_above_what_an_audit_names_and_the_board_still_follows(older, tmp_path):
    migrate(older, tmp_path / "lock")
    with older.read() as session:
        changed = session.exec(select(BoardRow.changed)).one()
    with older.write() as session:
        slide, revision = add_slide(session, 1, "S-2", state="queued")
    if older.engine.dialect.name == "sqlite":
        # A purge may have left no trace of numbers that logs, messages and open pages know.
        assert slide.id > 1_000_040
        assert revision.id > 1_000_050
    with older.write() as session:
        session.get_one(RevisionRow, revision.id).state = "failed"
    with older.read() as session:
        line = session.get_one(BoardRow, slide.id)
        assert (line.state, line.urgency) == ("failed", 0)
        assert line.changed > changed
        assert session.exec(select(AuditRow.slide)).one() == 40


def test_rows_may_point_nowhere_only_while_a_version_is_applied(older, tmp_path):
    if older.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL checks every statement")
    migrate(older, tmp_path / "lock")
    with older.read() as session:
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_version_that_leaves_a_row_pointing_nowhere_is_not_applied(older, tmp_path):
    if older.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL checks every statement")
    import sqlite3

    with sqlite3.connect(older.file) as connection:
        connection.execute("INSERT INTO cells (slide, sha256) VALUES (99, 'x')")
    connection.close()
    with pytest.raises(PlainError, match="1 rows refer to rows that do not exist, the first in the table cells"):
        migrate(older, tmp_path / "lock")
    with older.read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0005"
