"""The page in a real browser: what a technologist does in a day, by keyboard, and two at once."""

import re

import pytest
from seeding import add_gaps, add_slide
from sqlmodel import select

from smear.review_tables import LabelRow, SignatureRow
from smear.tables import CellRow, RevisionRow


pytestmark = pytest.mark.timeout(300)


def counted(page, cell_type):
    return int(page.inner_text(f"#panel tr[data-label={cell_type}] .count"))


def wait_for_count(page, cell_type, n):
    page.wait_for_function(
        "([t, n]) => document.querySelector(`#panel tr[data-label=${t}] .count`).textContent === String(n)",
        arg=[cell_type, n],
    )


def test_a_slide_that_arrives_stands_on_the_open_board_by_itself(new_page, desk):
    page = new_page("maria")
    assert "Nothing to do" in page.inner_text("#rows")
    page.wait_for_timeout(600)
    add_slide(desk.store, "S-LIVE", sidecar={"order_id": "A-77"})
    page.wait_for_selector("#rows >> text=S-LIVE")
    assert "A-77" in page.inner_text("#rows")
    page.wait_for_function("() => document.querySelector('#count-todo').textContent === '1'")


def test_a_slide_is_reviewed_undone_signed_and_amended_by_keyboard_alone(new_page, desk, slide):  # noqa: PLR0915 - one day
    page = new_page("maria")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell.current")
    assert (counted(page, "neutrophil"), counted(page, "eosinophil")) == (72, 0)
    assert page.inner_text("#left").startswith("2 to review")

    page.keyboard.press("2")  # the least certain neutrophil is an eosinophil
    wait_for_count(page, "eosinophil", 1)
    assert counted(page, "neutrophil") == 71
    assert "1 to review" in page.inner_text("#left")
    assert page.locator(".group[data-label=eosinophil] .cell").count() == 1

    page.keyboard.press("z")
    wait_for_count(page, "eosinophil", 0)
    page.keyboard.press("y")
    wait_for_count(page, "eosinophil", 1)

    page.keyboard.press("n")
    page.keyboard.press("Enter")  # the other one is as the model says
    page.wait_for_selector("#left.done")

    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#chosen") == "3 chosen"
    page.keyboard.press("0")
    page.keyboard.press("b")  # three blasts
    wait_for_count(page, "outside", 3)
    assert "3 blast" in page.inner_text("#panel")
    page.keyboard.press("Control+z")
    wait_for_count(page, "outside", 0)

    page.keyboard.press("Home")
    page.keyboard.press("b")
    page.wait_for_selector(".tag.kind >> text=band")
    page.keyboard.press("g")
    page.wait_for_selector("#d-sign[open]")
    page.keyboard.press("Tab")  # from Cancel to Sign
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.signed")
    with desk.store.read() as session:
        (signature,) = session.exec(select(SignatureRow)).all()
        assert signature.result["counts"]["eosinophil"] == 1
        assert signature.result["proposal"]["counts"]["eosinophil"] == 0
        assert signature.result["kinds"] == {"neutrophil:band": 1}
    assert counted(page, "eosinophil") == 1
    page.keyboard.press("1")  # locked: nothing moves
    page.wait_for_timeout(300)
    assert counted(page, "neutrophil") == 71

    page.focus("[data-do=amend]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#d-amend[open]")
    page.focus("#reason")
    page.keyboard.type("looked again with the haematologist")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.amending")
    page.wait_for_selector(".cell.current")
    page.keyboard.press("4")
    page.wait_for_function("() => document.querySelector('#slide').dataset.version > 8")
    page.keyboard.press("g")
    page.wait_for_selector("#d-sign[open]")
    page.keyboard.press("Tab")  # from Cancel to Sign
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.signed")
    assert "signed the amendment" in page.inner_text(".signing")
    assert "looked again with the haematologist" in page.inner_text(".signing")


def test_two_people_on_one_slide_see_each_other_and_lose_nothing(new_page, desk, slide, address):
    maria, jonas = new_page("maria"), new_page("jonas")
    for page in (maria, jonas):
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_selector(".cell.current")
    first = maria.locator(".cell.current").get_attribute("id")
    # Jonas hears nothing for a while, and both decide on the same cell.
    jonas.context.set_offline(True)
    maria.keyboard.press("4")
    wait_for_count(maria, "lymphocyte", 37)
    jonas.route("**/events", lambda route: route.abort())
    jonas.route("**/changes?*", lambda route: route.abort())
    jonas.context.set_offline(False)
    jonas.keyboard.press("5")
    jonas.wait_for_selector("#conflict:not([hidden])")
    said = jonas.inner_text("#conflict")
    assert re.match(r"Maria Lind changed cell \d+ \(lymphocyte\) before you\. Your change was not made", said)
    with desk.store.read() as session:
        (label,) = session.exec(select(LabelRow)).all()
    assert (f"c{label.cell}", label.label) == (first, "lymphocyte")


