"""`verify` compares labels, signatures and states of reviews with the audit: what was done behind it is named."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from smear.audit import Actor, append, verify
from smear.review_tables import LabelRow, SignatureRow, UserRow
from smear.store import Store
from smear.tables import CellRow, RevisionRow, SlideRow, SourceRow, key, utc_now


RESULT = {"counts": {"neutrophil": 3}, "percent": {"neutrophil": 60.3, "basophil": 39.7}, "ci95": None}


class Laboratory:
    """Writes rows and lines as the review page does; `force` writes as a person with the database's password can."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as session:
            source = SourceRow(name="default", layout="slides", geometry="di60")
            self.users = [
                UserRow(name=name, full_name=full, role="reviewer", password_hash="", must_change=False, active=True,
                        created_at=utc_now())
                for name, full in (("ada", "Ada Byron"), ("jonas", "Jonas Weber"))
            ]  # fmt: skip
            session.add_all([source, *self.users])
            session.flush()
            self.source = key(source.id)

    def slide(self, name: str, cells: int = 4) -> int:
        with self.store.write() as session:
            slide = SlideRow(source_id=self.source, slide_id=name, folder=name, first_seen_at=utc_now())
            session.add(slide)
            session.flush()
            for cell in range(cells):
                session.add(CellRow(slide=key(slide.id), sha256=f"{key(slide.id):06}{cell:06}".ljust(64, "0")))
            self._revision(session, key(slide.id), 1)
            return key(slide.id)

    def _revision(self, session, slide: int, number: int) -> int:
        row = RevisionRow(slide=slide, number=number, state="classified", arrived_at=utc_now())
        session.add(row)
        session.flush()
        return key(row.id)

    def next_revision(self, slide: int) -> None:
        with self.store.write() as session:
            self._revision(session, slide, self._latest(session, slide).number + 1)

    def _latest(self, session, slide: int) -> RevisionRow:
        from sqlmodel import select

        query = select(RevisionRow).where(RevisionRow.slide == slide).order_by(RevisionRow.number.desc())
        return session.exec(query).first()

    def actor(self, user: int = 0) -> Actor:
        row = self.users[user]
        return Actor(row.id, row.name, row.role)

    def label(self, slide: int, cells: list[int], label: str | None, kind: str | None = None, user: int = 0,
              action: str = "label") -> None:  # fmt: skip
        from sqlmodel import select

        with self.store.write() as session:
            revision = self._latest(session, slide)
            revision.state = "reviewed"
            session.add(revision)
            rows = session.exec(select(CellRow).where(CellRow.slide == slide).order_by(CellRow.sha256)).all()
            after = []
            for cell in (rows[i] for i in cells):
                row = session.exec(select(LabelRow).where(LabelRow.cell == cell.id)).one_or_none()
                row = row or LabelRow(cell=cell.id, user=0, at=utc_now(), revision=0, version=0)
                row.label, row.kind, row.user, row.revision = label, kind, self.users[user].id, revision.id
                session.add(row)
                after.append({"sha256": cell.sha256, "label": label, "kind": kind})
            before = {"cells": [told | {"label": None, "kind": None} for told in after]}
            append(session, self.actor(user), action, slide=slide, revision=revision.id, before=before,
                   after={"cells": after})  # fmt: skip

    def sign(self, slide: int, meaning: str = "signed", user: int = 0, *, old: bool = False) -> None:
        with self.store.write() as session:
            revision = self._latest(session, slide)
            revision.state = "signed"
            session.add(revision)
            row = SignatureRow(revision=revision.id, user=self.users[user].id, role="reviewer", meaning=meaning,
                               at=utc_now(), result=RESULT)  # fmt: skip
            session.add(row)
            after = {"state": "signed", "meaning": meaning, "result": RESULT}
            after |= {} if old else {"at": row.at.isoformat()}
            append(session, self.actor(user), "sign", slide=slide, revision=revision.id, before={"state": "reviewed"},
                   after=after)  # fmt: skip

    def amend(self, slide: int) -> None:
        with self.store.write() as session:
            revision = self._latest(session, slide)
            revision.state = "reviewed"
            session.add(revision)
            append(session, self.actor(), "amend", slide=slide, revision=revision.id, before={"state": "signed"},
                   after={"state": "reviewed"}, reason="a second look")  # fmt: skip

    def force(self, *statements: str) -> None:
        with self.store.write() as session:
            connection = session.connection()
            if self.store.engine.dialect.name == "sqlite":
                for act in ("update", "delete", "replace"):
                    connection.execute(text(f"DROP TRIGGER IF EXISTS signatures_no_{act}"))
            else:
                connection.execute(text("ALTER TABLE signatures DISABLE TRIGGER USER"))
            for statement in statements:
                connection.execute(text(statement))


@pytest.fixture
def lab(store):
    """S-1: labelled, signed, countersigned. S-2: labelled, not signed. S-3: untouched. All as the page writes it."""
    made = Laboratory(store)
    first, second, _ = (made.slide(name) for name in ("S-1", "S-2", "S-3"))
    made.label(first, [0, 1], "neutrophil", "band")
    made.sign(first)
    made.sign(first, "second", user=1)
    made.label(second, [2], "outside", "blast", user=1)
    return made


