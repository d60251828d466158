"""Guesses are slowed down for all processes alike; a reset ends that, and a browser that is known does not feel it."""

import re
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from seeding import PASSWORD, add_people
from sqlalchemy import text
from sqlmodel import func, select
from web_client import LOOSE, Client

from review import people
from review.app import create_app
from review.desk import make_desk
from review.lockout import Counter, Growth, PasswordLimits, give_back, of_address, of_name, take
from smear.audit import CONSOLE
from smear.review_tables import AttemptRow, AuditRow, DeviceRow, SessionRow, UserRow
from smear.store import Store
from smear.tables import utc_now


DEVICE = "wnet_device"


@pytest.fixture
def people_there(store, quick_passwords):
    """Row numbers by name of somebody of each role."""
    return add_people(store, quick_passwords)


@pytest.fixture
def new_process(store, settings, quick_passwords, people_there):
    """new_process(): browser(name, address) at a page that shares nothing but the database with any other."""
    stores = []

    def start():
        stores.append(Store(store.engine.url.render_as_string(hide_password=False)))
        app = create_app(make_desk(stores[-1], settings, quick_passwords, LOOSE), settings)

        def browser(name=None, address="198.51.100.7"):
            made = Client(app, base_url="http://127.0.0.1", client=(address, 50000))
            assert name is None or made.sign_in(name).status_code == 303
            return made

        return browser

    yield start
    for one in stores:
        one.close()


def leave(client):
    """Sign out, as who uses the same workstation next wants it."""
    assert client.write("/sign-out").status_code == 303
    return client


def lock(browser, name="maria", address="198.51.100.7"):
    stranger = browser(address=address)
    answers = [stranger.sign_in(name, f"guess {i}").status_code for i in range(7)]
    assert answers == [401] * 6 + [429]


# --- a reset, and other processes ------------------------------------------------------------------------------------


def test_a_reset_at_the_command_line_ends_the_lockout_of_a_running_page(new_process, store):
    browser = new_process()
    lock(browser)
    url = store.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", "from review.cli import main; main()", "reset-password", "maria"]
    done = subprocess.run(command, env={"WNET_DATABASE_URL": url}, capture_output=True, text=True, check=True)
    assert browser().sign_in("maria", done.stdout.strip()).headers["location"] == "/password"


def test_a_reset_at_one_page_ends_the_lockout_at_another(new_process, people_there):
    here, there = new_process(), new_process()
    lock(here)
    ada = there("ada", "198.51.100.8")
    page = ada.write(f"/users/{people_there['maria']}/password").text
    one_time = re.search(r'class="given">([^<]+)<', page)[1]
    assert here().sign_in("maria", one_time).status_code == 303


def test_two_processes_count_together(new_process):
    here, there = new_process()(), new_process()()
    answers = [(here, there)[i % 2].sign_in("maria", "guess").status_code for i in range(8)]
    assert answers == [401] * 6 + [429] * 2


