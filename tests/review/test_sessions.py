"""What must be refused: stolen and lasting sessions, guessed passwords, shared ones."""

import re
from datetime import timedelta

import pytest
from seeding import PASSWORD
from sqlmodel import col, select
from web_client import Client

from review.desk import make_desk
from review.sessions import COOKIE, LONGEST, Sessions
from smear.audit import verify
from smear.review_tables import AuditRow, SessionRow, UserRow
from smear.tables import utc_now


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


def test_a_browser_in_which_somebody_signed_out_shows_no_picture_from_its_store(new_page, slide, digests_of, address):
    page, picture = new_page("maria"), f"/pictures/{digests_of(slide)[0]}"
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