def test_what_another_person_does_is_seen_at_once(new_page, desk, slide, address):
    maria, jonas = new_page("maria"), new_page("jonas")
    for page in (maria, jonas):
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_selector(".cell.current")
    jonas.wait_for_timeout(700)
    maria.keyboard.press("3")
    wait_for_count(jonas, "basophil", 1)
    jonas.wait_for_selector(".toast >> text=Maria Lind changed a cell just now")
    assert jonas.locator(".group[data-label=basophil] .cell").count() == 1


def test_cells_are_moved_by_dragging_and_by_menu(new_page, slide, address):
    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    page.drag_and_drop(".group[data-label=neutrophil] .cell >> nth=3", "#panel tr[data-label=monocyte]")
    wait_for_count(page, "monocyte", 13)
    page.locator(".group[data-label=neutrophil] .cell").nth(2).click(button="right")
    page.click("#d-menu [data-put=basophil]")
    wait_for_count(page, "basophil", 1)
    page.locator(".cell").first.dblclick()
    page.wait_for_selector("#d-zoom[open] #zoomed")
    page.keyboard.press("Escape")


def test_news_that_comes_in_the_middle_of_a_drag_does_not_lose_the_drop(new_page, slide, address):
    maria, jonas = new_page("maria"), new_page("jonas")
    for page in (maria, jonas):
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_selector(".cell.current")
    jonas.wait_for_timeout(700)
    jonas.locator(".group[data-label=neutrophil] .cell").nth(3).hover()
    jonas.mouse.down()
    jonas.locator("#panel tr[data-label=monocyte]").hover()
    jonas.wait_for_selector(".cell.dragging")
    with jonas.expect_response("**/changes?*"):
        maria.keyboard.press("3")
    jonas.wait_for_timeout(300)
    assert counted(jonas, "basophil") == 0
    jonas.mouse.up()
    wait_for_count(jonas, "monocyte", 13)
    wait_for_count(jonas, "basophil", 1)


def test_a_cell_that_another_person_labels_while_it_is_dragged_keeps_that_label(new_page, desk, slide, address):
    maria, jonas = new_page("maria"), new_page("jonas")
    for page in (maria, jonas):
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_selector(".cell.current")
    jonas.wait_for_timeout(700)
    first = maria.locator(".cell.current").get_attribute("id")
    jonas.locator(f"#{first}").hover()
    jonas.mouse.down()
    jonas.locator("#panel tr[data-label=monocyte]").hover()
    jonas.wait_for_selector(".cell.dragging")
    with jonas.expect_response("**/changes?*"):
        maria.keyboard.press("3")
    jonas.mouse.up()
    jonas.wait_for_selector("#conflict:not([hidden])")
    assert "Your change was not made" in jonas.inner_text("#conflict")
    wait_for_count(jonas, "basophil", 1)
    with desk.store.read() as session:
        (label,) = session.exec(select(LabelRow)).all()
    assert (f"c{label.cell}", label.label) == (first, "basophil")


def test_drags_whose_end_a_browser_does_not_tell_hold_nothing_up(new_page, desk, slide, address):
    maria, jonas = new_page("maria"), new_page("jonas")
    for page in (maria, jonas):
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_selector(".cell.current")
    jonas.wait_for_timeout(700)
    event = """([name, at]) => document.querySelector(at).dispatchEvent(
        new DragEvent(name, {bubbles: true, dataTransfer: new DataTransfer()}))"""
    jonas.evaluate(event, ["dragstart", ".group[data-label=neutrophil] .cell:nth-child(6)"])
    with jonas.expect_response("**/changes?*"):
        maria.keyboard.press("3")
    jonas.evaluate(event, ["dragstart", ".group[data-label=neutrophil] .cell:nth-child(7)"])
    wait_for_count(jonas, "basophil", 1)
    jonas.evaluate(event, ["drop", "#panel tr[data-label=monocyte]"])
    wait_for_count(jonas, "monocyte", 13)
    jonas.keyboard.press("2")
    wait_for_count(jonas, "eosinophil", counted(maria, "eosinophil") + 1)


