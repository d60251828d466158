"""The board: true whoever writes, sorted by urgency, searched, paged; health; retry."""

from datetime import timedelta

import pytest
from seeding import RULES, add_many, add_slide
from sqlalchemy import text
from sqlmodel import col, select, update

from review import board
from smear.review_tables import BoardRow
from smear.tables import RevisionRow, SlideRow, utc_now


def names(store, **how):
    with store.read() as session:
        return [line.name for line in board.page(session, RULES, **how).lines]


def test_what_waits_for_a_person_comes_first_and_flagged_before_not(store):
    add_slide(store, "plain")
    add_slide(store, "queued", state="queued")
    add_slide(store, "flagged", cells=["eosinophil"] * 120)
    add_slide(store, "failed", cells=[], state="failed", reason="no pictures")
    add_slide(store, "signed", state="signed")
    add_slide(store, "listed", state="listed", reason="not blood")
    assert names(store, show="all") == ["failed", "flagged", "plain", "queued", "signed", "listed"]
    assert names(store) == ["failed", "flagged", "plain"]
    assert names(store, show="queued") == ["queued"]


def test_search_finds_parts_of_slides_and_orders_and_takes_nothing_for_a_pattern(store):
    add_slide(store, "S_100%", sidecar={"order_id": "A-77"})
    add_slide(store, "SX1009")
    assert names(store, search="s_100") == ["S_100%"]
    assert names(store, search="%") == ["S_100%"]
    assert names(store, search="a-7") == ["S_100%"]
    assert names(store, search="nothing") == []


def test_the_board_follows_every_writer(store):
    slide = add_slide(store, "S-1", sidecar={"order_id": "A-1"})

    def line():
        with store.read() as session:
            return session.get(BoardRow, slide)

    before = line()
    assert (before.state, before.order_id, before.number, before.flagged) == ("classified", "A-1", 1, 0)
    with store.write() as session:
        session.execute(update(RevisionRow).values(state="failed", reason="x"))
    assert (line().state, line().urgency, line().changed > before.changed) == ("failed", 0, True)
    with store.write() as session:  # a heartbeat is no news
        changed = line().changed
        session.execute(update(RevisionRow).values(beat=5))
    assert line().changed == changed
    add_slide(store, "S-1", cells=["eosinophil"] * 60)
    assert (line().number, line().state, line().flagged > 0) == (2, "classified", True)
    with store.write() as session:  # an earlier revision is no news either
        session.execute(update(RevisionRow).where(col(RevisionRow.number) == 1).values(state="signed"))
    assert line().state == "classified"


def test_an_urgent_source_comes_before_its_equals_and_behind_what_is_more_urgent(store):
    from smear.tables import SourceRow

    add_slide(store, "plain")
    add_slide(store, "later", source_name="archive", priority=-5)
    add_slide(store, "flagged", cells=["eosinophil"] * 120)
    add_slide(store, "ward", source_name="ward", priority=10)
    assert names(store) == ["flagged", "ward", "plain", "later"]
    with store.write() as session:
        session.execute(update(SourceRow).where(col(SourceRow.name) == "archive").values(priority=10))
        session.execute(update(SourceRow).where(col(SourceRow.name) == "ward").values(priority=0))
    assert names(store) == ["flagged", "later", "plain", "ward"]
    with store.read() as session:
        archive = next(s.id for s in board.sources(session) if s.name == "archive")
    assert names(store, source=archive) == ["later"]


def test_the_same_name_in_two_sources_is_two_slides_told_apart(client, desk):
    add_slide(desk.store, "S-1", source_name="north")
    assert "north" not in client("vera").get("/board/rows").text
    second = add_slide(desk.store, "S-1", source_name="south", priority=3, sidecar={"order_id": "A-1"})
    page = client("vera").get("/").text
    assert [word in page for word in ("north", "A-1 · south", "urgent", "every source")] == [True] * 4
    assert f"/slides/{second}" in page
    assert client("vera").get("/?source=99").status_code == 200
    assert client("vera").get("/?source=x").status_code == 422


