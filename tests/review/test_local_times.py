"""Times on the page are the laboratory's, and the zone is named where they stand."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from seeding import add_many, add_people, add_slide
from sqlmodel import select, update
from web_client import LOOSE, Client

from review import board
from review.app import create_app
from review.desk import make_desk
from smear.review_tables import AuditRow, BoardRow, CommentRow, SignatureRow
from smear.tables import RevisionRow, key


#: 2026-07-01 23:30 in New York, summer time.
AT = datetime(2026, 7, 2, 3, 30, tzinfo=UTC)
LOCAL = "2026-07-01 23:30"


@pytest.fixture
def new_york(store, make_settings, quick_passwords):
    """new_york(name): a browser at a page in New York's time."""
    settings = make_settings(review_port=0, timezone="America/New_York")
    add_people(store, quick_passwords)
    app = create_app(make_desk(store, settings, quick_passwords, LOOSE), settings)

    def make(name):
        made = Client(app, base_url="http://127.0.0.1")
        assert made.sign_in(name).status_code == 303
        return made

    return make


def test_board_slide_and_remark_show_local_times_and_name_the_zone(new_york, store):
    slide = add_slide(store, "S-1")
    maria = new_york("maria")
    maria.write(f"/slides/{slide}/comments", data={"text": "look"})
    with store.write() as session:
        for row, column in ((BoardRow, "arrived_at"), (RevisionRow, "arrived_at"), (CommentRow, "at")):
            session.execute(update(row).values({column: AT}))
    assert f'title="{LOCAL}"' in maria.get("/?show=all").text
    page = maria.get(f"/slides/{slide}").text
    assert f'title="{LOCAL}"' in page  # the remark
    assert f"<dt>Arrived</dt><dd>{LOCAL}</dd>" in page
    for text in (page, maria.get("/?show=all").text):
        assert "America/New_York" in text
        assert "UTC" not in text


def test_a_signature_and_its_line_of_the_audit_are_in_local_time(new_york, store):
    slide = add_slide(store, "S-1")
    new_york("maria").write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0})
    with store.read() as session:
        at = session.exec(select(SignatureRow.at)).one()
        logged = session.exec(select(AuditRow.at).where(AuditRow.action == "sign")).one()
    there = ZoneInfo("America/New_York")
    jonas = new_york("jonas")
    signed = f"{at.astimezone(there):%Y-%m-%d %H:%M}"
    for path in (f"/slides/{slide}", f"/slides/{slide}/signing"):
        assert f"on {signed}" in jonas.get(path).text
    text = jonas.get("/audit").text
    assert f">{logged.astimezone(there):%Y-%m-%d %H:%M}" in text
    assert "When (America/New_York)" in text


def test_signed_today_counts_from_local_midnight(store, monkeypatch, quick_passwords):
    user = add_people(store, quick_passwords)["maria"]
    add_many(store, 1)
    with store.write() as session:
        revision = key(session.exec(select(RevisionRow.id)).one())
        for hour in (3, 5):  # 2026-07-01 23:00 and 2026-07-02 01:00 in New York
            session.add(SignatureRow(revision=revision, user=user, role="reviewer", meaning="signed",
                                     at=datetime(2026, 7, 2, hour, tzinfo=UTC), result={}))  # fmt: skip
    monkeypatch.setattr(board, "utc_now", lambda: datetime(2026, 7, 2, 14, tzinfo=UTC))
    with store.read() as session:
        assert board.health(session).signed_today == 2
        assert board.health(session, ZoneInfo("America/New_York")).signed_today == 1
