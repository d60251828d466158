"""What the page's tests work on: a seeded database, the page in this process or behind a real port, a real browser."""

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI

from review.app import create_app
from review.desk import Desk, make_desk
from review.passwords import Passwords
from review.serving import configuration
from smear.settings import Settings
from smear.store import Store


sys.path.insert(0, str(Path(__file__).parent))

from seeding import PASSWORD, add_people, add_slide
from web_client import LOOSE, Client


@pytest.fixture(scope="session")
def quick_passwords() -> Passwords:
    """Hashes that take no time: how strong they are is argon2's matter, and tested by name."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(review_port=0)


@pytest.fixture
def desk(sqlite_store: Store, settings: Settings, quick_passwords: Passwords) -> Desk:
    """The parts of the page on an empty database with somebody of each role."""
    add_people(sqlite_store, quick_passwords)
    return make_desk(sqlite_store, settings, quick_passwords, LOOSE)


@pytest.fixture
def app(desk: Desk, settings: Settings) -> FastAPI:
    return create_app(desk, settings)


@pytest.fixture
def client(app: FastAPI) -> Callable[..., Client]:
    """client(name): a browser signed in as that person; without a name, nobody's."""

    def make(name: str | None = None) -> Client:
        made = Client(app, base_url="http://127.0.0.1")
        if name is not None:
            assert made.sign_in(name).status_code == 303
        return made

    return make


@pytest.fixture
def either_client(store: Store, settings: Settings, quick_passwords: Passwords) -> Callable[[str], Client]:
    """either_client(name): as `client`, on SQLite and on PostgreSQL (fixture `store`)."""
    add_people(store, quick_passwords)
    app = create_app(make_desk(store, settings, quick_passwords, LOOSE), settings)

    def make(name: str) -> Client:
        made = Client(app, base_url="http://127.0.0.1")
        assert made.sign_in(name).status_code == 303
        return made

    return make


@pytest.fixture
def slide(desk: Desk, sample_pictures: list[Path]) -> int:
    """A classified slide of 120 cells with pictures; its number."""
    return add_slide(desk.store, "S-0001", pictures=desk.pictures, files=sample_pictures)


@pytest.fixture
def cells_of(desk: Desk) -> Callable[[int], list[int]]:
    """cells_of(slide): the numbers of its cells' rows, in order."""
    from sqlmodel import select

    from smear.tables import CellRow

    def ask(slide: int) -> list[int]:
        with desk.store.read() as session:
            return list(session.exec(select(CellRow.id).where(CellRow.slide == slide).order_by(CellRow.id)))

    return ask


@pytest.fixture
def digests_of(desk: Desk) -> Callable[[int], list[str]]:
    """digests_of(slide): the SHA-256 of its cells' pictures, in the order of the cells' rows."""
    from sqlmodel import select

    from smear.tables import CellRow

    def ask(slide: int) -> list[str]:
        with desk.store.read() as session:
            return list(session.exec(select(CellRow.sha256).where(CellRow.slide == slide).order_by(CellRow.id)))

    return ask


# --- a real port, a real browser -------------------------------------------------------------------------------------


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """The page behind a port of this machine."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(64)
    server = uvicorn.Server(configuration(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    bound.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, headless; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """new_page(name): a window of its own, signed in as that person. What the console complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def make(name: str | None = None, **how: Any) -> Any:
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        if name is not None:
            page.goto(f"{address}/sign-in")
            page.fill("[name=name]", name)
            page.fill("[name=password]", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_selector(".boardpage, .column")
            # Keys do nothing before the page's scripts have run.
            page.wait_for_load_state("load")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
