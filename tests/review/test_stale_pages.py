"""A purge, and another slide after it: no number that a browser or a message knows comes to mean the other slide."""

import html
import re

import pytest
from seeding import add_people, add_slide
from sqlalchemy import update
from sqlmodel import SQLModel, select
from web_client import LOOSE, Client

from review import live
from review.app import create_app
from review.desk import make_desk
from smear.review_tables import BoardRow
from smear.tables import CellRow, RevisionRow, utc_now
from worker import ledger
from worker.purge import purge


class FakeWindow:
    """A slide's page that stays open: it knows what it was rendered from, and nothing later."""

    def __init__(self, client, slide):
        text = client.get(f"/slides/{slide}").text
        self.client, self.slide = client, slide
        self.identity = re.search(r'data-identity="([0-9a-f]{32})"', text)[1]
        self.version = int(re.search(r'data-version="(\d+)"', text)[1])
        self.cells = [int(n) for n in re.findall(r'id="c(\d+)"', text)]
        self.digests = re.findall(r'data-sha256="([0-9a-f]{64})"', text)
        assert f'name="identity" value="{self.identity}"' in html.unescape(text)

    def writes(self, slide, cell):
        """Every write of the page, as if the slide and its first cell had these numbers: (address, JSON, form)."""
        seen = {"revision": 1, "version": self.version, "identity": self.identity}
        yield f"/slides/{slide}/labels", seen | {"cells": [cell], "label": "basophil", "kind": None}, None
        for act in ("undo", "redo", "sign"):
            yield f"/slides/{slide}/{act}", seen, None
        yield f"/slides/{slide}/hold", {"identity": self.identity}, None
        yield f"/slides/{slide}/amend", {"identity": self.identity, "reason": "looked again"}, None
        yield f"/slides/{slide}/retry?identity={self.identity}", {}, None
        yield f"/slides/{slide}/comments", None, {"text": "odd", "identity": self.identity}
        yield f"/slides/{slide}/comments", None, {"text": "odd", "cell": cell, "identity": self.identity}
        yield f"/cells/{cell}/reference", {"wanted": True, "identity": self.identity}, None

    def post(self, address, json, data):
        return self.client.post(address, json=json, data=data, headers={"x-csrf-token": self.client.csrf})


@pytest.fixture
def desk(store, settings, quick_passwords):
    add_people(store, quick_passwords)
    return make_desk(store, settings, quick_passwords, LOOSE)


@pytest.fixture
def jonas(desk, settings):
    made = Client(create_app(desk, settings), base_url="http://127.0.0.1")
    assert made.sign_in("jonas").status_code == 303
    return made


def finish(store):
    with store.write() as session:
        session.execute(update(RevisionRow).values(finished_at=utc_now()))


def numbers(store):
    """{table: numbers of its rows} of every table whose numbers the database counts."""
    with store.read() as session:
        return {
            table.name: set(session.execute(select(table.autoincrement_column)).scalars())
            for table in SQLModel.metadata.sorted_tables
            if table.autoincrement_column is not None
        }


PURGED = {"slides", "revisions", "cells", "pictures", "predictions", "differentials", "reviews"}


