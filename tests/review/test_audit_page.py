"""The audit's page: which cell, from what to what, with its picture; the numbers that were signed."""

import re
import time

import pytest
from seeding import add_people, add_slide
from sqlmodel import select

from review import labelling, signing, trail
from review.people import Person
from review.slide import Rules
from smear.audit import append
from smear.intervals import ADULT
from smear.review_tables import AuditRow
from smear.tables import CellRow


RULES = Rules(ADULT, 50, 100, 0.9, "wnet-worker test")


def picture(desk, cell):
    """The address of a cell's kept picture."""
    with desk.store.read() as session:
        return f"/pictures/{session.get(CellRow, cell).sha256}"


def images(page):
    return re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page)


def test_a_line_names_each_cell_with_its_picture_and_what_it_was_and_became(client, desk, slide, cells_of):
    jonas, (first, second, *_) = client("jonas"), cells_of(slide)
    jonas.label(slide, [first, second], "neutrophil", 0, kind="band")
    jonas.label(slide, [second], "outside", 1, kind="blast")
    jonas.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 2})
    page = jonas.get("/audit").text
    undone, moved, labelled = page.split('<div class="move">')[1:]
    assert "2 cells: neutrophil (the model&#39;s proposal) → <b>neutrophil, band</b>" in labelled
    assert images(labelled) == [(picture(desk, first), "cell 1"), (picture(desk, second), "cell 2")]
    assert f'href="/slides/{slide}?revision=1#c{first}"' in labelled
    assert "1 cell: neutrophil, band → <b>other cell: blast</b>" in moved
    assert images(moved) == [(picture(desk, second), "cell 2")]
    assert "1 cell: other cell: blast → <b>neutrophil, band</b>" in undone
    assert jonas.get(picture(desk, first)).status_code == 200


def test_a_label_that_was_taken_back_names_the_proposal_that_holds_again(client, slide, cells_of):
    jonas, cell = client("jonas"), cells_of(slide)[6]
    jonas.label(slide, [cell], "basophil", 0)
    jonas.label(slide, [cell], None, 1)
    assert "1 cell: basophil → <b>lymphocyte (the model&#39;s proposal)</b>" in jonas.get("/audit").text


def test_a_signing_line_shows_the_numbers_that_were_signed(client, desk, cells_of):
    slide = add_slide(desk.store, "S-0002", sidecar={"wbc_10e9_L": 10.0})
    maria = client("maria")
    maria.label(slide, cells_of(slide)[:2], "neutrophil", 0, kind="band")
    maria.label(slide, cells_of(slide)[2:3], "outside", 1, kind="blast")
    maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 2})
    page = client("jonas").get("/audit").text
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split('<div class="signednumbers">')[1].split("</td>")[0]))
    assert re.search(r"neutrophil 59\.7 % 50\.3.68\.6 n 71 5\.97 . 10⁹/L", words)
    assert "lymphocyte 30.3 %" in words
    assert "other cells 1" in words
    assert "neutrophil, band 2, other cell: blast 1" in words


def test_a_withheld_differential_shows_its_counts(client, desk):
    slide = add_slide(desk.store, "S-0003", cells=["neutrophil"] * 20 + ["monocyte"] * 3)
    client("maria").write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0, "reason": "a thin smear"})
    page = client("jonas").get("/audit").text
    assert "Per cents withheld: these are counts" in page
    assert re.search(r"neutrophil</dt><dd><b>20</b>", page)


def test_a_picture_that_is_no_longer_kept_is_said_to_be_gone(client, desk, slide, cells_of):
    jonas, cell = client("jonas"), cells_of(slide)[0]
    jonas.label(slide, [cell], "basophil", 0)
    with desk.store.read() as session:
        desk.pictures.delete(session.get(CellRow, cell).sha256)
    page = jonas.get("/audit").text
    assert images(page) == []
    assert "The picture is no longer kept." in page