def test_the_next_slide_is_the_most_urgent_that_nobody_else_has(client, desk, slide):
    first = add_slide(desk.store, "S-FLAGGED", cells=["eosinophil"] * 120)
    maria, jonas = client("maria"), client("jonas")
    assert "waits for a review: S-FLAGGED" in maria.get(f"/slides/{slide}").text
    jonas.write(f"/slides/{first}/hold")
    assert 'id="next"' not in maria.get(f"/slides/{slide}").text
    assert "waits for a review: S-FLAGGED" in jonas.get(f"/slides/{slide}").text
    assert 'id="next"' not in client("vera").get(f"/slides/{slide}").text


def test_a_slide_that_is_forgotten_leaves_the_board(store):
    add_slide(store, "S-1", state="arriving")
    with store.write() as session:
        session.connection().execute(text("DELETE FROM revisions"))
        session.connection().execute(text("DELETE FROM slides"))
    with store.read() as session:
        assert session.exec(select(BoardRow)).all() == []
        assert session.exec(select(SlideRow)).all() == []


def test_pages_hold_fifty_and_say_whether_there_is_more(store):
    add_many(store, 120)
    seen = []
    for number, more in ((1, True), (2, True), (3, False)):
        with store.read() as session:
            page = board.page(session, RULES, show="all", number=number)
        assert page.more is more
        seen += [line.name for line in page.lines]
    assert len(seen) == len(set(seen)) == 120
    with store.read() as session:
        assert sum(board.counts(session).values()) == 120


def test_health_tells_the_backlog_and_a_worker_that_is_missing(store):
    with store.read() as session:
        assert board.health(session).problem is None
    add_slide(store, "S-1", state="queued")
    with store.read() as session:
        told = board.health(session)
    assert (told.waiting, told.working) == (1, 0)
    assert "no worker takes them" in told.problem
    with store.write() as session:
        session.execute(update(RevisionRow).values(claimed_by="host:1"))
    with store.read() as session:
        told = board.health(session)
    assert (told.waiting, told.working, told.problem) == (1, 1, None)


def test_who_has_a_slide_is_said_until_he_leaves_it(client, desk, slide):
    from smear.review_tables import ReviewRow

    client("maria").write(f"/slides/{slide}/hold")
    assert client("jonas").write(f"/slides/{slide}/hold").json() == {"holder": "Maria Lind"}
    assert "Maria Lind" in client("vera").get("/board/rows").text
    with desk.store.write() as session:
        session.execute(update(ReviewRow).values(held_at=utc_now() - timedelta(hours=1)))
    assert "Maria Lind" not in client("vera").get("/board/rows").text
    assert client("jonas").write(f"/slides/{slide}/hold").json() == {"holder": "Jonas Weber"}


def test_who_takes_a_slide_in_hand_is_news_for_open_boards(client, desk, slide):
    from review import live

    seen, _ = live.look(desk.store, None)
    client("maria").write(f"/slides/{slide}/hold")
    seen, events = live.look(desk.store, seen)
    assert [e.data for e in events if e.name == "board"] == [{"slides": [slide]}]
    client("maria").write(f"/slides/{slide}/hold")  # the same person again is none
    assert client("jonas").write(f"/slides/{slide}/hold").json() == {"holder": "Maria Lind"}
    _, events = live.look(desk.store, seen)
    assert [e for e in events if e.name == "slide"] == []


def test_only_a_failed_slide_is_tried_again(client, desk, slide):
    bad = add_slide(desk.store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    maria = client("maria")
    assert maria.write(f"/slides/{slide}/retry").status_code == 409
    assert maria.write(f"/slides/{bad}/retry").status_code == 200
    with desk.store.read() as session:
        revision = session.exec(select(RevisionRow).where(RevisionRow.slide == bad)).one()
    assert (revision.state, revision.reason, revision.attempts, revision.published_at, revision.token) == (
        "queued", None, 0, None, 1,
    )  # fmt: skip
    assert maria.write(f"/slides/{bad}/retry").status_code == 409


@pytest.mark.parametrize("query", ["?show=dragon", "?page=0", "?page=x", "?sort=dragon", f"?q={'x' * 300}"])
def test_what_the_board_does_not_know_is_refused_in_words(client, query):
    answer = client("vera").get(f"/{query}", headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "Request refused" in answer.text
