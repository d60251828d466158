"""What the board says of files that no slide takes, and of pictures that could not be kept."""

from datetime import timedelta

import pytest
from seeding import add_slide
from sqlmodel import select, update

from review.notices import ignored_files, notices
from smear.tables import IgnoredFileRow, RevisionRow, SourceRow, utc_now
from worker.gaps import gaps


def ignore(store, total, *paths):
    with store.write() as session:
        source = session.exec(select(SourceRow)).one()
        source.ignored = total
        session.add(source)
        for path in paths:
            session.add(IgnoredFileRow(source=source.id, path=path, area="", reason="an archive: unpack it",
                                       first_seen_at=utc_now()))  # fmt: skip


def not_kept(store, n, days_ago=0):
    with store.write() as session:
        for row in session.exec(select(RevisionRow)):
            row.not_kept, row.finished_at = n, utc_now() - timedelta(days=days_ago)
            session.add(row)


def test_nothing_missing_is_no_banner(store):
    add_slide(store, "S-1")
    with store.read() as session:
        assert notices(session) == []


def test_ignored_files_and_pictures_not_kept_are_banners(store):
    add_slide(store, "S-1")
    ignore(store, 13, "b.zip", "a.zip")
    not_kept(store, 120)
    with store.read() as session:
        kept, ignored = notices(session)
        assert [one.row.path for one in ignored_files(session)] == ["a.zip", "b.zip"]
    assert kept.words.startswith("120 pictures of 1 slide could not be kept")
    assert kept.alarming
    assert (ignored.words, ignored.href, ignored.alarming) == ("13 files ignored", "/ignored", False)
    not_kept(store, 120, days_ago=8)
    with store.read() as session:
        assert [one.words for one in notices(session)] == ["13 files ignored"]


def test_pictures_of_an_earlier_revision_are_no_banner(store):
    """Nothing fills them in any more, so the banner would stay for a week whatever a person does."""
    add_slide(store, "S-1")
    not_kept(store, 120)
    add_slide(store, "S-1")  # the next revision
    with store.read() as session:
        assert notices(session) == []
        assert gaps(session)["pictures_not_kept"] == {"slides": 0, "pictures": 0}


@pytest.mark.parametrize("state", ["classified", "failed"])
def test_page_and_status_count_the_same_pictures(store, state):
    add_slide(store, "S-1", state=state)
    not_kept(store, 7)
    with store.read() as session:
        assert [one.words[:23] for one in notices(session)] == ["7 pictures of 1 slide c"]
        assert gaps(session)["pictures_not_kept"] == {"slides": 1, "pictures": 7}


@pytest.mark.parametrize("where", ["/", "/board/health"])
def test_the_board_leads_to_the_list_of_ignored_files(client, desk, where):
    add_slide(desk.store, "S-1")
    ignore(desk.store, 2, "<b>.zip")
    viewer = client("vera")
    board = viewer.get(where).text
    assert "2 files ignored" in board
    assert 'href="/ignored"' in board
    page = viewer.get("/ignored").text
    assert "&lt;b&gt;.zip" in page
    assert "an archive: unpack it" in page
    assert "The first 1 of 2 are named." in page


def test_the_board_names_a_sidecar_with_problems_and_why_a_slide_waits(client, desk):
    add_slide(desk.store, "S-1")
    with desk.store.write() as session:
        session.execute(update(RevisionRow).values(sidecar_problems=[{"file": "slide.json", "reason": "not used"}]))
    slide = add_slide(desk.store, "S-2", state="queued", reason="this host has no engine", cells=[])
    board = client("vera").get("/?show=all").text
    assert "slide.json: see the slide" in board
    assert "this host has no engine" in board
    assert "this host has no engine" in client("vera").get(f"/slides/{slide}").text
