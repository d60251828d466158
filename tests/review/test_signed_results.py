"""What people sign on the page is what `worker results` hands on."""

from sqlmodel import select

from smear.tables import DifferentialRow
from worker.results import results


def result(desk):
    (found,) = results(desk.store)
    return found.to_object()


def test_what_is_signed_on_the_page_is_the_result_of_the_slide(client, desk, slide, cells_of):
    maria, jonas, cell = client("maria"), client("jonas"), cells_of(slide)[0]
    assert maria.label(slide, [cell], "basophil", 0).status_code == 200
    unsigned = result(desk)
    assert (unsigned["state"], unsigned["reported_by"], unsigned["counts"]["basophil"]) == ("reviewed", "model", 0)
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1}).status_code == 200
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 2}).status_code == 200
    signed = result(desk)
    assert (signed["reported_by"], signed["signed_by"], signed["countersigned_by"]) == (
        "signature", "Maria Lind", "Jonas Weber",
    )  # fmt: skip
    assert (signed["counts"]["basophil"], signed["model"]["counts"]["basophil"]) == (1, 0)
    assert signed["percent"]["basophil"] == 0.8
    assert (signed["bundle"], signed["backend"]) == ("wnet@0123456789ab", "fake-fp32")
    with desk.store.read() as session:
        assert session.exec(select(DifferentialRow.basophil)).one() == 0  # the model's row is as it was

    assert maria.write(f"/slides/{slide}/amend", json={"reason": "wrong slide"}).status_code == 200
    assert maria.label(slide, [cell], "eosinophil", 4).status_code == 200
    open_again = result(desk)
    assert (open_again["state"], open_again["amending"], open_again["counts"]) == ("reviewed", True, signed["counts"])
    assert maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 5}).status_code == 200
    amended = result(desk)
    assert (amended["amended"], amended["amending"], amended["countersigned_by"]) == (True, False, None)
    assert (amended["counts"]["basophil"], amended["counts"]["eosinophil"]) == (0, 1)


def test_a_slide_signed_with_too_few_cells_is_withheld_everywhere(client, desk, slide, cells_of):
    maria = client("maria")
    assert maria.label(slide, cells_of(slide)[:80], "outside", 0).status_code == 200
    signature = {"revision": 1, "version": 1, "reason": "no more blood to be had"}
    assert maria.write(f"/slides/{slide}/sign", json=signature).status_code == 200
    signed = result(desk)
    assert (signed["withheld"], sum(signed["counts"].values())) == ("few cells", 40)
    assert {signed["percent"], signed["model"]["percent"], signed["prior_adjusted"]} == {None}
    assert sum(signed["model"]["counts"].values()) == 120
