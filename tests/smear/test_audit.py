"""The audit: a chain that shows whatever was done to it, in a table that lets nothing be done."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from smear.audit import GENESIS, Actor, append, line_hash, verify
from smear.review_tables import AuditHeadRow, AuditRow


ACTOR = Actor(None, "console", "console")


@pytest.fixture
def written(store):
    for i in range(5):
        with store.write() as session:
            append(session, ACTOR, "try", before={"n": i}, after={"n": i + 0.5, "t": "Ω"}, reason=f"number {i}")
    return store


def force(store, statement):
    """What somebody with the database's own rights could do."""
    with store.write() as session:
        connection = session.connection()
        if store.engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text(statement))


def test_each_line_carries_the_hash_of_the_one_before(written):
    with written.read() as session:
        rows = session.exec(select(AuditRow).order_by(AuditRow.number)).all()
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous_hash for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    assert all(line_hash(row) == row.hash for row in rows)
    verdict = verify(written)
    assert (verdict.lines, verdict.head, verdict.problem) == (5, rows[-1].hash, None)
    assert verify(written, rows[2].hash).problem is None
    assert verify(written, "0" * 64).problem == "the expected hash is not among the lines"


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'me'", "DELETE FROM audit WHERE number = 5"])
def test_the_database_itself_refuses_to_change_a_line(written, statement):
    with pytest.raises(DBAPIError, match="append-only"), written.write() as session:
        session.connection().execute(text(statement))
    assert verify(written).problem is None


@pytest.mark.parametrize(("statement", "problem"), [
    ("UPDATE audit SET who = 'somebody' WHERE number = 3", "line 3 is not what was written"),
    ("UPDATE audit SET reason = NULL WHERE number = 1", "line 1 is not what was written"),
    ("DELETE FROM audit WHERE number = 2", "line 2 is missing"),
    ("DELETE FROM audit WHERE number = 5", "lines after 4 are missing"),
    ("UPDATE audit SET previous_hash = hash WHERE number = 4", "line 4 does not follow the line before it"),
])  # fmt: skip
def test_whatever_was_forced_is_found(written, statement, problem):
    force(written, statement)
    assert verify(written).problem == problem


def test_a_line_stands_or_falls_with_what_it_tells_of(written):
    def broken():
        with written.write() as session:
            append(session, ACTOR, "never")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert verify(written).lines == 5
    with written.read() as session:
        assert session.exec(select(AuditHeadRow)).one().number == 5


def test_an_empty_audit_is_whole(store):
    assert verify(store).problem is None