def test_rows_as_the_page_writes_them_agree_with_the_audit(lab):
    lab.amend(1)
    lab.label(1, [1], None, action="undo")
    lab.sign(1, "amended")
    lab.next_revision(1)
    lab.label(1, [1, 3], "monocyte", user=1)
    verdict = verify(lab.store)
    assert (verdict.problem, verdict.further) == (None, ())
    assert (verdict.lines, verdict.labels, verdict.signatures) == (8, 4, 3)


FORGED = (
    'INSERT INTO signatures (revision, "user", role, meaning, at, result) '
    "VALUES (2, 2, 'reviewer', 'signed', '2026-01-01 00:00:00+00:00', '{}')"
)


@pytest.mark.parametrize(("statement", "words"), [
    ("DELETE FROM signatures WHERE id = 1",
     "slide S-1, revision 1: the signature of Ada Byron is missing (line 2)"),
    ("DELETE FROM signatures WHERE id = 2",
     "slide S-1, revision 1: the signature of Jonas Weber is missing (line 3)"),
    (FORGED, "slide S-2, revision 1: a signature of Jonas Weber that the audit does not record"),
    ('UPDATE signatures SET "user" = 2 WHERE id = 1',
     "slide S-1, revision 1: the signature of Ada Byron was changed: its user is not that of line 2"),
    ("UPDATE signatures SET result = '{\"counts\": {\"neutrophil\": 4}}' WHERE id = 1",
     "slide S-1, revision 1: the signature of Ada Byron was changed: its signed result is not that of line 2"),
    ("UPDATE signatures SET meaning = 'signed' WHERE id = 2",
     "slide S-1, revision 1: the signature of Jonas Weber was changed: its meaning is not that of line 3"),
    ("UPDATE signatures SET at = '2026-01-01 00:00:00+00:00' WHERE id = 1",
     "slide S-1, revision 1: the signature of Ada Byron was changed: its time is not that of line 2"),
    ("UPDATE labels SET label = 'basophil', kind = NULL WHERE id = 1",
     ("slide S-1: 1 label changed behind the audit, the first: "
      "cell 000001000000 is labelled basophil; by line 1 it is neutrophil, band")),
    ("UPDATE labels SET kind = 'segmented' WHERE id < 3",
     ("slide S-1: 2 labels changed behind the audit, the first: "
      "cell 000001000000 is labelled neutrophil, segmented; by line 1 it is neutrophil, band")),
    ('UPDATE labels SET "user" = 1 WHERE id = 3',
     ("slide S-2: 1 label changed behind the audit, the first: the label of cell 000002000002 names Ada Byron; "
      "line 4 names Jonas Weber, or another revision")),
    ("DELETE FROM labels WHERE id = 3",
     "slide S-2: 1 label missing, the first: cell 000002000002, by line 4 other cell: blast"),
    (('INSERT INTO labels (cell, label, "user", at, revision, version) '
      "VALUES (9, 'monocyte', 1, '2026-01-01 00:00:00+00:00', 3, 1)"),
     "slide S-3: 1 label that the audit does not record, the first: cell 000003000000 is labelled monocyte"),
    ("UPDATE revisions SET state = 'signed' WHERE id = 2",
     "slide S-2, revision 1 is signed; by line 4 it is reviewed"),
    ("UPDATE revisions SET state = 'signed' WHERE id = 3",
     "slide S-3, revision 1 is signed, and no line of the audit says so"),
    ("UPDATE revisions SET state = 'reviewed' WHERE id = 1",
     "slide S-1, revision 1 is reviewed; by line 3 it is signed"),
    ("UPDATE revisions SET state = 'classified' WHERE id = 1",
     "slide S-1, revision 1 is classified; by line 3 it is signed"),
])  # fmt: skip
def test_a_row_that_was_changed_behind_the_audit_is_named(lab, statement, words):
    assert verify(lab.store).problem is None
    lab.force(statement)
    verdict = verify(lab.store)
    assert (verdict.problem, verdict.further, verdict.lines) == (words, (), 4)


def test_every_difference_is_named_not_only_the_first(lab):
    lab.force("DELETE FROM signatures", "DELETE FROM labels WHERE id = 3", FORGED)
    verdict = verify(lab.store)
    assert [verdict.problem, *verdict.further] == [
        "slide S-2: 1 label missing, the first: cell 000002000002, by line 4 other cell: blast",
        "slide S-1, revision 1: the signature of Ada Byron is missing (line 2)",
        "slide S-1, revision 1: the signature of Jonas Weber is missing (line 3)",
        "slide S-2, revision 1: a signature of Jonas Weber that the audit does not record",
    ]


DELETE_SLIDE_1 = (
    "DELETE FROM signatures WHERE revision = 1", "DELETE FROM labels WHERE revision = 1",
    "DELETE FROM cells WHERE slide = 1", "DELETE FROM revisions WHERE slide = 1", "DELETE FROM slides WHERE id = 1",
)  # fmt: skip