def test_after_a_purge_nothing_that_an_open_page_knows_means_another_slide(
    store, settings, desk, jonas, sample_pictures, dump
):
    slide = add_slide(store, "S-1", pictures=desk.pictures, files=sample_pictures)
    assert jonas.write(f"/slides/{slide}/hold").status_code == 200
    window, before = FakeWindow(jonas, slide), numbers(store)
    assert len(window.cells) == len(set(window.digests)) == 120
    assert jonas.get(f"/pictures/{window.digests[0]}").status_code == 200
    with store.read() as session:
        (revision,) = session.exec(select(RevisionRow.id))
        changed = session.exec(select(BoardRow.changed)).one()
    seen, _ = live.look(store, None)
    finish(store)
    settings.sources[0].root.mkdir(parents=True)
    (settings.sources[0].root / "another").mkdir()
    assert purge(store, settings, 0, dry_run=False).slides == 1
    assert all(numbers(store)[table] == set() for table in PURGED)
    other = add_slide(store, "S-2", pictures=desk.pictures, files=sample_pictures)
    assert jonas.write(f"/slides/{other}/hold").status_code == 200

    # No number of any row came again, and the board's counter did not go back.
    after = numbers(store)
    for table in PURGED:
        assert after[table], table
        assert not after[table] & before[table], table
    with store.read() as session:
        assert session.exec(select(BoardRow.changed)).one() > changed
    assert live.look(store, seen)[1][-1].data == {"slides": [other]}

    # The purged slide is nowhere to be had: not its page, not its pictures, not by a message that was on its way.
    assert jonas.get(f"/slides/{slide}").status_code == 404
    assert jonas.get(f"/slides/{slide}/changes?since=0&identity={window.identity}").status_code == 404
    assert jonas.get(f"/pictures/{window.digests[0]}").status_code == 404
    two = ",".join(window.digests[:2])
    assert set(jonas.get(f"/pictures?digests={two}").json().values()) == {None}
    assert ledger.claim(store, revision, "w") is None

    # Whatever the open page writes is refused in words, also where its numbers were the other slide's.
    there = dump(store)
    with store.read() as session:
        cell = session.exec(select(CellRow.id).where(CellRow.slide == other).limit(1)).one()
    tried = 0
    for numbers_of in ((slide, window.cells[0]), (other, cell)):
        for address, json, data in window.writes(*numbers_of):
            answer = window.post(address, json, data)
            assert (answer.status_code, "Nothing was changed" in answer.json()["words"]) == (409, True), address
            tried += 1
    assert tried == 20
    there["sessions"] = dump(store)["sessions"]  # which were seen a moment ago
    assert dump(store) == there

    # Another identity's version says nothing of this slide: everything is told.
    new = FakeWindow(jonas, other)
    assert jonas.label(other, new.cells[:1], "basophil", 0).status_code == 200
    told = jonas.get(f"/slides/{other}/changes?since=99&identity={window.identity}").json()
    assert (told["identity"], [c["cell"] for c in told["changes"]]) == (new.identity, new.cells[:1])
    assert jonas.get(f"/slides/{other}/changes?since=1&identity={new.identity}").json()["changes"] == []


def test_a_write_without_the_identity_of_what_was_seen_is_refused(store, jonas):
    slide = add_slide(store, "S-1")
    window = FakeWindow(jonas, slide)
    for address, json, data in window.writes(slide, window.cells[0]):
        bare = {name: value for name, value in (json or {}).items() if name != "identity"} or None
        form = None if data is None else {name: value for name, value in data.items() if name != "identity"}
        answer = window.post(address.partition("?")[0], bare, form)
        assert answer.status_code in {409, 422}, address
    with store.read() as session:
        assert session.exec(select(RevisionRow.state)).one() == "classified"


def test_every_write_of_a_page_that_is_up_to_date_is_taken(store, jonas):
    slide = add_slide(store, "S-1")
    window = FakeWindow(jonas, slide)
    done = {}
    for address, json, data in window.writes(slide, window.cells[0]):
        if json and "version" in json:
            json |= {"version": FakeWindow(jonas, slide).version}
        done[address.partition("?")[0].rpartition("/")[2]] = window.post(address, json, data).status_code
    assert done == {"labels": 200, "undo": 200, "redo": 200, "sign": 200, "hold": 200, "amend": 200, "retry": 409,
                    "comments": 200, "reference": 200}  # fmt: skip


def test_a_remark_is_kept_with_the_revision_that_the_page_shows(store, jonas):
    from smear.review_tables import CommentRow

    slide = add_slide(store, "S-1")
    window = FakeWindow(jonas, slide)
    add_slide(store, "S-1", cells=["neutrophil"] * 130)
    told = {"text": "seen on the first", "cell": window.cells[0], "identity": window.identity}
    assert window.post(f"/slides/{slide}/comments", None, told).status_code == 200
    refused = window.post(f"/slides/{slide}/hold", {"identity": window.identity}, None)
    assert refused.status_code == 409
    with store.read() as session:
        assert session.exec(select(CommentRow.revision)).one() == 1