def test_every_picture_is_there_and_reference_cells_stand_beside(new_page, slide, address):
    page = new_page("maria", viewport={"width": 1280, "height": 300})
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cell img')].every((i) => i.complete && i.naturalWidth > 0)"
    )
    assert page.locator(".cell img").count() == 120
    # Loaded, yet painted only where somebody looks: each picture that comes would paint all the others anew.
    seen = "(i) => i.checkVisibility({ contentVisibilityAuto: true })"
    assert page.locator(".cell img").first.evaluate(seen)
    assert not page.locator(".cell img").last.evaluate(seen)
    page.keyboard.press("End")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cell img')].at(-1).checkVisibility({ contentVisibilityAuto: true })"
    )
    page.wait_for_selector("#i-refs .refs img")
    assert page.locator("#i-bars li").count() == 5
    there = page.locator("#i-refs .refs img").count()
    # Again and again: the cell in focus is another now, and its own reference cells may still come.
    page.wait_for_function(
        """(n) => {
            const refs = document.querySelectorAll('#i-refs .refs img');
            if (refs.length === n) refs[0].src = '/pictures/' + '0'.repeat(64);
            return refs.length === n - 1;
        }""",
        arg=there,
        polling=500,
    )


def test_a_picture_that_is_gone_is_told_and_all_others_come_also_where_many_at_once_do_not(
    new_page, desk, slide, cells_of, address
):
    gone = cells_of(slide)[3]
    with desk.store.read() as session:
        desk.pictures.delete(session.get(CellRow, gone).sha256)
    page = new_page("maria")
    for refused in (False, True):
        if refused:
            page.route("**/pictures?*", lambda route: route.abort())
        page.goto(f"{address}/slides/{slide}")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.cell img')].filter((i) => i.naturalWidth > 0).length === 119"
        )
        page.wait_for_selector(".cell.missing", state="attached")
        assert page.eval_on_selector_all(".cell.missing", "all => all.map((one) => one.id)") == [f"c{gone}"]


def test_a_failed_slide_says_why_and_is_tried_again(new_page, desk):
    add_slide(desk.store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    page = new_page("maria")
    assert "no pictures in its folder" in page.inner_text("#rows")
    page.click("text=Try again")
    page.wait_for_selector("#rows >> text=Nothing to do")
    with desk.store.read() as session:
        assert session.exec(select(RevisionRow.state)).one() == "queued"


def test_a_slides_page_that_waits_shows_the_cells_once_they_are_there(new_page, desk, address, sample_pictures):
    slide = add_slide(desk.store, "S-WAITS", state="queued")
    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector("text=Waiting for a worker")
    page.wait_for_timeout(700)
    with desk.store.write() as session:
        revision = session.exec(select(RevisionRow)).one()
        revision.state, revision.reason = "failed", "the disk of the analyser is full"
        session.add(revision)
    page.wait_for_selector("text=the disk of the analyser is full")
    page.click("text=Try again")
    page.wait_for_selector("text=Waiting for a worker")
    add_slide(desk.store, "S-WAITS", pictures=desk.pictures, files=sample_pictures)
    page.wait_for_selector(".cell.current")
    assert page.locator(".cell").count() == 120


def test_several_cells_are_chosen_by_touch_and_a_remark_is_about_a_cell(new_page, slide, address):
    page = new_page("maria", viewport={"width": 820, "height": 1180}, has_touch=True)
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    page.tap("[data-do=several]")
    for n in (3, 5, 6):
        page.locator(".group[data-label=neutrophil] .cell").nth(n).tap()
    assert page.inner_text("#chosen") == "3 chosen"
    page.tap(".dock [data-put=monocyte]")
    wait_for_count(page, "monocyte", 15)
    page.tap("[data-do=several]")
    cell = page.locator(".group[data-label=lymphocyte] .cell").nth(1)
    cell.tap()
    number = cell.get_attribute("data-n")
    page.fill("#text", "granules?")
    page.check(".about input")
    page.tap("form.comment button")
    page.wait_for_selector(f".remark >> text=cell {number}")
    page.locator(".cell").first.tap()
    page.tap(".remark [data-goto]")
    assert page.inner_text("#i-title") == f"Cell {number}"


def test_any_type_is_compared_with_and_the_next_slide_is_a_key_away(new_page, desk, slide, address):
    other = add_slide(desk.store, "S-NEXT")
    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector("#i-refs >> text=neutrophils")
    page.keyboard.press("x")
    page.wait_for_selector("#i-refs >> text=eosinophils")
    page.click("#i-bars [data-compare=monocyte]")
    page.wait_for_selector("#i-refs >> text=monocytes")
    page.locator(".cell").nth(2).click()
    page.wait_for_selector("#i-refs >> text=neutrophils")
    page.keyboard.press("f")
    page.wait_for_selector("#d-zoom[open] #z-refs img")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_url(f"**/slides/{other}")


def test_the_board_is_searched_and_filtered_without_a_reload(new_page, desk):
    for name, order in (("S-1", "A-100"), ("S-2", "B-200")):
        add_slide(desk.store, name, sidecar={"order_id": order})
    page = new_page("vera")
    page.keyboard.press("/")
    page.keyboard.type("b-2")
    page.wait_for_function("() => document.querySelectorAll('.slides tbody th a').length === 1")
    assert "S-2" in page.inner_text("#rows")
    assert "q=b-2" in page.url
    page.fill("#q", "")
    page.click("label.tab:has([value=failed])")
    page.wait_for_selector("#rows >> text=No slides here")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (820, 1180)])
