"""What must be refused: others' things, other sites, paths, scripts, stolen sessions, guesses, borrowed roles."""

import base64
import hashlib
import re
import sys
from datetime import timedelta

import pytest
from seeding import PASSWORD, add_slide
from sqlmodel import col, select
from web_client import Client

from review.desk import make_desk
from review.headers import HEADERS
from review.sessions import COOKIE, LONGEST, Sessions
from smear.audit import verify
from smear.review_tables import AuditRow, ChangeRow, LabelRow, SessionRow, UserRow
from smear.tables import CellRow, utc_now


HTML = {"accept": "text/html"}


def every_route(app):
    told = app.openapi()["paths"]
    return [(path, method.upper()) for path, methods in told.items() for method in methods]


def filled(path):
    return re.sub(r"\{label\}", "neutrophil", re.sub(r"\{(slide|cell|user|number)\}", "1", path))


# --- nobody, and those who may not -----------------------------------------------------------------------------------


def test_without_a_sign_in_nothing_answers_but_the_door(app, client, slide):
    nobody = client()
    seen = 0
    for path, method in [*every_route(app), ("/events", "GET"), ("/openapi.json", "GET")]:
        if path in {"/sign-in", "/healthz"}:
            continue
        answer = nobody.request(method, filled(path), follow_redirects=False)
        assert answer.status_code in {401, 403}, (method, path)
        assert "S-0001" not in answer.text
        seen += 1
    assert seen > 20
    answer = nobody.get("/", headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


ALLOWED = {
    "viewer": set(),
    "technologist": {"/slides/{slide}/retry", "/slides/{slide}/labels", "/slides/{slide}/undo", "/slides/{slide}/redo",
                     "/slides/{slide}/hold", "/slides/{slide}/sign", "/slides/{slide}/amend",
                     "/slides/{slide}/comments"},
    "reviewer": {"/slides/{slide}/retry", "/slides/{slide}/labels", "/slides/{slide}/undo", "/slides/{slide}/redo",
                 "/slides/{slide}/hold", "/slides/{slide}/sign", "/slides/{slide}/amend", "/slides/{slide}/comments",
                 "/cells/{cell}/reference", "/audit/verify"},
    "administrator": {"/slides/{slide}/retry", "/audit/verify", "/users", "/users/{user}/role", "/users/{user}/active",
                      "/users/{user}/password", "/models/{number}/promote", "/models/rollback"},
}  # fmt: skip
BODIES = {
    "/slides/{slide}/labels": {"cells": [1], "label": "basophil", "revision": 1, "version": 0},
    "/slides/{slide}/undo": {"revision": 1, "version": 0},
    "/slides/{slide}/redo": {"revision": 1, "version": 0},
    "/slides/{slide}/sign": {"revision": 1, "version": 99},
    "/slides/{slide}/amend": {"reason": "because it is"},
    "/cells/{cell}/reference": {"wanted": True},
}


@pytest.mark.parametrize(
    ("name", "role"), [("vera", "viewer"), ("maria", "technologist"), ("jonas", "reviewer"), ("ada", "administrator")]
)
def test_each_role_may_write_exactly_what_it_is_for(app, client, slide, name, role):
    somebody = client(name)
    for path, method in every_route(app):
        if method != "POST" or path in {"/sign-in", "/sign-out", "/password"}:
            continue
        answer = somebody.write(filled(path), json=BODIES.get(path))
        assert (answer.status_code != 403) == (path in ALLOWED[role]), (path, answer.status_code, answer.text[:200])


def test_pages_of_other_roles_stay_closed(client):
    for name, closed in (("vera", ["/users", "/audit"]), ("maria", ["/users", "/audit"]), ("jonas", ["/users"])):
        for path in closed:
            assert client(name).get(path).status_code == 403


def test_a_role_taken_away_is_gone_at_once(client, desk):
    maria, ada = client("maria"), client("ada")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    assert ada.write(f"/users/{user}/role", data={"role": "viewer"}).status_code == 200
    assert maria.get("/", follow_redirects=False).status_code == 401
    again = client("maria")
    assert again.label(1, [1], "basophil", 0).status_code == 403


def test_nobody_raises_his_own_role(client, desk):
    maria = client("maria")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    for told in ({"role": "administrator"}, {"role": "administrator", "user": user}):
        assert maria.write(f"/users/{user}/role", data=told).status_code == 403
    assert (
        maria.write("/password", data={"old": PASSWORD, "new": "x", "again": "x", "role": "administrator"}).status_code
        == 422
    )
    with desk.store.read() as session:
        assert session.get(UserRow, user).role == "technologist"


def test_the_last_administrator_stays_one(client, desk):
    ada = client("ada")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "ada")).one()
    for path, told in (("role", {"role": "viewer"}), ("active", {"active": "false"})):
        answer = ada.write(f"/users/{user}/{path}", data=told)
        assert (answer.status_code, "last administrator" in answer.text) == (409, True)