def test_guesses_at_the_same_moment_in_two_processes_all_count(new_process):
    browsers = [process() for process in (new_process(), new_process()) for _ in range(8)]
    told = [{"name": "maria", "password": "guess", "csrf": one.form_token()} for one in browsers]
    answers = []

    def guess(browser, data):
        answers.append(browser.post("/sign-in", data=data, follow_redirects=False).status_code)

    threads = [threading.Thread(target=guess, args=pair) for pair in zip(browsers, told, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [401] * 6 + [429] * 10


@pytest.mark.parametrize("act", ["reset", "close"])
def test_a_password_that_was_reset_while_it_was_checked_opens_nothing(
    store, settings, quick_passwords, people_there, act
):
    class FakePasswords:
        """Checks slowly: meanwhile an administrator acts."""

        hash = quick_passwords.hash

        def fits(self, kept, password):
            fits = quick_passwords.fits(kept, password)
            if act == "reset":
                people.reset_password(store, quick_passwords, CONSOLE, people_there["maria"])
            else:
                people.set_active(store, CONSOLE, people_there["maria"], active=False)
            return fits

    desk = make_desk(store, settings, FakePasswords(), LOOSE)
    maria = Client(create_app(desk, settings), base_url="http://127.0.0.1")
    assert maria.sign_in("maria").status_code == 401
    with store.read() as session:
        assert session.exec(select(SessionRow)).all() == []
        assert session.exec(select(DeviceRow)).all() == []


def test_a_reset_while_a_person_changes_the_password_holds(store, settings, quick_passwords, people_there):
    given = []

    class FakePasswords:
        """Checks slowly: meanwhile an administrator resets."""

        hash = quick_passwords.hash

        def fits(self, kept, password):
            fits = quick_passwords.fits(kept, password)
            given.append(people.reset_password(store, quick_passwords, CONSOLE, people_there["maria"]))
            return fits

    with store.read() as session:
        maria = people.person_of(session.get_one(UserRow, people_there["maria"]))
    with pytest.raises(people.Refused, match="reset just now"):
        people.change_password(store, FakePasswords(), maria, PASSWORD, "a sentence of my own")
    desk = make_desk(store, settings, quick_passwords, LOOSE)
    assert desk.attempts.sign_in("maria", given[0], "-", None).person.must_change


# --- browsers that are known -----------------------------------------------------------------------------------------


def test_a_browser_that_is_known_is_not_locked_out_by_others(new_process):
    browser = new_process()
    maria = leave(browser("maria"))
    lock(browser)
    for i in range(40):  # now the address is at its end, too
        browser().sign_in(f"name{i}", "guess")
    assert browser().sign_in("maria").status_code == 429
    assert browser().sign_in("jonas").status_code == 429
    assert maria.sign_in("maria").status_code == 303


def test_a_browser_that_is_known_has_an_allowance_of_its_own_and_no_more(new_process):
    browser = new_process()
    thief = leave(browser("maria"))
    assert [thief.sign_in("maria", "guess").status_code for _ in range(8)] == [401] * 6 + [429] * 2
    assert browser().sign_in("maria").status_code == 303  # and it locks nobody else out
    assert thief.sign_in("jonas").status_code == 303


def test_a_browser_is_known_for_those_who_signed_in_there_alone(new_process):
    browser = new_process()
    shared = leave(browser("maria"))
    assert shared.sign_in("jonas").status_code == 303  # a workstation that two people use
    leave(shared)
    for name in ("maria", "jonas", "vera"):
        lock(browser, name)
    assert shared.sign_in("vera").status_code == 429
    assert shared.sign_in("maria").status_code == 303
    assert leave(shared).sign_in("jonas").status_code == 303


def test_the_cookie_of_a_known_browser_is_out_of_reach_and_new_each_time(new_process, store):
    browser = new_process()
    maria = browser()
    maria.cookies.set(DEVICE, "planted", domain="127.0.0.1", path="/")
    answer = maria.sign_in("maria")
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(DEVICE)]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    first = answer.cookies[DEVICE]
    second = leave(maria).sign_in("maria").cookies[DEVICE]
    assert len({"planted", first, second}) == 3
    lock(browser)
    for old in ("planted", first):
        stranger = browser()
        stranger.cookies.set(DEVICE, old, domain="127.0.0.1", path="/")
        assert stranger.sign_in("maria").status_code == 429
    with store.read() as session:
        assert second not in repr([row.model_dump() for row in session.exec(select(DeviceRow))])


def test_the_cookie_of_a_known_browser_goes_over_tls_alone_where_the_page_does(app):
    client = Client(app, base_url="https://127.0.0.1")
    answer = client.sign_in("maria")
    assert all("Secure" in c for c in answer.headers.get_list("set-cookie") if c.startswith((DEVICE, "wnet_session")))


def test_a_changed_password_makes_every_other_browser_a_stranger(new_process):
    browser = new_process()
    here, there = browser("maria"), browser("maria")
    new = "another horse, another kingdom"
    leave(there)
    assert here.write("/password", data={"old": PASSWORD, "new": new, "again": new}).status_code == 303
    lock(browser)
    assert there.sign_in("maria", new).status_code == 429
    here.cookies.delete("wnet_session")
    assert here.sign_in("maria", new).status_code == 303


def test_a_reset_makes_every_browser_a_stranger(new_process, store, quick_passwords, people_there):
    browser = new_process()
    maria = browser("maria")
    leave(maria)
    one_time = people.reset_password(store, quick_passwords, CONSOLE, people_there["maria"])
    lock(browser)
    assert maria.sign_in("maria", one_time).status_code == 429


def test_only_the_latest_browsers_of_a_user_are_known(new_process, store):
    browser = new_process()
    first = leave(browser("maria"))
    for _ in range(20):
        browser("maria")
    with store.read() as session:
        assert session.exec(select(func.count()).select_from(DeviceRow)).one() == 20
    lock(browser)
    assert first.sign_in("maria").status_code == 429


# --- one's own password, asked for again -----------------------------------------------------------------------------


def test_asking_for_ones_own_password_again_is_slowed_down_and_strangers_cannot_use_it_up(new_process, store):
    browser = new_process()
    maria = browser("maria")
    lock(browser)
    new = "another horse, another kingdom"
    wrong = {"old": "guess", "new": new, "again": new}
    answers = [maria.write("/password", data=wrong) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [422] * 6 + [429]
    assert "The password is not right." in answers[0].text
    assert maria.write("/password", data=wrong | {"old": PASSWORD}).status_code == 429
    with store.read() as session:
        told = session.exec(select(AuditRow.who).where(AuditRow.action == "password refused")).all()
    assert told == ["maria"] * 6


# --- how a lock-out grows --------------------------------------------------------------------------------------------


def test_each_failure_makes_the_next_wait_twice_as_long_up_to_a_limit():
    growth = Growth(free=3, forgiven_seconds=600, first_seconds=30, longest_seconds=300)
    assert [growth.wait(level, 0) for level in range(9)] == [0, 0, 0, 30, 60, 120, 240, 300, 300]
    assert growth.wait(3, 20) == 10
    assert growth.wait(3, 31) == 0
    assert growth.wait(1e9, 0) == 300
    assert growth.wait(5, -86_400) == 120  # a clock that was set back locks nobody out for a day


def test_one_who_guesses_from_one_address_holds_no_name_locked_for_others(store):
    limits, start = PasswordLimits(), utc_now()
    name, places = of_name("maria"), [of_address("203.0.113.9"), of_address("198.51.100.7")]
    theirs, hers = (
        {
            Counter("address", place): limits.address,
            Counter("name", name): limits.name,
            Counter("place", name, place): limits.place,
        }
        for place in places
    )
    now, guesses = start, 0
    with store.write() as session:
        while now < start + timedelta(days=2):
            wait = take(session, theirs, now)
            guesses += wait == 0
            assert take(session, hers, now) == 0
            give_back(session, hers)
            now += timedelta(seconds=max(wait, 0.05))
    assert guesses < 220


def test_guesses_from_many_addresses_come_to_a_dozen_an_hour(store):
    limits, start = PasswordLimits(), utc_now()
    name, now, guesses = of_name("maria"), start, 0
    with store.write() as session:
        while now < start + timedelta(hours=24):
            place = of_address(f"2001:db8:{guesses:x}::1")
            counters = {Counter("name", name): limits.name, Counter("place", name, place): limits.place}
            wait = take(session, counters, now)
            guesses += wait == 0
            now += timedelta(seconds=max(wait, 0.05))
        assert wait <= limits.name.longest_seconds
    assert 12 < guesses < 24 * 12 + 20


def test_a_name_that_no_user_has_is_locked_like_any_other(new_process):
    browser = new_process()
    lock(browser, "no-such-user")


def test_addresses_of_one_ipv6_network_count_as_one_and_mapped_ones_as_ipv4():
    assert of_address("2001:db8::1") == of_address("2001:0DB8::ffff:2%eth0")
    assert of_address("2001:db8::1") != of_address("2001:db8:0:1::1")
    assert of_address("::ffff:198.51.100.7") == of_address("198.51.100.7")
    assert of_address("-") != of_address("testclient")


def test_thousands_of_names_leave_few_rows_and_those_go(new_process, store, settings, quick_passwords):
    browser = new_process()
    stranger = browser()
    desk = make_desk(store, settings, quick_passwords, LOOSE)
    for i in range(2000):
        with pytest.raises(people.Refused):
            desk.attempts.sign_in(f"name{i}", "guess", "203.0.113.9", "x" * i)

    def rows():
        with store.read() as session:
            return session.exec(select(func.count()).select_from(AttemptRow)).one()

    assert rows() <= 2 * 40 + 1
    with store.write() as session:
        take(session, {Counter("address", "x"): Growth(1, 1, 1, 1)}, utc_now() + timedelta(hours=1))
    assert rows() == 1
    assert stranger.sign_in("maria").status_code == 303


def test_attempts_that_have_to_wait_write_nothing(new_process, store):
    browser = new_process()
    maria = browser("maria", "198.51.100.8")
    for client, told in ((browser(), "guess"), (maria, None)):
        answers = []
        for _ in range(7):
            if told:
                answers.append(client.sign_in("maria", told).status_code)
            else:
                wrong = {"old": "guess", "new": "a sentence of my own", "again": "a sentence of my own"}
                answers.append(client.write("/password", data=wrong).status_code)
        assert answers[-1] == 429
    token = browser()
    form = {"name": "maria", "password": "guess", "csrf": token.form_token()}
    with store.write() as session:  # who would write now, waits for half a minute
        session.connection().execute(text("UPDATE sign_in_attempts SET level = level"))
        begun = time.monotonic()
        assert token.post("/sign-in", data=form).status_code == 429
        assert time.monotonic() - begun < 10


def test_a_password_typed_as_a_name_cannot_be_found_out_from_the_database(new_process, store):
    from hashlib import sha256

    new_process()().sign_in(PASSWORD, "x")
    with store.read() as session:
        kept = repr([row.model_dump() for row in session.exec(select(AttemptRow))])
        kept += repr([row.model_dump() for row in session.exec(select(AuditRow))])
    assert PASSWORD not in kept
    assert sha256(PASSWORD.encode()).hexdigest()[:8] not in kept
