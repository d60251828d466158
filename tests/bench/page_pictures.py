"""`make page-pictures`: what the review page looks like, from the real service on the sample slides, to docs/pictures/.

The whole service classifies slides laid out as an analyser would, one is signed and one taken in hand; then Debian's
Chromium looks at sign-in, board and slide, in light and dark, and at the signing dialog, the audit and the reference
cells. One slide is incomplete, and some files belong to no slide. The analyser's opinion is the samples' truth, with
every fifteenth cell named otherwise, as analysers do.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "review"), str(PROJECT / "tests" / "flow")]

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402 - once the paths are there
from seeding import PASSWORD, add_people  # noqa: E402
from service import Service  # noqa: E402

from review.passwords import Passwords  # noqa: E402
from smear import shipped  # noqa: E402
from smear.cells import CELL_TYPES  # noqa: E402
from smear.store import Store, migrate  # noqa: E402


TARGET = PROJECT / "docs" / "pictures"
WINDOW = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}
OTHERWISE_EVERY = 15
#: Slide, source, the samples' slide it shows, its first and last cell there, and what comes in the sidecar.
SLIDES: tuple[tuple[str, str, str, slice, dict[str, Any]], ...] = (
    ("S-0001", "analyser-1", "S-0001", slice(None), {"order_id": "A-20261123-0417", "wbc_10e9_L": 6.8}),
    (
        "S-0002",
        "analyser-1",
        "S-0002",
        slice(None),
        {"order_id": "A-20261123-0418", "wbc_10e9_L": 11.9, "expected_cells": 120},
    ),
    ("S-0003", "analyser-1", "S-0003", slice(None), {"order_id": "A-20261123-0421"}),
    ("S-0004", "analyser-1", "S-0001", slice(30, 90), {"order_id": "A-20261123-0422"}),
    ("S-0005", "analyser-1", "S-0003", slice(10, 90), {}),
    ("BFS-0007", "analyser-1", "S-0002", slice(0, 40), {"specimen": "body fluid"}),
    ("S-0009", "emergency", "S-0003", slice(None), {"order_id": "A-20261123-0425", "wbc_10e9_L": 14.2}),
)


def lay_out(roots: dict[str, Path]) -> None:
    """The slides, as an analyser exports them in layout `classes`, and one that holds no picture at all."""
    truth = json.loads((shipped.folder("samples") / "truth.json").read_text(encoding="utf-8"))
    for slide, source, sample, cells, sidecar in SLIDES:
        folder = roots[source] / slide
        for i, (name, cell_type) in enumerate(sorted(truth[sample]["files"].items())[cells]):
            told = cell_type if i % OTHERWISE_EVERY else CELL_TYPES[(CELL_TYPES.index(cell_type) + 3) % len(CELL_TYPES)]
            (folder / told).mkdir(parents=True, exist_ok=True)
            shutil.copy(shipped.folder("samples") / sample / name, folder / told)
        (folder / "slide.json").write_text(json.dumps(sidecar), encoding="utf-8")
    spoilt = roots["analyser-1"] / "S-0006" / "neutrophil"
    spoilt.mkdir(parents=True)
    (spoilt / "a.jpg").write_bytes(b"no picture")
    (roots["analyser-1"] / "export.zip").write_bytes(b"an archive")
    shutil.copy(
        next(iter(sorted((shipped.folder("samples") / "S-0001").glob("*.jpg")))), roots["analyser-1"] / "scan.jpg"
    )


def signed_in(browser: Browser, address: str, name: str, scheme: str, window: dict[str, int]) -> Page:
    """A page of that person's own, on the board."""
    page = browser.new_context(viewport=window, color_scheme=scheme).new_page()
    page.goto(f"{address}/sign-in")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".slides")
    return page