# --- things of others ------------------------------------------------------------------------------------------------


def test_cells_of_another_slide_are_not_changed_through_this_one(client, desk, slide, cells_of):
    other = add_slide(desk.store, "S-OTHER")
    maria = client("maria")
    mixed = [cells_of(slide)[0], cells_of(other)[0]]
    assert maria.label(slide, mixed, "basophil", 0).status_code == 404
    assert maria.write(f"/slides/{slide}/comments", data={"text": "x", "cell": cells_of(other)[0]}).status_code == 404
    with desk.store.read() as session:
        assert session.exec(select(LabelRow)).all() == []


def test_nobody_undoes_what_another_did(client, slide, cells_of, desk):
    maria, jonas = client("maria"), client("jonas")
    assert maria.label(slide, cells_of(slide)[:1], "basophil", 0).status_code == 200
    answer = jonas.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 1})
    assert (answer.status_code, answer.json()["words"]) == (409, "There is nothing of yours to undo here.")
    with desk.store.read() as session:
        assert session.exec(select(ChangeRow)).one().undone is False


@pytest.mark.parametrize("number", ["0", "-1", "999999", "99999999999999999999", "1.5", "x", "1%00"])
def test_numbers_that_are_none_of_ours_are_not_there(client, slide, number):
    vera = client("vera")
    for path in (f"/cells/{number}/picture", f"/slides/{number}", f"/slides/{slide}?revision={number}"):
        assert vera.get(path).status_code in {404, 422}, path


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "/cells/../../etc/passwd/picture", "/cells/..%2f..%2fetc%2fpasswd/picture", "/static/../app.py",
    "/static/%2e%2e/app.py", "/static/..%2f..%2fsmear/settings.py", "/static//etc/passwd", "/static/%00",
    "/references/..%2f..%2fvar/0/picture", "/references/neutrophil/-1/picture", "/references/neutrophil/99/picture",
])  # fmt: skip
def test_no_path_of_a_request_reaches_the_file_system(client, path):
    answer = client("vera").get(path)
    assert answer.status_code in {404, 422}
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_a_picture_is_served_as_a_picture_or_not_at_all(client, desk, slide, cells_of):
    vera = client("vera")
    answer = vera.get(f"/cells/{cells_of(slide)[0]}/picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["vary"] == "Cookie"
    # Also at the second look, its content remembered; and neither to a stranger nor after its file was spoilt.
    assert vera.get(f"/slides/{slide}").status_code == 200
    assert vera.get(f"/cells/{cells_of(slide)[0]}/picture").content == answer.content
    assert client().get(f"/cells/{cells_of(slide)[0]}/picture").status_code == 401
    kept = desk.pictures._path(desk.digests[cells_of(slide)[0]])
    kept.write_bytes(kept.read_bytes()[:-1])
    spoilt = vera.get(f"/cells/{cells_of(slide)[0]}/picture")
    assert (spoilt.status_code, spoilt.json()["words"]) == (404, "This picture is damaged on disk.")
    for data in (
        b"<html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"",
    ):
        digest = hashlib.sha256(data).hexdigest()
        desk.pictures.put(digest, data)
        with desk.store.write() as session:
            cell = CellRow(slide=slide, sha256=digest)
            session.add(cell)
            session.flush()
            number = cell.id
        answer = vera.get(f"/cells/{number}/picture")
        assert (answer.status_code, answer.json()["words"]) == (404, "This file is no picture.")
        assert vera.get(f"/pictures?cells={number}").json() == {str(number): None}


def test_many_pictures_at_once_are_the_very_bytes_of_each_and_as_well_guarded(client, desk, slide, cells_of):
    vera, ids = client("vera"), cells_of(slide)
    address = f"/pictures?cells={','.join(map(str, ids[:64]))}"
    answer = vera.get(address)
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["vary"] == "Cookie"
    told = answer.json()
    assert list(told) == [str(cell) for cell in ids[:64]]
    for cell in ids[:64]:
        one = vera.get(f"/cells/{cell}/picture")
        start, _, coded = told[str(cell)].partition(",")
        assert (start, base64.b64decode(coded)) == (f"data:{one.headers['content-type']};base64", one.content)
    assert vera.get("/pictures?cells=999999999,999999999999999999").json() == {"999999999": None}
    assert client().get(address).status_code == 401
    for wrong in ("", "0", "-1", "1,", ",1", "1;2", "../1", "1e3", ",".join(["1"] * 65), "9" * 19):
        assert vera.get("/pictures", params={"cells": wrong}).status_code == 422
    assert vera.get("/pictures").status_code == 422
    assert vera.get(f"/slides/{slide}").status_code == 200  # contents are remembered from here on
    desk.pictures.delete(desk.digests[ids[1]])
    assert [url is None for url in vera.get(f"/pictures?cells={ids[0]},{ids[1]}").json().values()] == [False, True]


def test_pictures_too_large_to_go_together_are_left_to_be_asked_for_singly(client, desk, slide, cells_of):
    ids = []
    for n in range(3):
        data = b"BM" + bytes([n]) * 2_500_000
        digest = hashlib.sha256(data).hexdigest()
        desk.pictures.put(digest, data)
        with desk.store.write() as session:
            cell = CellRow(slide=slide, sha256=digest)
            session.add(cell)
            session.flush()
            ids.append(cell.id)
    vera = client("vera")
    assert list(vera.get(f"/pictures?cells={','.join(map(str, ids))}").json()) == [str(ids[0])]
    assert len(vera.get(f"/cells/{ids[1]}/picture").content) == 2_500_002


# --- scripts ---------------------------------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def test_names_reasons_and_comments_are_text_whatever_is_in_them(client, desk):
    slide = add_slide(desk.store, SCRIPT, sidecar={"order_id": SCRIPT, "wbc_10e9_L": 5.0}, analyser=[SCRIPT] * 120)
    add_slide(desk.store, "S-BAD", state="failed", reason=SCRIPT, cells=[])
    jonas, ada = client("jonas"), client("ada")
    assert jonas.write(f"/slides/{slide}/comments", data={"text": SCRIPT}).status_code == 303
    assert jonas.write(f"/slides/{slide}/sign", json={"revision": 1, "version": 0}).status_code == 200
    assert jonas.write(f"/slides/{slide}/amend", json={"reason": SCRIPT}).status_code == 200
    added = ada.write("/users", data={"name": "eve", "full_name": SCRIPT, "role": "viewer"})
    seen = [
        added.text,
        *(jonas.get(path).text for path in ("/?show=all", f"/slides/{slide}", "/audit", f"/?q={SCRIPT}")),
    ]
    seen.append(jonas.get(f"/slides/{slide}/comments").text)
    for text in seen:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert any("&lt;script&gt;alert" in text for text in seen)


def test_a_slide_named_like_a_script_runs_nothing_in_a_browser(new_page, desk, address):
    slide = add_slide(desk.store, SCRIPT, sidecar={"order_id": SCRIPT}, analyser=[SCRIPT] * 120)
    page = new_page("maria")
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    page.goto(f"{address}/slides/{slide}")
    page.wait_for_selector(".cell.current")
    page.fill("#text", SCRIPT)
    page.click("form.comment button")
    page.wait_for_selector(".remark")
    page.keyboard.press("Escape")
    assert page.inner_text(".remark p >> nth=0") == SCRIPT
    assert page.inner_text("h1") == SCRIPT


def test_every_answer_carries_the_strict_headers(client, slide):
    vera, nobody = client("vera"), client()
    answers = [vera.get(path) for path in ("/", f"/slides/{slide}", "/none", "/static/style.css")]
    forged = nobody.post("/sign-in", headers={"origin": "http://evil.example"})
    for answer in [*answers, nobody.get("/sign-in"), forged]:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert vera.get("/").headers["cache-control"] == "no-store"


def test_pages_have_no_inline_script_style_or_handler(client, desk, slide):
    jonas, ada = client("jonas"), client("ada")
    texts = [jonas.get(path).text for path in ("/", f"/slides/{slide}", "/audit", "/password")]
    for text in [*texts, ada.get("/users").text, client().get("/sign-in").text]:
        assert not re.search(
            r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://(?!www\.w3\.org)", text
        )


# --- other sites -----------------------------------------------------------------------------------------------------


def test_no_write_is_taken_without_this_sessions_token(app, client, slide):
    maria, jonas = client("maria"), client("jonas")
    for path, method in every_route(app):
        if method != "POST" or path == "/sign-in":
            continue
        for token in (None, "", "0" * 64, jonas.csrf):
            headers = {} if token is None else {"x-csrf-token": token}
            answer = maria.request(method, filled(path), headers=headers, json=BODIES.get(path))
            assert answer.status_code == 403, (path, token, answer.status_code)
    assert maria.get("/").status_code == 200


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:81"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
])  # fmt: skip
def test_a_request_from_another_site_is_refused_even_with_the_token(client, slide, headers):
    maria = client("maria")
    answer = maria.post(f"/slides/{slide}/hold", headers={"x-csrf-token": maria.csrf} | headers)
    assert answer.status_code == 403
    assert (
        maria.post(
            f"/slides/{slide}/hold", headers={"x-csrf-token": maria.csrf, "origin": "http://127.0.0.1"}
        ).status_code
        == 200
    )


