"""What is kept for how long, who is told what at first start, and that events are found by level."""

import json
import os
import socket
import time

import pytest
from seeding import add_slide
from sqlmodel import select

from review import live, people
from review.purging import labelled, purge_old, purge_slide
from review.serving import NoPort, listen
from smear.audit import verify
from smear.review_tables import AuditRow, UserRow
from smear.tables import CellRow


def test_old_pictures_go_but_those_of_labelled_and_reference_cells(client, desk, slide, cells_of, settings):
    jonas, ids = client("jonas"), cells_of(slide)
    jonas.label(slide, ids[:2], "basophil", 0)
    jonas.label(slide, ids[1:2], None, 1)
    jonas.label(slide, ids[2:3], "eosinophil", 2)
    assert jonas.write(f"/cells/{ids[2]}/reference", json={"wanted": True}).status_code == 200
    assert jonas.write(f"/cells/{ids[3]}/reference", json={"wanted": True}).status_code == 409  # nobody has named it
    with desk.store.read() as session:
        digests = [session.get(CellRow, cell).sha256 for cell in ids]
    assert f"/pictures/{digests[2]}" in jonas.get("/references?label=eosinophil").text
    assert labelled(desk.store, digests) == {digests[0], digests[2]}
    long_ago = time.time() - 200 * 86_400
    for path in settings.pictures_folder.glob("*/*"):
        os.utime(path, (long_ago, long_ago))
    assert purge_old(desk.store, settings) == 118
    assert jonas.get(f"/pictures/{digests[0]}").status_code == 200
    answer = jonas.get(f"/pictures/{digests[5]}")
    assert (answer.status_code, answer.json()["words"]) == (404, "This picture is no longer kept.")
    assert purge_slide(desk.store, settings, slide, "the patient asked for it") == 2
    with desk.store.read() as session:
        told = session.exec(select(AuditRow).where(AuditRow.action == "purge pictures")).all()
    assert [row.after for row in told] == [{"pictures": 118}, {"pictures": 2}]
    assert told[1].reason == "the patient asked for it"
    assert verify(desk.store).problem is None


def test_the_first_administrator_is_given_once_and_again_until_taken_up(sqlite_store, quick_passwords):
    first = people.first_administrator(sqlite_store, quick_passwords)
    second = people.first_administrator(sqlite_store, quick_passwords)
    assert first != second
    with sqlite_store.read() as session:
        row = session.exec(select(UserRow)).one()
    assert (row.name, row.role, row.must_change) == ("administrator", "administrator", True)
    assert quick_passwords.fits(row.password_hash, second)
    assert not quick_passwords.fits(row.password_hash, first)
    who = people.person_of(row)
    people.change_password(sqlite_store, quick_passwords, who, second, "a sentence of my own")
    assert people.first_administrator(sqlite_store, quick_passwords) is None


def test_the_next_free_port_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = listen("127.0.0.1", port)
        assert port < found.getsockname()[1] < port + 50
        found.close()
    with pytest.raises(NoPort, match="WNET_REVIEW_PORT"):
        listen("203.0.113.7", 8321)


def test_events_are_found_by_level_whoever_made_the_change(client, desk, slide, cells_of):
    seen, events = live.look(desk.store, None)
    assert events == []
    seen, events = live.look(desk.store, seen)
    assert events == []
    other = add_slide(desk.store, "S-2")
    seen, events = live.look(desk.store, seen)
    assert [(e.name, e.data) for e in events] == [("board", {"slides": [other]})]
    client("maria").label(slide, cells_of(slide)[:1], "basophil", 0)
    _, events = live.look(desk.store, seen)
    assert ("slide", slide, "label") in [(e.name, e.data.get("slide"), e.data.get("action")) for e in events]
    assert all("S-" not in e.encode().decode() for e in events)  # row numbers, never names


def test_a_stream_ends_with_its_session_also_where_events_never_cease(desk):
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def play():
        hub = live.Hub(desk.store, poll_seconds=0.01, ping_seconds=0.2)
        holds, heard = [True], []

        async def never_quiet():
            n = 0
            while True:
                n += 1
                await asyncio.to_thread(add_slide, desk.store, f"S-{n}", state="queued")

        busy = asyncio.create_task(never_quiet())
        try:
            async with asyncio.timeout(60):
                async for told in hub.listen(lambda: holds[0]):
                    heard.append(told)
                    if b"board" in told:
                        holds[0] = False
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            await hub.close()
        return heard

    # In a thread of its own: a browser of other tests may keep a loop in this one.
    with ThreadPoolExecutor(1) as other:
        heard = other.submit(asyncio.run, play()).result(timeout=90)
    assert heard[-1].startswith(b"event: ended")


def test_the_command_line_adds_people_and_verifies_the_audit(desk, settings, monkeypatch, capsys):
    from review import cli

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["review", *arguments])
        monkeypatch.setenv("WNET_VAR", str(settings.var))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capsys.readouterr()

    code, said = run("add-user", "Eve", "--full-name", "Eve New", "--role", "reviewer")
    assert code == 0
    assert len(said.out.strip()) == 23
    code, said = run("add-user", "eve", "--full-name", "Eve New", "--role", "reviewer")
    assert (code, said.err) == (2, "review: There is a user eve already.\n")
    assert run("reset-password", "eve")[0] == 0
    code, said = run("verify-audit")
    assert (code, "unbroken" in said.out) == (0, True)
    head = said.out.split()[-1]
    assert run("verify-audit", "--expect", head, "--json")[0] == 0
    assert run("verify-audit", "--expect", "0" * 64)[0] == 1
    add_slide(desk.store, "S-1", cells=[], state="signed")
    code, said = run("verify-audit")
    assert (code, said.out) == (1, "broken: slide S-1, revision 1 is signed, and no line of the audit says so\n")
    code, said = run("verify-audit", "--json")
    assert (code, set(json.loads(said.out))) == (1, {"lines", "head", "problem"})
    code, said = run("purge-pictures", "--slide", "S-1")
    assert (code, "needs a --reason" in said.err) == (2, True)