# --- every identifier that leaves the process -------------------------------------------------------------------------

ROW = "a row's number, which the database never gives out again"
SAYS_WHAT = "what is wanted, no identifier"
#: Why each parameter that a request names something by cannot come to mean another thing.
NAMES = {
    "slide": ROW, "promotion": ROW, "cell": ROW, "cells": ROW, "user": ROW, "source": ROW, "number": ROW,
    "revision": "counts within a slide, and goes with the identity in every write",
    "version": "counts within a revision, and goes with the identity",
    "since": "a version, which counts only with the identity beside it",
    "identity": "random, drawn anew for each revision and by each restore",
    "digest": "the SHA-256 of the content", "digests": "the SHA-256 of the contents",
    "before": "a line of the audit, which is only ever added to; the line's hash is its identity",
    "page": "a page of a list", "show": SAYS_WHAT, "q": SAYS_WHAT, "sort": SAYS_WHAT, "label": SAYS_WHAT,
    "kind": SAYS_WHAT, "first": "a place in the cells of an audit line, which never change",
}  # fmt: skip
#: Fields of bodies that name nothing.
VALUES = {"wanted", "reason", "text", "csrf", "name", "password", "full_name", "role", "active", "old", "new",
          "again"}  # fmt: skip


def test_every_parameter_by_which_something_is_named_is_known_not_to_repeat(jonas):
    told = jonas.get("/openapi.json").json()
    named = {
        parameter["name"]
        for methods in told["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] != "cookie"
    }
    fields = {
        field
        for name, schema in told["components"]["schemas"].items()
        if "Error" not in name
        for field in schema.get("properties", {})
    }
    assert named <= set(NAMES), "say in NAMES why what this names can never be another thing"
    assert fields - VALUES <= set(NAMES), "say in NAMES why what this names can never be another thing"


def test_every_message_names_what_cannot_repeat():
    """(task, what it names): a new task has to be written down here with the reason why its names do not repeat."""
    import ast
    from pathlib import Path

    project = Path(__file__).parents[2]
    found = {}
    for room in ("worker", "trainer", "engine_build"):
        for node in ast.walk(ast.parse((project / room / "tasks.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any("shared_task" in ast.dump(d) for d in node.decorator_list):
                found[f"{room}.{node.name}"] = [argument.arg for argument in node.args.args]
    row, night = ["revision"], ["night"]  # a row's number; a night's name, whose rows are never removed
    assert found.pop("worker.classify") == row
    assert all(names in ([], night) for names in found.values()), found


# --- events -----------------------------------------------------------------------------------------------------------


def test_a_change_that_is_committed_late_is_told_though_later_numbers_were_seen(store):
    first, second = add_slide(store, "S-1"), add_slide(store, "S-2")
    seen, _ = live.look(store, None)
    if store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with store.write() as late:
        late.execute(update(RevisionRow).where(RevisionRow.slide == first).values(state="failed"))
        with store.write() as early:
            early.execute(update(RevisionRow).where(RevisionRow.slide == second).values(state="failed"))
        seen, events = live.look(store, seen)
        assert [event.data for event in events] == [{"slides": [second]}]
    seen, events = live.look(store, seen)
    assert [event.data for event in events] == [{"slides": [first]}]
    assert live.look(store, seen)[1] == []


def test_an_earlier_state_of_the_database_ends_every_stream_so_that_pages_look_at_everything(store):
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    seen, _ = live.look(store, None)
    with pytest.raises(live.AnotherDatabase):
        live.look(store, live.Seen(seen.board, seen.audit + 1))

    async def play(monkeypatch):
        hub = live.Hub(store, poll_seconds=0.01, ping_seconds=30)
        answers = iter([(seen, []), live.AnotherDatabase()])

        def fake_look(*_):
            answer = next(answers, (seen, []))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(live, "look", fake_look)
        try:
            async with asyncio.timeout(30):
                return [told async for told in hub.listen(lambda: True)]
        finally:
            await hub.close()

    with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(1) as other:
        assert other.submit(asyncio.run, play(patched)).result(timeout=60) == [b"retry: 2000\n\n"]
