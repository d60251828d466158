"""The numbers on the board: what stands now, as on the slide's page; withheld and incomplete in words."""

import re

import pytest
from seeding import add_slide
from sqlmodel import select

from review import live
from smear.tables import CellRow


def line(client, slide, show="all"):
    """The text of a slide's line on the board, without tags."""
    rows = client.get(f"/board/rows?show={show}").text
    found = re.search(rf'<tr id="slide-{slide}".*?</tr>', rows, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def five(text):
    """The five per cents of a text, by the letters N, E, B, L, M."""
    return dict(re.findall(r"\b([NEBLM]) (\d+\.\d)\b", text))


def cells(store, slide):
    with store.read() as session:
        return list(session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id)))


def test_the_board_shows_the_models_differential_until_a_person_changes_it(either_client, store):
    slide = add_slide(store, "S-1")
    assert five(line(either_client("vera"), slide)) == {
        "N": "60.0", "E": "0.0", "B": "0.0", "L": "30.0", "M": "10.0",
    }  # fmt: skip
    assert "2 to review" in line(either_client("vera"), slide)


def test_a_persons_changes_stand_on_the_board_at_once(either_client, store):
    slide, untouched = add_slide(store, "S-1"), add_slide(store, "S-2")
    maria, there = either_client("maria"), cells(store, slide)
    maria.label(slide, there[:12], "eosinophil", 0)
    maria.label(slide, there[12:15], "outside", 1, "blast")
    text = line(either_client("vera"), slide)
    assert five(text) == {"N": "52.1", "E": "10.3", "B": "0.0", "L": "28.2", "M": "9.4"}
    assert "relative eosinophilia" in text
    assert "3 other" in text
    assert "to review" not in text.replace("in review", "")
    assert five(line(maria, untouched))["E"] == "0.0"
    maria.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 2})
    maria.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 3})
    assert five(line(maria, slide))["N"] == "60.0"


def test_the_board_and_the_slides_page_show_the_same_numbers_also_while_amending(either_client, store):
    slide = add_slide(store, "S-1")
    maria, there = either_client("maria"), cells(store, slide)
    maria.label(slide, there[:5], "basophil", 0)
    maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1})
    assert five(line(maria, slide))["B"] == "4.2"
    maria.write(f"/slides/{slide}/amend", json={"reason": "looked again"})
    maria.label(slide, there[5:10], "basophil", 3)
    shown = re.findall(r'class="num pc">([\d.]+)<', maria.get(f"/slides/{slide}").text)
    assert list(five(line(maria, slide)).values()) == shown
    assert shown[2] == "8.3"


def test_labels_of_an_earlier_revision_count_in_the_next_one(either_client, store):
    slide = add_slide(store, "S-1")
    maria = either_client("maria")
    maria.label(slide, cells(store, slide)[:12], "eosinophil", 0)
    add_slide(store, "S-1", cells=["neutrophil"] * 120)
    shown = re.findall(r'class="num pc">([\d.]+)<', maria.get(f"/slides/{slide}").text)
    assert list(five(line(maria, slide)).values()) == shown
    assert shown[1] == "10.0"


def test_per_cents_have_one_decimal(either_client, store):
    slide = add_slide(store, "S-1", cells=["neutrophil"] * 77 + ["lymphocyte"] * 30)
    assert five(line(either_client("vera"), slide))["N"] == "72.0"
    assert five(line(either_client("vera"), slide))["L"] == "28.0"


def test_a_withheld_line_says_why_and_shows_no_per_cents(either_client, store):
    slide = add_slide(store, "S-1", cells=["neutrophil"] * 42)
    text = line(either_client("vera"), slide)
    assert "withheld: few cells, 42 of 50" in text
    assert five(text) == {}


def test_a_line_is_withheld_once_people_leave_too_few_cells(either_client, store):
    slide = add_slide(store, "S-1", cells=["neutrophil"] * 55)
    maria = either_client("maria")
    maria.label(slide, cells(store, slide)[:10], "outside", 0, "smudge")
    text = line(maria, slide)
    assert "withheld: few cells, 45 of 50" in text
    assert five(text) == {}
    reason = {"reason": "a child's smear"}
    maria.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 1} | reason)
    text = line(maria, slide)
    assert "withheld: few cells, 45 of 50" in text
    assert five(text) == {}


@pytest.mark.parametrize(("expected", "words"), [(150, True), (120, False), (None, False)])
def test_a_slide_with_fewer_pictures_than_announced_is_incomplete_on_board_and_page(
    either_client, store, expected, words
):
    slide = add_slide(store, "S-1", sidecar=None if expected is None else {"expected_cells": expected})
    vera = either_client("vera")
    assert ("incomplete: 120 of 150" in line(vera, slide)) is words
    assert ("Incomplete: 120 of 150" in vera.get(f"/slides/{slide}").text) is words


def test_files_that_a_manifest_lists_and_that_are_not_there_did_not_come(either_client, store):
    slide = add_slide(store, "S-1", sidecar={"expected_cells": 144}, missing=24)
    maria = either_client("maria")
    assert "incomplete: 120 of 144" in line(maria, slide)
    assert "Incomplete: 120 of 144" in maria.get(f"/slides/{slide}").text
    assert "Reason to sign it" in maria.get(f"/slides/{slide}/signing").text


@pytest.mark.parametrize("state", ["queued", "listed"])
def test_a_slide_that_was_not_read_yet_is_not_called_incomplete(either_client, store, state):
    slide = add_slide(store, "S-1", sidecar={"expected_cells": 150}, state=state)
    vera = either_client("vera")
    assert "ncomplete" not in line(vera, slide)
    assert "ncomplete" not in vera.get(f"/slides/{slide}").text


def test_labels_are_news_of_that_line_for_open_boards(either_client, store):
    slide = add_slide(store, "S-1")
    maria, there = either_client("maria"), cells(store, slide)
    maria.label(slide, there[:1], "basophil", 0)
    seen, _ = live.look(store, None)
    maria.label(slide, there[1:2], "basophil", 1)  # the slide's state is the same as before
    _, events = live.look(store, seen)
    assert [e.data for e in events if e.name == "board"] == [{"slides": [slide]}]
