"""A day at the page on SQLite and on PostgreSQL: every route that people use, and words that a server would refuse."""

from datetime import timedelta

import pytest
from seeding import add_people, add_slide
from sqlmodel import select, update
from web_client import LOOSE, Client

from review.app import create_app
from review.desk import make_desk
from smear.audit import verify
from smear.review_tables import AuditRow, SessionRow
from smear.tables import BundleRow, CellRow, DifferentialRow, ServingRow, utc_now


@pytest.fixture
def page(store, settings, quick_passwords):
    """page(name): a browser at the page on this database, signed in as that person; without a name, nobody's."""
    add_people(store, quick_passwords)
    app = create_app(make_desk(store, settings, quick_passwords, LOOSE), settings)

    def open_as(name=None):
        made = Client(app, base_url="http://127.0.0.1")
        assert name is None or made.sign_in(name).status_code == 303
        return made

    return open_as


def test_a_day_at_the_page(page, store):
    slide = add_slide(store, "S-1", sidecar={"order_id": "A-1", "wbc_10e9_L": 6.0})
    other = add_slide(store, "S-2", source_name="ward", priority=5)
    bad = add_slide(store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    maria, jonas, ada = page("maria"), page("jonas"), page("ada")
    with store.read() as session:
        cells = list(session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id)))
    assert maria.write(f"/slides/{slide}/hold").json() == {"holder": "Maria Lind"}
    assert maria.label(slide, cells[:3], "outside", 0, "blast").json()["version"] == 1
    assert maria.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 1}).json()["can_redo"] == 1
    assert maria.write(f"/slides/{slide}/redo", json={"revision": 1, "version": 2}).json()["version"] == 3
    assert jonas.label(slide, cells[2:4], "basophil", 0).status_code == 409
    assert jonas.write(f"/cells/{cells[0]}/reference", json={"wanted": True}).status_code == 200
    assert maria.write(f"/slides/{slide}/comments", data={"text": "odd\x00", "cell": cells[0]}).status_code == 303
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 3}).status_code == 200
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 4}).status_code == 200
    assert jonas.write(f"/slides/{slide}/amend", json={"reason": "looked again"}).status_code == 200
    assert maria.write(f"/slides/{bad}/retry").status_code == 200
    for path in ("/", "/?show=all&sort=name", "/?show=all&sort=newest&q=a-1", "/board/health", f"/slides/{slide}"):
        assert jonas.get(path).status_code == 200, path
    assert f'href="/slides/{other}"' in maria.get(f"/slides/{slide}").text
    assert "on a cell" in jonas.get(f"/audit?slide={slide}").text
    assert "unbroken" in jonas.write("/audit/verify").text
    assert ada.get("/users").status_code == 200
    assert verify(store).problem is None


def test_what_a_server_cannot_keep_is_no_fault_of_ours(page, store):
    add_slide(store, "S-1")
    maria = page("maria")
    assert maria.get("/?q=%00S-1%00").status_code == 200
    assert page().sign_in("maria\x00", "x\x00").status_code in {401, 422}
    assert maria.get("/?show=all&page=100000").status_code == 200
    assert maria.get("/slides/2147483647").status_code == 404
    assert maria.get("/?source=2147483647").status_code == 200


def test_two_administrators_cannot_unmake_each_other_at_the_same_moment(store, quick_passwords):
    import threading
    import time

    from review import people
    from review.refusal import Refused
    from smear.audit import CONSOLE, append
    from smear.review_tables import UserRow

    rows = add_people(store, quick_passwords)
    people.change_role(store, CONSOLE, rows["jonas"], "administrator")
    refused = []

    def unmake(user):
        try:
            people.change_role(store, CONSOLE, user, "viewer")
        except Refused as error:
            refused.append(error.words)

    both = [threading.Thread(target=unmake, args=(rows[name],)) for name in ("ada", "jonas")]
    with store.write() as session:
        append(session, CONSOLE, "test")  # whoever writes to the audit waits for this one
        for one in both:
            one.start()
        time.sleep(0.5)
    for one in both:
        one.join(60)
    assert refused == ["This is the last administrator: make another one first."]
    with store.read() as session:
        assert len(session.exec(select(UserRow).where(UserRow.role == "administrator")).all()) == 1
    assert verify(store).problem is None


def test_a_database_that_turns_read_only_is_told_in_words_and_needs_no_restart(page, store, standby):
    slide = add_slide(store, "S-1")
    maria = page("maria")
    with store.read() as session:
        (cell, *_) = session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id))
    standby.begin()
    for _ in range(2):
        refused = maria.label(slide, [cell], "basophil", 0)
        assert (refused.status_code, "try again in a moment" in refused.json()["words"]) == (503, True)
    standby.end()
    answers = [maria.label(slide, [cell], "basophil", 0).status_code for _ in range(2)]
    assert 200 in answers
    with store.read() as session:
        assert session.exec(select(AuditRow).where(AuditRow.action == "label")).all()


def test_a_database_that_turns_read_only_can_still_be_read(page, store, standby):
    slide = add_slide(store, "S-1")
    maria = page("maria")
    with store.write() as session:
        session.exec(update(SessionRow).values(seen_at=utc_now() - timedelta(minutes=5)))
    standby.begin()
    assert [maria.get(path).status_code for path in ("/", f"/slides/{slide}")] == [200, 200]
    standby.end()


def test_page_board_and_results_take_the_result_of_the_bundle_in_use(page, store, settings):
    from review import board, labelling
    from review import slide as slides
    from worker.results import results

    slide = add_slide(store, "S-1")
    with store.write() as session:
        first = session.exec(select(DifferentialRow)).one()
        other = BundleRow(bundle_id="wnet@ba9876543210", folder="other", registered_at=utc_now())
        session.add(other)
        session.flush()
        later = first.model_copy(update={"id": None, "bundle": other.id, "total": first.total + 7})
        session.add(DifferentialRow(**later.model_dump()))
        session.add(ServingRow(bundle=first.bundle, since=utc_now()))
    rules = make_desk(store, settings).rules
    for bundle, named, total in ((first.bundle, "wnet@0123456789ab", first.total),
                                 (other.id, "wnet@ba9876543210", first.total + 7)):  # fmt: skip
        with store.write() as session:
            session.exec(update(ServingRow).values(bundle=bundle))
        (result,) = results(store)
        with store.read() as session:
            shown = slides.load(session, rules, slide)
            (line,) = board.page(session, rules, show="all").lines
            of_labels = labelling.bundle_of(session, shown.revision.id)
        assert (result.bundle.bundle_id, shown.bundle, of_labels) == (named, named, named)
        assert (result.differential.total, shown.stored.total, line.total) == (total, total, total)
