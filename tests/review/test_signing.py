"""Signatures: first, second, amended; locked in between; and what exactly was signed."""

import pytest
from seeding import add_slide
from sqlmodel import select

from smear.audit import verify
from smear.review_tables import AuditRow, SignatureRow


def signatures(desk):
    with desk.store.read() as session:
        return list(session.exec(select(SignatureRow).order_by(SignatureRow.id)))


def test_a_signed_slide_is_locked_until_it_is_amended_with_a_reason(client, desk, slide, cells_of):
    maria, cell = client("maria"), cells_of(slide)[0]
    assert maria.label(slide, [cell], "eosinophil", 0).status_code == 200
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1}).status_code == 200
    answer = maria.label(slide, [cell], "basophil", 2)
    assert (answer.status_code, "signed and locked" in answer.json()["words"]) == (409, True)
    assert maria.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 2}).status_code == 409
    assert maria.write(f"/slides/{slide}/amend", json={"reason": " no "}).status_code == 422
    assert maria.write(f"/slides/{slide}/amend", json={"reason": "wrong patient's notes"}).status_code == 200
    version = maria.label(slide, [cell], "basophil", 3).json()["version"]
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": version}).status_code == 200
    first, amended = signatures(desk)
    assert (first.meaning, first.result["counts"]["eosinophil"], first.result["counts"]["basophil"]) == ("signed", 1, 0)
    assert (amended.meaning, amended.reason) == ("amended", "wrong patient's notes")
    assert (amended.result["counts"]["eosinophil"], amended.result["counts"]["basophil"]) == (0, 1)
    assert amended.result["proposal"]["counts"]["basophil"] == 0
    assert amended.result["bundle"] == "wnet@0123456789ab"
    assert set(amended.result["versions"]) == {"software", "intervals", "min_cells", "low_count_cells", "review_below"}
    with desk.store.read() as session:
        told = session.exec(select(AuditRow).where(AuditRow.action == "sign").order_by(AuditRow.number)).all()
    assert [row.reason for row in told] == [None, "wrong patient's notes"]
    assert told[0].versions["intervals"].startswith("adult@")
    assert verify(desk.store).problem is None


def test_nobody_signs_what_he_has_not_seen(client, desk, slide, cells_of):
    maria, jonas = client("maria"), client("jonas")
    maria.label(slide, cells_of(slide)[:1], "eosinophil", 0)
    answer = jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0})
    assert (answer.status_code, "changed after you opened it" in answer.json()["words"]) == (409, True)
    assert signatures(desk) == []


def test_the_second_signature_is_another_persons_and_the_last(client, desk, slide):
    maria, jonas = client("maria"), client("jonas")
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0}).status_code == 200
    answer = maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1})
    assert (answer.status_code, answer.json()["words"]) == (409, "Another person countersigns.")
    assert "Countersign <kbd>" in jonas.get(f"/slides/{slide}").text
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1}).status_code == 200
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 2}).status_code == 409
    first, second = signatures(desk)
    assert (second.meaning, second.result) == ("second", first.result)


@pytest.mark.parametrize("state", ["arriving", "queued", "failed", "listed"])
def test_only_a_classified_slide_is_signed(client, desk, state):
    slide = add_slide(desk.store, "S-2", cells=[], state=state, reason="because")
    assert client("maria").write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0}).status_code == 409


def test_what_was_signed_stands_on_the_board(client, desk, slide, cells_of):
    maria = client("maria")
    maria.label(slide, cells_of(slide)[:30], "eosinophil", 0)
    maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1})
    page = maria.get("/?show=signed").text
    assert "relative eosinophilia" in page
    assert "25" in page


def test_a_later_revision_is_open_and_the_signature_of_the_first_stays(client, desk, slide):
    maria = client("maria")
    maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0})
    add_slide(desk.store, "S-0001", cells=["neutrophil"] * 125)
    assert "Sign <kbd>" in maria.get(f"/slides/{slide}").text
    old = maria.get(f"/slides/{slide}?revision=1").text
    assert "This is an earlier revision" in old
    assert "Maria Lind" in old


def test_a_revision_that_came_meanwhile_is_neither_signed_nor_changed_unseen(
    client, desk, slide, cells_of, sample_pictures
):
    maria, jonas = client("maria"), client("jonas")
    first = cells_of(slide)[0]
    assert maria.label(slide, [first], "eosinophil", 0).status_code == 200
    add_slide(desk.store, "S-0001", cells=["neutrophil"] * 125, pictures=desk.pictures, files=sample_pictures)
    assert jonas.label(slide, [first], "basophil", 0, revision=2).status_code == 200
    # Maria still looks at revision 1; its version 1 is also that of revision 2, which she has not seen.
    for answer in (
        maria.label(slide, [first], "monocyte", 1),
        maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1}),
        maria.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 1}),
    ):
        assert (answer.status_code, "it is revision 2 now" in answer.json()["words"]) == (409, True)
    assert signatures(desk) == []
    assert maria.get(f"/slides/{slide}/changes?since=0").json()["changes"][0]["label"] == "basophil"
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 2, "version": 1}).status_code == 200


def test_every_line_about_a_result_says_under_which_versions(client, desk, slide, cells_of):
    maria = client("maria")
    maria.label(slide, cells_of(slide)[:1], "eosinophil", 0)
    for act, version in (("undo", 1), ("redo", 2), ("sign", 3)):
        answer = maria.write(f"/slides/{slide}/{act}", json={"revision": 1, "version": version})
        assert answer.status_code == 200, act
    with desk.store.read() as session:
        told = session.exec(select(AuditRow).where(AuditRow.slide == slide).order_by(AuditRow.number)).all()
    assert [row.action for row in told] == ["label", "undo", "redo", "sign"]
    assert [row.versions for row in told] == [desk.rules.versions] * 4
    assert {row.bundle for row in told} == {"wnet@0123456789ab"}
    assert verify(desk.store).problem is None