def test_a_slide_that_was_deleted_with_its_review_is_named(lab):
    lab.force(*DELETE_SLIDE_1)
    verdict = verify(lab.store)
    assert verdict.problem == "slide number 1, which is gone, a revision that is gone; by line 3 it is signed"
    assert any("2 labels missing" in words for words in verdict.further)


def test_rows_that_belong_to_no_revision_are_named(sqlite_store):
    import sqlite3

    lab = Laboratory(sqlite_store)
    lab.slide("S-1")
    # As the command `sqlite3` would: it does not enforce foreign keys.
    with sqlite3.connect(sqlite_store.file) as by_hand:
        by_hand.execute(
            "INSERT INTO labels (cell, label, user, at, revision, version) VALUES (1, 'monocyte', 1, 0, 9, 1)"
        )
    by_hand.close()
    assert verify(sqlite_store).problem == "1 label of no known revision"


def test_chains_of_earlier_versions_verify(store):
    """Their lines about signatures hold no time, and were written a moment after the row."""
    lab = Laboratory(store)
    slide = lab.slide("S-1")
    lab.sign(slide, old=True)
    assert verify(store).problem is None
    lab.force("UPDATE signatures SET at = '2026-01-01 00:00:00+00:00'")
    assert "its time is not that of line 1" in verify(store).problem


def test_a_slide_that_the_audit_says_was_purged_is_not_missed(lab):
    lab.force(*DELETE_SLIDE_1)
    with lab.store.write() as session:
        append(session, lab.actor(), "purge slides", after={"slides": [1], "cells": 4})
    assert verify(lab.store).problem is None


def test_a_slide_that_failed_after_its_review_began_and_was_retried_may_be_in_any_state(lab):
    with lab.store.write() as session:
        append(
            session, lab.actor(), "retry", slide=3, revision=3, before={"state": "failed"}, after={"state": "queued"}
        )
    lab.force("UPDATE revisions SET state = 'failed' WHERE id = 3")
    assert verify(lab.store).problem is None


@pytest.mark.parametrize("statement", [
    "UPDATE signatures SET meaning = 'second'", "DELETE FROM signatures WHERE id = 1", "DELETE FROM signatures",
])  # fmt: skip
def test_the_database_refuses_to_change_a_signature(lab, statement):
    with pytest.raises(DBAPIError, match="a signature stays as it was written"), lab.store.write() as session:
        session.connection().execute(text(statement))
    assert verify(lab.store).problem is None


@pytest.mark.parametrize("statement", [
    "TRUNCATE signatures", "TRUNCATE revisions CASCADE", "TRUNCATE users CASCADE",
])  # fmt: skip
def test_postgresql_refuses_to_truncate_signatures(postgres_store, statement):
    with pytest.raises(DBAPIError, match=r"stays as it was written|append-only"), postgres_store.write() as session:
        session.connection().execute(text(statement))


@pytest.mark.parametrize(("statement", "words"), [
    ("INSERT OR REPLACE INTO signatures SELECT * FROM signatures", "stays as it was written"),
    ("INSERT OR REPLACE INTO audit SELECT * FROM audit", "append-only"),
])  # fmt: skip
def test_sqlite_refuses_to_replace_a_row(sqlite_store, statement, words):
    lab = Laboratory(sqlite_store)
    lab.sign(lab.slide("S-1"))
    with pytest.raises(DBAPIError, match=words), sqlite_store.write() as session:
        session.connection().execute(text(statement))
    assert verify(sqlite_store).problem is None


def test_what_people_do_while_the_audit_is_verified_is_no_difference(lab, monkeypatch):
    from smear import audit_replay

    replayed = audit_replay._replayed

    def meanwhile(*args):
        block = replayed(*args)
        lab.label(3, [0], "eosinophil")
        return block

    monkeypatch.setattr(audit_replay, "_replayed", meanwhile)
    verdict = verify(lab.store)
    assert (verdict.problem, verdict.lines) == (None, 4)
    assert verify(lab.store).problem is None


def test_blocks_of_slides_cover_every_slide(lab, monkeypatch):
    from smear import audit_replay

    monkeypatch.setattr(audit_replay, "SLIDES_AT_ONCE", 1)
    assert (verify(lab.store).problem, verify(lab.store).labels) == (None, 3)
    lab.force("UPDATE revisions SET state = 'signed' WHERE id = 3")
    assert verify(lab.store).problem == "slide S-3, revision 1 is signed, and no line of the audit says so"


def test_a_hundred_thousand_lines_take_seconds(sqlite_store):
    """Per line: a tenth of this number of lines in a tenth of the time, with room for a busy machine."""
    lab = Laboratory(sqlite_store)
    slides = [lab.slide(f"S-{i}", cells=1) for i in range(20)]
    with sqlite_store.write() as session:
        for i in range(10_000):
            append(session, lab.actor(), "comment", slide=slides[i % 20], revision=slides[i % 20], after={"text": "x"})
            session.expunge_all()
    started = time.process_time()
    assert verify(sqlite_store).problem is None
    assert time.process_time() - started < 3
