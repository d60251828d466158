"""The signing dialog, the printed sheet, both themes and a tablet, in a real browser."""

import re
from datetime import timedelta

import pytest
from seeding import PASSWORD, add_slide
from sqlmodel import select, update

from smear.review_tables import SessionRow, SignatureRow
from smear.tables import utc_now


pytestmark = pytest.mark.timeout(300)

TABLETS = [(768, 1024), (820, 1180), (1024, 768)]


def open_slide(page, address, slide):
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    page.wait_for_load_state("load")


def open_dialog(page):
    page.keyboard.press("g")
    page.wait_for_selector("#d-sign[open]")


def test_the_dialog_shows_the_numbers_and_starts_with_cancel_in_focus(new_page, desk, slide, address):
    page = new_page("maria")
    open_slide(page, address, slide)
    page.keyboard.press("4")
    page.wait_for_function("() => document.querySelector('#slide').dataset.version === '1'")
    open_dialog(page)
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    row = page.locator("#d-sign tbody tr").nth(3).inner_text().split()
    assert row[:3] == ["lymphocyte", "37", "30.8"]
    assert "1 doubtful cell not reviewed" in page.inner_text("#d-sign .warnings")
    page.keyboard.press("Enter")
    page.wait_for_selector("#d-sign:not([open])", state="attached")
    with desk.store.read() as session:
        assert session.exec(select(SignatureRow)).all() == []


def test_reason_and_password_are_typed_in_the_dialog(new_page, desk, address, sample_pictures):
    slide = add_slide(desk.store, "S-1", sidecar={"expected_cells": 150}, pictures=desk.pictures, files=sample_pictures)
    page = new_page("maria")
    open_slide(page, address, slide)
    open_dialog(page)
    assert not page.is_visible("#d-sign [type=password]")
    page.fill("#d-sign textarea", "the smear is short")
    with desk.store.write() as session:  # while the dialog is open, the time runs out
        session.execute(update(SessionRow).values(password_at=utc_now() - timedelta(hours=1)))
    page.click("#d-sign button.primary")
    page.wait_for_selector("#d-sign [type=password]:focus")
    page.keyboard.type("a donkey, a kingdom")
    page.keyboard.press("Enter")
    page.wait_for_selector("#d-sign .problem >> text=The password is not right.")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.signed")
    with desk.store.read() as session:
        signature = session.exec(select(SignatureRow)).one()
    assert (signature.reason, signature.result["warnings"][0]) == ("the smear is short", "incomplete: 120 of 150")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_the_dialog(new_page, desk, address, scheme):
    from axe_playwright_python.sync_playwright import Axe

    slide = add_slide(desk.store, "S-1", cells=["eosinophil"] * 60, sidecar={"expected_cells": 150, "wbc_10e9_L": 6.0})
    # The page's own policy would refuse a script from outside, which is what axe is.
    page = new_page("maria", color_scheme=scheme, bypass_csp=True)
    open_slide(page, address, slide)
    open_dialog(page)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:160]) for v in found if v["impact"] in {"serious", "critical"}] == []


def test_a_server_out_of_reach_is_said_in_the_dialog_and_the_signature_is_tried_again(new_page, slide, address):
    page = new_page("maria")
    open_slide(page, address, slide)
    open_dialog(page)
    page.route("**/sign", lambda route: route.abort())
    page.click("#d-sign button.primary")
    page.wait_for_selector("#d-sign .problem >> text=does not reach the server")
    page.unroute("**/sign")
    page.click("#d-sign button.primary")
    page.wait_for_selector(".notice.signed")


def test_a_slide_that_changes_under_the_open_dialog_is_not_signed(new_page, desk, slide, address, client, cells_of):
    page = new_page("maria")
    open_slide(page, address, slide)
    open_dialog(page)
    page.wait_for_timeout(700)
    client("jonas").label(slide, cells_of(slide)[:1], "basophil", 0)
    page.wait_for_function(
        "() => document.querySelector('#slide').dataset.version === '1'"
    )  # the page knows; a person may not
    page.click("#d-sign button.primary")
    page.wait_for_selector("#conflict:not([hidden])")
    assert "changed after you opened it" in page.inner_text("#conflict")
    assert not page.is_visible("#d-sign")
    page.wait_for_selector("#panel tr[data-label=basophil] .count >> text=1")


