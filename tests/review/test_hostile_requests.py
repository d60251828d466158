"""What must be refused: scripts in names, other sites, forged forms, bodies and headers that are rubbish."""

import re
import sys

import pytest
from routes import BODIES, every_route, filled
from seeding import PASSWORD, add_slide

from review.headers import HEADERS
from review.sessions import COOKIE


HTML = {"accept": "text/html"}


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
    told = {"identity": maria.identity(f"/slides/{slide}/hold")}
    answer = maria.post(f"/slides/{slide}/hold", json=told, headers={"x-csrf-token": maria.csrf} | headers)
    assert answer.status_code == 403
    assert (
        maria.post(
            f"/slides/{slide}/hold", json=told, headers={"x-csrf-token": maria.csrf, "origin": "http://127.0.0.1"}
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