def test_nobody_is_shut_out(new_page, desk, slide, address, scheme, size):
    from axe_playwright_python.sync_playwright import Axe

    add_slide(desk.store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    add_slide(desk.store, "S-E", cells=["eosinophil"] * 120, sidecar={"wbc_10e9_L": 6.0})
    add_gaps(desk.store)
    width, height = size
    # The page's own policy would refuse a script from outside, which is what axe is.
    how = {"color_scheme": scheme, "viewport": {"width": width, "height": height}, "bypass_csp": True}
    page = new_page("jonas", **how)
    found = {}
    paths = ("/", f"/slides/{slide}", "/ignored", "/audit", "/audit/1", "/references?label=outside", "/password")
    for path in paths:
        page.goto(address + path)
        page.wait_for_load_state("load")
        page.wait_for_timeout(400)
        found[path] = Axe().run(page)
    stranger = new_page(**how)
    stranger.goto(f"{address}/sign-in")
    found["/sign-in"] = Axe().run(stranger)
    admin = new_page("ada", **how)
    admin.goto(f"{address}/users")
    found["/users"] = Axe().run(admin)
    serious = [
        (path, violation["id"], [node["html"][:160] for node in violation["nodes"][:3]])
        for path, told in found.items()
        for violation in told.response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert serious == []


def test_nothing_scrolls_sideways_on_a_tablet_or_a_small_screen(new_page, desk, slide, address):
    told = {"order_id": "O" * 200, "wbc_10e9_L": 6.0}
    odd = add_slide(desk.store, "S" * 250, cells=["eosinophil"] * 120, sidecar=told, analyser=["X" * 200] * 120)
    for width in (768, 1280):
        page = new_page("maria", viewport={"width": width, "height": 900})
        for path in ("/", f"/slides/{slide}", f"/slides/{odd}"):
            page.goto(address + path)
            page.wait_for_load_state("load")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, path)


def test_a_page_whose_slide_was_purged_says_so_and_changes_nothing(new_page, desk, slide, address, sample_pictures):
    from worker.forgetting import remove

    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    page.route("**/events", lambda route: route.abort())
    page.wait_for_timeout(500)  # the page has said that it has the slide
    with desk.store.write() as session:
        remove(session, [slide])
    other = add_slide(desk.store, "S-OTHER", pictures=desk.pictures, files=sample_pictures)
    page.keyboard.press("3")
    page.wait_for_selector("#conflict:not([hidden])")
    assert "removed from the database" in page.inner_text("#conflict")
    with desk.store.read() as session:
        assert session.exec(select(LabelRow)).all() == []
    page.goto(f"{address}/slides/{other}")
    page.wait_for_function("() => [...document.querySelectorAll('.cell img')].every((one) => one.src)")
    shown = page.evaluate("() => document.querySelector('.cell').dataset.sha256")
    got = page.evaluate("""async (sha) => {
        const bytes = await (await fetch(`/pictures/${sha}`)).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return [...digest].map((one) => one.toString(16).padStart(2, '0')).join('');
    }""", shown)  # fmt: skip
    assert got == shown


def test_a_page_that_was_open_before_a_restore_is_loaded_again_and_says_why(new_page, desk, slide, address):
    page = new_page("maria")
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    with desk.store.write() as session:
        session.exec(select(RevisionRow)).one().identity = "f" * 32
    page.keyboard.press("3")
    page.wait_for_selector(".toast >> text=The database was restored")
    with desk.store.read() as session:
        assert session.exec(select(LabelRow)).all() == []
    page.wait_for_selector(".cell.current")
    page.keyboard.press("3")
    wait_for_count(page, "basophil", 1)