def test_a_printed_slide_is_one_sheet_without_the_gallery(new_page, desk, address, sample_pictures, tmp_path):
    import pypdf

    told = {"order_id": "A-77", "wbc_10e9_L": 6.8, "expected_cells": 410}
    mix = (["neutrophil"] * 12 + ["lymphocyte"] * 6 + ["monocyte", "eosinophil"]) * 20
    slide = add_slide(desk.store, "S-PRINT", cells=mix, sidecar=told, pictures=desk.pictures, files=sample_pictures)
    page = new_page("maria", color_scheme="dark")
    open_slide(page, address, slide)
    page.keyboard.press("2")
    page.wait_for_function("() => document.querySelector('#slide').dataset.version === '1'")
    open_dialog(page)
    page.fill("#d-sign textarea", "the smear is short")
    page.click("#d-sign button.primary")
    page.wait_for_selector(".notice.signed")
    file = tmp_path / "sheet.pdf"
    page.pdf(path=file, prefer_css_page_size=True)
    printed = pypdf.PdfReader(file)
    assert len(printed.pages) == 1
    assert [round(float(side)) for side in printed.pages[0].mediabox[2:]] == [595, 842]
    assert len(printed.pages[0].images) == 0
    text = re.sub(r"\s+", " ", printed.pages[0].extract_text())
    for words in (
        "S-PRINT", "A-77", "signed", "incomplete: 400 of 410", "59.8", "4.07", "Maria Lind", "the smear is short",
        "wnet@0123456789ab", "fake, fp32", "For Research Use Only. Not for use in diagnostic procedures.",
    ):  # fmt: skip
        assert words in text, words
    for words in ("Amend", "Countersign", "Board", "Remarks", "confirm"):
        assert words not in text, words


def test_the_sheet_follows_the_changes_on_the_open_page(new_page, slide, address):
    page = new_page("maria")
    open_slide(page, address, slide)
    page.keyboard.press("3")
    page.wait_for_function("() => document.querySelector('#sheet tbody tr:nth-child(3) td').textContent === '1'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_theme_filters_dims_or_tints_a_picture_of_a_cell(new_page, slide, address, scheme):
    page = new_page("jonas", color_scheme=scheme)
    open_slide(page, address, slide)
    page.wait_for_selector("#i-refs .refs img")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("f")
    page.wait_for_selector("#d-zoom[open] #zoomed")
    styles = page.evaluate("""() => {
        const found = [];
        for (const picture of document.querySelectorAll(".cell img, #portrait, .refs img, #zoomed")) {
            for (let at = picture; at; at = at.parentElement) {
                const style = getComputedStyle(at);
                found.push([style.filter, style.opacity, style.mixBlendMode, style.backdropFilter].join(" "));
            }
        }
        for (const cell of document.querySelectorAll(".cell")) {
            found.push(`over ${getComputedStyle(cell, "::after").backgroundColor}`);
        }
        return [...new Set(found)];
    }""")
    assert sorted(styles) == ["none 1 normal none", "over rgba(0, 0, 0, 0)"]


@pytest.mark.parametrize(("width", "height"), TABLETS)
def test_every_button_on_a_tablet_says_its_word(new_page, slide, address, width, height):
    page = new_page("jonas", viewport={"width": width, "height": height}, has_touch=True)
    open_slide(page, address, slide)
    words = page.evaluate("""() => [...document.querySelectorAll(
            ".top button, .slidehead :is(a, button), .dock button")]
        .filter((one) => one.checkVisibility())
        .map((one) => {
            const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
            let seen = "";
            while (walk.nextNode()) {
                const box = walk.currentNode.parentElement;
                const { width, height } = box.getBoundingClientRect();
                if (box.tagName !== "KBD" && width > 2 && height > 2) seen += walk.currentNode.textContent;
            }
            return seen.replace(/\\s+/g, " ").trim();
        })""")
    assert [w for w in words if not re.search(r"[a-z]{3}", w)] == []
    assert {"neutrophil", "lymphocyte", "confirm", "undo", "redo", "several", "keys", "Theme", "Sign"} <= set(words)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [768, 980, 1024, 1181, 1280])
def test_no_column_of_the_differential_is_cut_off(new_page, desk, address, width):
    mix = ["neutrophil"] * 60 + ["lymphocyte"] * 60
    slide = add_slide(desk.store, "S-1", cells=mix, analyser=mix, sidecar={"wbc_10e9_L": 123.4})
    page = new_page("jonas", viewport={"width": width, "height": 900})
    open_slide(page, address, slide)
    edges = page.evaluate("""() => {
        const card = document.getElementById("panel").getBoundingClientRect();
        return [document.querySelector("#panel .diffs").getBoundingClientRect().right, card.right];
    }""")
    assert edges[0] <= edges[1], edges


def test_the_board_renews_its_numbers_while_another_person_labels(new_page, desk, slide, address, client, cells_of):
    page = new_page("vera")
    page.goto(f"{address}/?show=all")
    page.wait_for_selector("#rows >> text=60.0")
    page.wait_for_timeout(700)
    maria = client("maria")
    maria.label(slide, cells_of(slide)[:6], "eosinophil", 0)
    page.wait_for_selector("#rows >> text=55.0")
    maria.label(slide, cells_of(slide)[6:12], "eosinophil", 1)
    page.wait_for_selector(".l-eosinophil >> text=10.0", timeout=15_000)
