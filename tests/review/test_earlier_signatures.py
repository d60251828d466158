"""Slides that an earlier version signed: its signatures lack what signatures hold now, and stay readable."""

import pytest
from seeding import add_slide
from sqlmodel import select

from smear.review_tables import ReviewRow, SignatureRow, UserRow
from smear.tables import RevisionRow, utc_now


#: What signatures hold since this was added; the first version that signed had none of them.
ADDED = ("expected_cells", "files", "warnings", "reason")


@pytest.fixture
def signed_before(either_client, store):
    """A slide under a signature as the first version of the page wrote it, by maria."""
    model = add_slide(store, "S-0")
    assert either_client("maria").write(f"/slides/{model}/sign", json={"revision": 1, "version": 0}).status_code == 200
    row = add_slide(store, "S-1", sidecar={"expected_cells": 150})
    with store.write() as session:
        now = session.exec(select(SignatureRow)).one()
        maria = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
        revision = session.exec(select(RevisionRow).where(RevisionRow.slide == row)).one()
        result = {name: value for name, value in now.result.items() if name not in ADDED}
        session.add(
            SignatureRow(
                revision=revision.id, user=maria, role="technologist", meaning="signed", at=utc_now(), result=result
            )
        )
        session.add(ReviewRow(revision=revision.id, version=1))
        revision.state = "signed"
        session.add(revision)
    return row


def test_its_page_is_shown(either_client, signed_before):
    page = either_client("jonas").get(f"/slides/{signed_before}")
    assert page.status_code == 200
    assert "Locked: signed by Maria Lind" in page.text


def test_its_changes_are_answered(either_client, signed_before):
    assert either_client("jonas").get(f"/slides/{signed_before}/changes?since=0").status_code == 200


def test_it_is_countersigned_as_it_was_signed(either_client, store, signed_before):
    jonas = either_client("jonas")
    shown = jonas.get(f"/slides/{signed_before}/signing").text
    assert "signed these numbers" in shown
    assert "Incomplete: 120 of 150" in shown
    told = {"revision": 1, "version": 1}
    assert jonas.write(f"/slides/{signed_before}/sign", json=told).status_code == 200
    with store.read() as session:
        *_, first, second = session.exec(select(SignatureRow).order_by(SignatureRow.id))
        assert second.result == first.result
        assert second.meaning == "second"


def test_it_is_amended_and_signed_anew(either_client, signed_before):
    jonas = either_client("jonas")
    assert jonas.write(f"/slides/{signed_before}/amend", json={"reason": "two cells were wrong"}).status_code == 200
    assert jonas.get(f"/slides/{signed_before}").status_code == 200
    told = {"revision": 1, "version": 2, "reason": "the smear is short"}
    assert jonas.write(f"/slides/{signed_before}/sign", json=told).status_code == 200
    assert jonas.get(f"/slides/{signed_before}").status_code == 200