def open_slide(page: Page, address: str, slide: str) -> None:
    """That slide, with every picture of it there."""
    page.goto(f"{address}/?show=all")
    page.click(f".slides tbody th a:text-is('{slide}')")
    page.wait_for_function(
        "() => document.querySelector('.cell') && "
        "[...document.querySelectorAll('.cell img')].every((i) => i.complete && i.naturalWidth > 0)"
    )
    page.wait_for_selector("#i-refs .refs img")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.refs img')].every((i) => i.complete && i.naturalWidth > 0)"
    )
    page.wait_for_timeout(500)  # decoded in the background, they are painted a little later


def shoot(page: Page, name: str) -> None:
    """The window as it is; as JPEG, since most of it is photographs."""
    page.screenshot(path=TARGET / f"{name}.jpg", type="jpeg", quality=88)


def work(browser: Browser, address: str) -> None:
    """What people have done by the time somebody looks: a slide signed, another in hand with a cell moved."""
    jonas = signed_in(browser, address, "jonas", "light", WINDOW)
    open_slide(jonas, address, "S-0001")
    jonas.keyboard.press("g")
    jonas.click("#d-sign[open] button.primary")
    jonas.wait_for_function("() => document.querySelector('.state')?.textContent.includes('signed')")
    jonas.context.close()
    maria = signed_in(browser, address, "maria", "light", WINDOW)
    open_slide(maria, address, "S-0003")
    maria.keyboard.press("4")
    maria.wait_for_selector(".cell.labelled")
    maria.goto(address)


def look(browser: Browser, address: str) -> None:
    """The pictures themselves."""
    for scheme in ("light", "dark"):
        page = browser.new_context(viewport=WINDOW, color_scheme=scheme).new_page()
        page.goto(f"{address}/sign-in")
        shoot(page, f"sign-in-{scheme}")
        page = signed_in(browser, address, "jonas", scheme, WINDOW)
        page.goto(f"{address}/?show=all")
        page.wait_for_selector(".slides")
        shoot(page, f"board-{scheme}")
        open_slide(page, address, "S-0002")
        shoot(page, f"slide-{scheme}")
    page = signed_in(browser, address, "jonas", "light", TABLET)
    open_slide(page, address, "S-0002")
    shoot(page, "slide-tablet")
    page = signed_in(browser, address, "jonas", "light", WINDOW)
    open_slide(page, address, "S-0002")
    page.keyboard.press("g")
    page.wait_for_selector("#d-sign[open] .cautions, #d-sign[open] li")
    shoot(page, "signing")
    page.goto(f"{address}/audit")
    page.wait_for_load_state("networkidle")
    shoot(page, "audit")
    page.goto(f"{address}/references?label=eosinophil")
    page.wait_for_function("() => document.getElementById('large').naturalWidth > 300")
    shoot(page, "references")
    page.goto(f"{address}/ignored")
    shoot(page, "ignored")


def main() -> None:
    """Run the service, let people work, look."""
    work_folder = Path(tempfile.mkdtemp(prefix="wnet-pictures-"))
    roots = {name: work_folder / name for name in ("analyser-1", "emergency")}
    for root in roots.values():
        root.mkdir()
    drop = ",".join(f"{name}={root}" for name, root in roots.items())
    service = Service(
        work_folder / "var", WNET_DROP=drop, WNET_LAYOUT="classes", WNET_PRIORITY="emergency=10", WNET_REVIEW_PORT="0"
    )
    store = Store(f"sqlite:///{service.var / 'wnet.sqlite'}")
    service.var.mkdir()
    migrate(store, work_folder / "lock")
    add_people(store, Passwords())
    store.close()
    service.start()
    try:
        lay_out(roots)
        service.wait_for(
            lambda: (
                len(service.states()) == len(SLIDES) + 1
                and {state for _, state in service.states().values()} <= {"classified", "failed", "listed"}
            ),
            120,
        )
        address = service.page().rstrip("/")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            work(browser, address)
            look(browser, address)
            browser.close()
    finally:
        service.stop()
        shutil.rmtree(work_folder, ignore_errors=True)
    print(f"-> {TARGET}")


if __name__ == "__main__":
    main()
