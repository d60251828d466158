"""Reference cells: what is shipped, the panel on a slide's page, and the browser."""

import csv
import hashlib
import re
from collections import Counter

import pytest
from PIL import Image

from review import references
from smear import shipped
from smear.cells import CELL_TYPES
from smear.kinds import KINDS, OUTSIDE, is_kind


FOLDER = shipped.folder("references")


def rows():
    with (FOLDER / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_there_are_twelve_or_more_of_each_type_and_six_or_more_of_each_shipped_kind():
    types = Counter(row["label"] for row in rows())
    assert all(types[t] >= 12 for t in CELL_TYPES)
    kinds = Counter((row["label"], row["kind"]) for row in rows() if row["kind"])
    assert {kind for label, kind in kinds if label == "neutrophil"} == {"segmented", "band"}
    assert len([kind for label, kind in kinds if label == OUTSIDE]) == 5
    assert min(kinds.values()) >= 6
    assert all(is_kind(row["label"], row["kind"] or None) for row in rows())
    assert all(row["kind"] for row in rows() if row["label"] == OUTSIDE)


def test_the_list_names_every_picture_with_its_content():
    assert {FOLDER / row["file"] for row in rows()} == set(FOLDER.glob("*/*"))
    for row in rows():
        assert digest(FOLDER / row["file"]) == row["sha256"]
        with Image.open(FOLDER / row["file"]) as picture:
            assert (picture.format, picture.width >= 340, picture.height >= 340) == ("JPEG", True, True)


def test_no_reference_cell_is_shown_twice_or_is_in_another_shipped_folder():
    """By content, and by the content of the original where a folder holds pictures that were cut and saved again."""
    ours = [row["sha256"] for row in rows()]
    assert len(set(ours)) == len(ours)
    for name in ("samples", "holdout", "core", "outside"):
        folder = shipped.folder(name)
        theirs = {digest(path) for path in folder.rglob("*.jpg")}
        if (folder / "metadata.csv").exists():
            with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
                theirs |= {row["source_sha256"] for row in csv.DictReader(file)}
        assert theirs
        assert not theirs & set(ours), name


def test_they_carry_attribution_and_keep_within_their_size():
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(part in text for part in ("CC BY 4.0", "Acevedo", "10.17632/snkd93bnjr.1", "changed"))
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 2_500_000


def test_the_browser_shows_all_of_a_type_and_of_a_kind_and_every_picture_is_served(client):
    vera = client("vera")
    for label in (*CELL_TYPES, OUTSIDE):
        page = vera.get(f"/references?label={label}").text
        urls = re.findall(r'<li><a href="(/references/[0-9a-f]{64}/picture)"', page)
        assert len(urls) == sum(row["label"] == label for row in rows())
        contents = {hashlib.sha256(vera.get(url).content).hexdigest() for url in urls}
        assert contents == {row["sha256"] for row in rows() if row["label"] == label}
    bands = vera.get("/references?label=neutrophil&kind=band").text
    assert len(re.findall(r"<li><a href", bands)) == sum(row["kind"] == "band" for row in rows())
    assert "neutrophil, segmented" not in bands
    blasts = vera.get("/references?label=outside&kind=blast").text
    assert "There is no reference cell of this kind yet" in blasts
    assert "blast: none yet" in blasts
    assert 'href="/references"' in vera.get("/").text


def sha256_of(desk, cell):
    from smear.tables import CellRow

    with desk.store.read() as session:
        return session.get(CellRow, cell).sha256


def test_own_reference_cells_come_first_with_who_marked_them_and_on_which_slide(client, desk, slide, cells_of):
    jonas, (first, second, *_) = client("jonas"), cells_of(slide)
    jonas.label(slide, [first], "neutrophil", 0, kind="band")
    jonas.label(slide, [second], "neutrophil", 1, kind="segmented")
    for cell in (first, second):
        assert jonas.write(f"/cells/{cell}/reference", json={"wanted": True}).status_code == 200
    page = jonas.get("/references?label=neutrophil").text
    urls = re.findall(r'<li><a href="([^"]+)"', page)
    shipped_first = next(row["sha256"] for row in rows() if row["label"] == "neutrophil")
    own = [f"/pictures/{sha256_of(desk, cell)}" for cell in (second, first)]
    assert urls[:3] == [*own, f"/references/{shipped_first}/picture"]
    assert "marked by Jonas Weber, slide S-0001" in page
    assert re.findall(r'<li><a href="([^"]+)"', jonas.get("/references?label=neutrophil&kind=band").text)[0] == urls[1]
    assert re.findall(r'<img src="([^"]+)"', jonas.get("/references/panel?label=neutrophil").text)[:2] == urls[:2]


def test_an_own_reference_cell_whose_picture_is_gone_is_not_shown(client, desk, slide, cells_of):
    jonas, cell = client("jonas"), cells_of(slide)[0]
    jonas.label(slide, [cell], "basophil", 0)
    jonas.write(f"/cells/{cell}/reference", json={"wanted": True})
    sha256 = sha256_of(desk, cell)
    assert f"/pictures/{sha256}" in jonas.get("/references?label=basophil").text
    desk.pictures.delete(sha256)
    for where in ("/references?label=basophil", "/references/panel?label=basophil"):
        assert f"/pictures/{sha256}" not in jonas.get(where).text


def test_the_panel_shows_shipped_cells_of_the_kind_or_of_all_kinds_in_turn(client):
    vera = client("vera")

    def named(query):
        return re.findall(r'alt="Shipped reference cell, ([^"]+)"', vera.get(f"/references/panel?{query}").text)

    assert Counter(named("label=neutrophil")) == {"neutrophil, segmented": 3, "neutrophil, band": 3}
    assert named("label=neutrophil&kind=band") == ["neutrophil, band"] * 6
    assert named("label=outside&kind=myelocyte") == ["other cell: myelocyte"] * 6
    assert len(set(named("label=outside"))) == 5
    # Of kinds that are not shipped, those that are there are better than none.
    assert len(named("label=outside&kind=blast")) == 6


def test_a_type_that_is_none_and_a_content_that_is_not_shipped_are_refused(client):
    vera = client("vera")
    assert vera.get("/references?label=x").status_code == 422
    assert vera.get(f"/references/{'0' * 64}/picture").status_code == 404


def test_without_the_shipped_folder_the_pages_still_work(client, monkeypatch):
    def missing(name):
        raise FileNotFoundError(name)

    references.shipped_cells.cache_clear()
    monkeypatch.setattr(shipped, "folder", missing)
    try:
        vera = client("vera")
        assert "There is no reference cell" in vera.get("/references").text
        assert "None yet" in vera.get("/references/panel").text
    finally:
        references.shipped_cells.cache_clear()


@pytest.mark.timeout(300)
def test_the_browser_is_walked_by_keyboard_in_light_and_dark(new_page, address):
    for scheme in ("light", "dark"):
        page = new_page("vera", color_scheme=scheme)
        page.goto(f"{address}/references")
        page.wait_for_function("() => document.getElementById('large').naturalWidth > 300")
        assert "1 of 24" in page.inner_text("#caption")
        page.keyboard.press("ArrowRight")
        assert "2 of 24" in page.inner_text("#caption")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        assert "24 of 24" in page.inner_text("#caption")
        page.keyboard.press("3")
        page.wait_for_url("**/references?label=basophil*")
        page.wait_for_function("() => document.getElementById('large')?.naturalWidth > 300")
        page.keyboard.press("0")
        page.wait_for_url("**/references?label=outside*")
        page.wait_for_function("() => document.getElementById('large')?.naturalWidth > 300")
        page.keyboard.press(next(k.key for k in KINDS[OUTSIDE] if k.name == "myelocyte"))
        page.wait_for_url("**/references?label=outside&kind=myelocyte*")
        page.wait_for_function("() => document.getElementById('large')?.naturalWidth > 300")
        assert "other cell: myelocyte" in page.inner_text("#caption")
        # Full-screen: the picture takes most of the window, and the window does not scroll.
        size = page.evaluate("() => document.getElementById('large').getBoundingClientRect().height / innerHeight")
        assert size > 0.6
        assert page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
        filters = page.evaluate("() => [...document.images].map((i) => getComputedStyle(i).filter)")
        assert set(filters) == {"none"}


@pytest.mark.timeout(300)
def test_the_browser_is_reached_from_a_slide_with_the_type_of_the_cell_in_focus(new_page, slide, address):
    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector("#i-refs .refs img")
    with page.context.expect_page() as opened:
        page.click("#i-refs .refshead a")
    opened.value.wait_for_selector("#large")
    assert opened.value.url.startswith(f"{address}/references?label=neutrophil")
