"""The page of a slide whose sidecar was not understood, or changed after a person signed."""

from seeding import add_slide
from sqlmodel import select

from smear.intervals import ADULT
from smear.slide_facts import SlideFacts
from smear.tables import RevisionRow
from worker.sidecars import take_up


def revision(desk):
    with desk.store.read() as session:
        return session.exec(select(RevisionRow)).one()


def sidecar_says(desk, **fields):
    take_up(desk.store, revision(desk).id, SlideFacts(fields, [], "stat"), ADULT)


def test_a_change_after_signing_stands_on_the_page_and_in_the_audit(client, desk):
    slide = add_slide(desk.store, "S-1", sidecar={"wbc_10e9_L": 5.1, "order_id": "O-1"})
    jonas = client("jonas")
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0}).status_code == 200
    sidecar_says(desk, wbc_10e9_L=5.5, order_id="O-1")
    sidecar_says(desk, wbc_10e9_L=6.0, order_id="O-1")
    page = jonas.get(f"/slides/{slide}").text
    assert "data changed after signing: WBC 5.1 → 6.0." in page
    assert "WBC 5.1 " in page.split('id="panel"')[1]  # the numbers on the page are those that were signed
    assert "changed after signing: WBC 5.1 → 6.0." in page.split('class="maker"')[1]  # on the printed sheet too
    assert "WBC 5.5 → 6.0" in client("ada").get(f"/audit?slide={slide}").text


def test_a_change_after_signing_stands_on_the_printed_sheet_and_in_the_dialog(client, desk):
    slide = add_slide(desk.store, "S-1", sidecar={"order_id": "O-1"})
    jonas = client("jonas")
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0}).status_code == 200
    assert "changed after signing" not in jonas.get(f"/slides/{slide}").text
    sidecar_says(desk, order_id="O-2")
    sheet = jonas.get(f"/slides/{slide}").text.split("W-Net Worker, review")[1]
    assert sheet.count("changed after signing: order O-1 → O-2") == 1
    assert "changed after signing: order O-1 → O-2" in client("maria").get(f"/slides/{slide}/signing").text


def test_an_amendment_takes_the_new_data_and_then_the_notice_goes(client, desk):
    slide = add_slide(desk.store, "S-1", sidecar={"wbc_10e9_L": 5.1})
    jonas = client("jonas")
    jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0})
    sidecar_says(desk, wbc_10e9_L=6.0)
    assert jonas.write(f"/slides/{slide}/amend", json={"reason": "another WBC"}).status_code == 200
    page = jonas.get(f"/slides/{slide}").text
    assert "changed after signing: WBC 5.1 → 6.0." in page
    assert "WBC 6 " in page.split('id="panel"')[1]
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 2}).status_code == 200
    assert "changed after signing" not in jonas.get(f"/slides/{slide}").text


def test_new_data_refuse_a_signature_from_a_page_that_does_not_show_them(client, desk):
    slide = add_slide(desk.store, "S-1", sidecar={"wbc_10e9_L": 5.1})
    sidecar_says(desk, wbc_10e9_L=6.0)
    answer = client("jonas").write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0})
    assert answer.status_code == 409


def test_a_sidecar_that_is_not_understood_is_named_on_the_page(client, desk):
    slide = add_slide(desk.store, "S-1")
    problem = {"file": "slide.json", "reason": "not used: not <JSON>"}
    take_up(desk.store, revision(desk).id, SlideFacts(None, [problem], "stat"), ADULT)
    page = client("vera").get(f"/slides/{slide}").text
    assert "slide.json: not used: not &lt;JSON&gt;" in page