def test_lines_about_a_slide_that_was_removed_still_say_what_was_done(client, desk):
    told = {"sha256": "ab" * 32, "label": "basophil", "kind": None}
    with desk.store.write() as session:
        actor = Person(1, "ada", "Ada Admin", "administrator", False).actor
        append(session, actor, "label", slide=77, revision=78, before={"cells": [told | {"label": None}]},
               after={"cells": [told]}, bundle="wnet@0123456789ab")  # fmt: skip
        append(session, actor, "sign", slide=77, revision=78, before={"state": "reviewed"},
               after={"state": "signed", "meaning": "signed", "result": {"counts": {"basophil": 3}}})  # fmt: skip
        append(session, actor, "purge slides", after={"slides": [77], "cells": 3})
    page = client("jonas").get("/audit").text
    assert page.count("number 77, removed") == 2
    assert "/slides/77" not in page
    assert "1 cell: the model&#39;s proposal → <b>basophil</b>" in page
    assert "cell abababab" in page
    assert "1 slide with 3 cells" in page


def test_an_act_on_two_thousand_cells_keeps_the_page_light(client, desk):
    slide = add_slide(desk.store, "S-0004", cells=["neutrophil"] * 2000)
    with desk.store.read() as session:
        cells = list(session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id)))
    jonas = client("jonas")
    for version in range(4):
        answer = jonas.label(slide, cells, "monocyte" if version % 2 else "basophil", version)
        assert answer.status_code == 200
    started = time.process_time()
    page = jonas.get(f"/audit?slide={slide}").text
    assert time.process_time() - started < 1.5
    assert page.count('<span class="caption">') == 4 * 24
    assert len(page) < 100_000
    assert "2000 cells: basophil → monocyte" in page
    number = re.search(r'href="/audit/(\d+)">All 2000 cells', page)[1]
    last = jonas.get(f"/audit/{number}?first=1800").text
    assert last.count('<span class="caption">') == 200
    assert "Cells 1801 to 2000 of 2000." in last
    assert "Further cells" not in last
    assert jonas.get("/audit/999999").status_code == 404


def test_a_reference_cell_is_shown_where_it_was_marked(client, desk, slide, cells_of):
    jonas, cell = client("jonas"), cells_of(slide)[3]
    jonas.label(slide, [cell], "neutrophil", 0, kind="band")
    jonas.write(f"/cells/{cell}/reference", json={"wanted": True})
    page = jonas.get("/audit").text
    with desk.store.read() as session:
        digest = session.get(CellRow, cell).sha256
    assert images(page.split('<div class="move">')[1]) == [(f"/pictures/{digest}", f"cell {digest[:8]}")]
    assert "1 cell: <b>neutrophil, band</b>" in page


@pytest.fixture
def signed_on_either(store, quick_passwords):
    """A slide that was labelled and signed, on SQLite and on PostgreSQL."""
    people = add_people(store, quick_passwords)
    maria = Person(people["maria"], "maria", "Maria Lind", "technologist", False)
    slide = add_slide(store, "S-0001")
    with store.read() as session:
        cells = list(session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id)))
    labelling.relabel(store, maria, slide, cells=cells[:3], label="outside", kind="blast", seen_version=0)
    signing.sign(store, RULES, maria, slide, 1)
    return store


def test_either_database_gives_the_same_entries(signed_on_either):
    with signed_on_either.read() as session:
        signed, labelled = trail.entries(session, lambda _: True)
        alone = trail.line(session, lambda _: True, 1, 0)
    (move,) = labelled.moves
    assert (move.old, move.new) == ("neutrophil (the model's proposal)", "other cell: blast")
    assert [c.number for c in move.cells] == [1, 2, 3]
    assert (labelled.cells, labelled.more, labelled.what) == (3, 0, "")
    assert alone.moves == labelled.moves
    assert signed.signed.outside == 3
    assert signed.signed.types[0].count == 69
    with signed_on_either.read() as session:
        assert [row.action for row in session.exec(select(AuditRow).order_by(AuditRow.number))] == ["label", "sign"]