def test_nobody_signs_somebody_else_in_by_a_forged_form(client):
    stranger = client()
    answer = stranger.post("/sign-in", data={"name": "maria", "password": PASSWORD}, follow_redirects=False)
    assert answer.status_code == 403
    token = stranger.form_token()
    stranger.cookies.clear()
    answer = stranger.post(
        "/sign-in", data={"name": "maria", "password": PASSWORD, "csrf": token}, follow_redirects=False
    )
    assert answer.status_code == 403


def test_another_host_name_is_not_ours(client):
    assert client().get("/sign-in", headers={"host": "evil.example"}).status_code == 400


def test_large_and_chunked_bodies_are_refused(client, slide):
    maria = client("maria")
    assert maria.write(f"/slides/{slide}/comments", data={"text": "x" * 300_000}).status_code == 413
    answer = maria.post(f"/slides/{slide}/hold", content=iter([b"x"]), headers={"x-csrf-token": maria.csrf})
    assert answer.status_code == 413


@pytest.mark.parametrize("headers", [
    {"origin": "http://["}, {"origin": "\xff"}, {"content-length": "\xb2"}, {"content-length": "-1"},
    {"content-length": "9" * 30}, {"host": "127.0.0.1:x"}, {"host": "["}, {"host": ""}, {"cookie": "\xff\xfe=;;=,"},
    {"cookie": f"{COOKIE}={'x' * 5000}"}, {"cookie": f"{COOKIE}=\xe9"}, {"content-type": "multipart/form-data"},
    {"content-type": "multipart/form-data; boundary=\xff"}, {"x-csrf-token": "\xff"}, {"accept": "\xff"},
])  # fmt: skip
def test_headers_that_are_rubbish_are_refused_and_break_nothing(client, slide, headers):
    maria = client("maria")
    # Sent as bytes: a client of our own would refuse to.
    told = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    for token in ({}, {"x-csrf-token": maria.csrf}):
        own = [(name.encode(), value.encode()) for name, value in token.items() if name not in headers]
        answer = maria.post(f"/slides/{slide}/hold", headers=own + told, content=b"")
        assert answer.status_code < 500, (headers, answer.text)
        assert maria.get("/", headers=told, follow_redirects=False).status_code < 500


@pytest.mark.parametrize("body", [
    b"", b"null", b"[]", b"{", b'{"version":1e999}', b'{"version":NaN}', b'{"version":"0"}', b'{"version":true}',
    b"[" * 100_000, b'{"a":' * 40_000, b"\xff\xfe", b'{"version":0,"version":1,"x":2}',
    b'{"version":' + b"9" * 5000 + b"}",
])  # fmt: skip
def test_bodies_that_are_rubbish_are_refused_in_words(client, slide, body):
    maria = client("maria")
    headers = {"x-csrf-token": maria.csrf, "content-type": "application/json"}
    for path in ("labels", "undo", "redo", "sign", "amend"):
        answer = maria.post(f"/slides/{slide}/{path}", content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
        assert answer.json()["words"]


ODD = "a\x00b\x1b\u202ec\ud800\r\nd"


def test_words_are_kept_without_what_is_no_text(client, slide):
    maria = client("maria")
    told = {"text": ODD.encode("utf-8", "replace").decode() + "\x07"}
    assert maria.write(f"/slides/{slide}/comments", data=told).status_code == 303
    text = maria.get(f"/slides/{slide}/comments").text
    assert "abc?\nd" in text
    assert maria.write(f"/slides/{slide}/comments", data={"text": "\x00 \u202e"}).status_code == 422
    assert maria.get("/?q=%00%ED%A0%80%1b").status_code == 200
    assert maria.write(f"/slides/{slide}/amend", json={"reason": "\x00\x00\x00\x00\x00\x00"}).status_code == 422
    # A lone surrogate is no text either; no client of ours would send it.
    answer = maria.post(
        f"/slides/{slide}/amend", content=b'{"reason": "abcdef \\ud800"}',
        headers={"x-csrf-token": maria.csrf, "content-type": "application/json"},
    )  # fmt: skip
    assert answer.status_code in {409, 422}


def test_a_database_that_is_away_is_told_in_words_on_a_page_and_to_a_program(client, desk, slide, monkeypatch):
    from smear.store import StoreUnavailable

    vera = client("vera")

    def away(*_, **__):
        raise StoreUnavailable("the server is gone")

    monkeypatch.setattr(desk.store, "_session", away)
    page = vera.get(f"/slides/{slide}", headers=HTML)
    assert (page.status_code, "The database does not answer just now" in page.text) == (503, True)
    answer = vera.get("/board/rows")
    assert (answer.status_code, "try again in a moment" in answer.json()["words"]) == (503, True)


def test_a_fault_of_ours_ends_one_request_in_words_and_with_strict_headers(client, desk, slide, monkeypatch):
    from review import board

    def broken(*_):
        raise ZeroDivisionError("a secret of the inside")

    told = []

    class FakeLog:
        def exception(self, event):
            told.append((event, type(sys.exception())))

    vera = client("vera")
    monkeypatch.setattr(board, "counts", broken)
    monkeypatch.setattr("review.headers.log", FakeLog())
    answer = vera.get("/", headers=HTML)
    assert told == [("a request ended in a fault", ZeroDivisionError)]
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_that_was_brought_along_is_never_taken_up(client, desk):
    planted = "planted-by-somebody-else"
    maria = client()
    maria.cookies.set(COOKIE, planted)
    answer = maria.sign_in("maria")
    given = answer.cookies[COOKIE]
    assert given != planted
    stranger = client()
    stranger.cookies.set(COOKIE, planted)
    assert stranger.get("/", follow_redirects=False).status_code == 401
    before = given
    again = client()
    again.cookies.set(COOKIE, before)
    assert again.get("/sign-in", follow_redirects=False).status_code == 303  # signed in already
    with desk.store.read() as session:
        assert before not in repr([row.model_dump() for row in session.exec(select(SessionRow))])


def test_a_browser_in_which_somebody_signed_out_shows_no_picture_from_its_store(new_page, slide, cells_of, address):
    page, picture = new_page("maria"), f"/cells/{cells_of(slide)[0]}/picture"
    ask = f"fetch('{picture}').then((answer) => answer.status)"
    assert [page.evaluate(ask) for _ in range(2)] == [200, 200]
    page.click("details.who summary")
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    assert page.evaluate(ask) == 401


def test_signing_out_ends_the_session_and_not_only_the_cookie(client):
    maria = client("maria")
    old = maria.cookies[COOKIE]
    assert maria.write("/sign-out").status_code == 303
    stolen = client()
    stolen.cookies.set(COOKIE, old)
    assert stolen.get("/", follow_redirects=False).status_code == 401


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(client):
    answer = client().sign_in("maria")
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_a_changed_password_ends_every_other_session(client):
    here, there = client("maria"), client("maria")
    new = "another horse, another kingdom"
    assert here.write("/password", data={"old": PASSWORD, "new": new, "again": new}).status_code == 303
    assert there.get("/", follow_redirects=False).status_code == 401
    assert here.get("/").status_code == 200
    assert client().sign_in("maria").status_code == 401
    assert client().sign_in("maria", new).status_code == 303


def test_sessions_end_when_nobody_does_anything_and_in_any_case_at_night(sqlite_store, desk):
    now = [utc_now()]
    with sqlite_store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    sessions = Sessions(sqlite_store, 60, now=lambda: now[0], clock=lambda: now[0].timestamp())  # noqa: PLW0108 - asked anew
    token = sessions.open(user)
    now[0] += timedelta(minutes=59)
    assert sessions.find(token) is not None  # a page that asks by itself keeps nothing alive
    now[0] += timedelta(minutes=2)
    assert sessions.find(token) is None
    token = sessions.open(user)
    for _ in range(int(LONGEST / timedelta(minutes=30)) - 1):
        now[0] += timedelta(minutes=30)
        assert sessions.find(token, touch=True) is not None
    now[0] += timedelta(minutes=31)
    assert sessions.find(token, touch=True) is None


# --- guesses ---------------------------------------------------------------------------------------------------------


def test_guessing_a_password_is_slowed_down_then_stopped(client, desk):
    stranger = client()
    answers = [stranger.sign_in("maria", f"guess {i}").status_code for i in range(9)]
    assert answers[:6] == [401] * 6
    assert set(answers[6:]) == {429}
    assert client().sign_in("maria").status_code == 429  # even the right one, from anywhere
    assert client().sign_in("jonas").status_code == 303
    with desk.store.read() as session:
        refused = session.exec(select(AuditRow).where(AuditRow.action == "sign-in refused")).all()
    assert [row.who for row in refused] == ["maria"] * 6
    assert verify(desk.store).problem is None


def test_a_whole_laboratory_signs_in_from_one_address(client):
    assert {client().sign_in("maria").status_code for _ in range(40)} == {303}


def test_guessing_names_is_stopped_by_address(sqlite_store, settings, quick_passwords, client, desk):
    stranger = client()
    answers = {stranger.sign_in(f"name{i}", "guess").status_code for i in range(30)}
    assert answers == {401}
    assert stranger.sign_in("name-31", "guess").status_code == 429


def test_a_wrong_name_and_a_wrong_password_are_told_alike(client):
    known, unknown = client().sign_in("maria", "wrong"), client().sign_in("nobody", "wrong")
    plain = [re.sub(r'value="[^"]*"|autofocus', "", answer.text) for answer in (known, unknown)]
    assert plain[0] == plain[1]


def test_a_closed_account_does_not_open(client, desk):
    ada, maria = client("ada"), client("maria")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    ada.write(f"/users/{user}/active", data={"active": "false"})
    assert maria.get("/", follow_redirects=False).status_code == 401
    assert client().sign_in("maria").status_code == 401


def test_too_many_writes_at_once_are_refused_in_words(sqlite_store, settings, quick_passwords, desk, slide):
    from review.app import create_app
    from review.throttle import Limits, Rate

    strict = make_desk(sqlite_store, settings, quick_passwords, Limits(writes=Rate(3, 60)))
    maria = Client(create_app(strict, settings), base_url="http://127.0.0.1")
    maria.sign_in("maria")
    answers = [maria.write(f"/slides/{slide}/hold").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_a_one_time_password_opens_nothing_but_the_change_of_it(client):
    ada = client("ada")
    page = ada.write("/users", data={"name": "eve", "full_name": "Eve New", "role": "reviewer"})
    password = re.search(r'class="given">([^<]+)<', page.text)[1]
    eve = client()
    assert eve.sign_in("eve", password).headers["location"] == "/password"
    assert eve.get("/audit").status_code == 403
    new = "a sentence of my own"
    assert eve.write("/password", data={"old": password, "new": "short", "again": "short"}).status_code == 422
    assert eve.write("/password", data={"old": password, "new": new, "again": new}).status_code == 303
    assert eve.get("/audit").status_code == 200
    assert client().sign_in("eve", password).status_code == 401


def test_a_guest_at_the_door_shuts_nobody_out_of_changing_a_password(client, desk):
    maria, stranger = client("maria"), client()
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    for _ in range(8):
        stranger.sign_in(f"password {user}", "guess")
    new = "another horse, another kingdom"
    assert maria.write("/password", data={"old": PASSWORD, "new": new, "again": new}).status_code == 303


def test_a_short_name_forbids_no_sentence_and_a_long_one_no_longer_gives_itself_away():
    from review.passwords import check_new
    from review.refusal import Refused

    check_new("a horse, a kingdom", "o")
    with pytest.raises(Refused, match="neither your name"):
        check_new("maria-maria-2026", "maria")


def test_no_password_is_ever_kept_or_written_to_the_audit(client, desk):
    client("maria")
    with desk.store.read() as session:
        kept = repr([row.model_dump() for row in session.exec(select(AuditRow).order_by(col(AuditRow.number)))])
        kept += repr([row.model_dump() for row in session.exec(select(UserRow))])
    assert PASSWORD not in kept
    assert "$argon2id$" in kept
