"""By which names the page is called, whose forms it takes, and whom it believes about where a request came from."""

import pytest
from sqlmodel import select
from web_client import Client

from review.app import create_app
from review.hosts import HostNames, same_origin
from smear.review_tables import AttemptRow


def page(desk, make_settings, peer="127.0.0.1", base="http://127.0.0.1", **values):
    app = create_app(desk, make_settings(review_port=0, **values))
    return Client(app, base_url=base, client=(peer, 50000))


# --- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.9"])
def test_nobody_is_believed_about_the_address_of_another_unless_a_proxy_is_named(desk, make_settings, peer):
    stranger = page(desk, make_settings, peer)
    answers = []
    for i in range(8):
        stranger.headers["x-forwarded-for"] = f"198.51.100.{i}"
        stranger.headers["x-forwarded-proto"] = "https"
        answer = stranger.sign_in("maria", "guess")
        answers.append(answer.status_code)
        assert "Secure" not in answer.headers["set-cookie"]
    assert answers == [401] * 6 + [429] * 2


@pytest.mark.parametrize("proxy", ["10.0.0.9", "192.0.2.1, 10.0.0.0/24", "fd00::/8"])
def test_a_named_proxy_is_believed_about_whom_it_asks_for(desk, make_settings, proxy):
    peer = "fd00::9" if proxy.startswith("fd") else "10.0.0.9"
    through = page(desk, make_settings, peer, "https://wnet.example", review_proxy=proxy, review_names="wnet.example")
    through.headers["x-forwarded-proto"] = "https"
    for i in range(2):
        through.headers["x-forwarded-for"] = f"203.0.113.66, 198.51.100.{i}"  # the first was sent by the browser
        assert [through.sign_in("maria", "guess").status_code for _ in range(7 - i)].count(429) == 1 - i
    answer = through.sign_in("jonas")
    assert answer.status_code == 303
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers


def test_another_than_the_named_proxy_is_not_believed(desk, make_settings):
    stranger = page(desk, make_settings, "10.0.1.9", review_proxy="10.0.0.0/24")
    stranger.headers["x-forwarded-for"] = "198.51.100.1"
    stranger.sign_in("maria", "guess")
    stranger.headers["x-forwarded-for"] = "198.51.100.2"
    stranger.sign_in("maria", "guess")
    with desk.store.read() as session:
        assert len(session.exec(select(AttemptRow).where(AttemptRow.kind == "address")).all()) == 1


def test_a_proxy_named_by_its_ipv4_address_is_known_by_the_ipv6_form_of_it(desk, make_settings):
    through = page(desk, make_settings, "::ffff:10.0.0.9", review_proxy="10.0.0.9")
    through.headers["x-forwarded-proto"] = "https"
    assert "strict-transport-security" in through.get("/sign-in").headers


# --- names -----------------------------------------------------------------------------------------------------------


OURS = (
    "127.0.0.1", "127.0.0.1:8321", "localhost", "LOCALHOST:8321", "localhost.", "localhost.:8321", "[::1]:8321",
    "[::1]", "[0:0::1]:8321", "Wnet.Example", "wnet.example.", "ward.lab.example", "xn--labr-7qa.example",
    "[2001:db8::5]",
)  # fmt: skip
NOT_OURS = (
    "", "evil.example", "lab.example.evil.example", "lab.example", "localhost..", "localhost@evil.example",
    "localhost/evil", "localhost:x", "localhost:99999999", "[::2]", "[::1", "::1]", "localhost localhost", "\xff", ".",
    "127.1", "localhost%00", "a" * 5000, "evil.example#localhost", "evil.example?.lab.example",
)  # fmt: skip


def test_the_page_is_found_under_its_names_however_they_are_written_and_under_no_other(desk, make_settings):
    names = "WNET.example,*.Lab.example,labör.example"
    client = page(desk, make_settings, review_names=names, review_host="2001:DB8::5")

    def status(host):
        return client.get("/sign-in", headers=[(b"host", host.encode("latin-1"))]).status_code

    assert {host: status(host) for host in OURS} == dict.fromkeys(OURS, 200)
    assert {host: status(host) for host in NOT_OURS} == dict.fromkeys(NOT_OURS, 400)


def test_a_star_allows_any_name_and_still_no_rubbish():
    assert HostNames(["*"]).allow("anything.example:80")
    assert not HostNames(["*"]).allow("a b")
    assert not HostNames(["*"]).allow(None)


def test_a_header_that_comes_twice_is_refused(client):
    told = {"host": b"127.0.0.1", "origin": b"http://127.0.0.1", "content-length": b"0", "sec-fetch-site": b"none"}
    maria = client("maria")
    for name in (*told, "content-type", "x-csrf-token"):
        twice = [(name.encode(), told.get(name, b"x"))] * 2
        rest = [(b"host", b"127.0.0.1")] if name != "host" else []
        assert maria.request("GET", "/", headers=[*rest, *twice]).status_code == 400, name


# --- where a form came from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "host", "scheme"), [
    ("http://127.0.0.1:8321", "127.0.0.1:8321", "http"), ("http://LocalHost:8321", "localhost:8321", "http"),
    ("http://localhost", "localhost:80", "http"), ("http://localhost:80", "LOCALHOST", "http"),
    ("https://wnet.example", "wnet.example:443", "https"), ("https://wnet.example:443", "wnet.example", "https"),
    ("https://wnet.example", "wnet.example", "http"), ("http://[::1]:8321", "[0::1]:8321", "http"),
    ("http://localhost.:8321", "localhost:8321", "http"), ("HTTPS://WNET.example", "wnet.Example", "https"),
])  # fmt: skip
def test_an_origin_is_ours_however_it_is_written(origin, host, scheme):
    assert same_origin(origin, host, scheme)


@pytest.mark.parametrize(("origin", "host", "scheme"), [
    ("http://localhost:81", "localhost", "http"), ("https://localhost:80", "localhost", "http"),
    ("https://localhost", "localhost:80", "http"), ("http://wnet.example", "wnet.example", "https"),
    ("http://evil.example", "localhost", "http"), ("null", "localhost", "http"), ("", "localhost", "http"),
    ("http://localhost@evil.example", "localhost", "http"), ("http://localhost/x", "localhost", "http"),
    ("ftp://localhost", "localhost", "http"), ("file://", "localhost", "http"), ("http://[", "localhost", "http"),
    ("http://localhost:x", "localhost", "http"), ("//localhost", "localhost", "http"), ("http://", "", "http"),
    ("http://\xff", "localhost", "http"), ("http://127.0.0.1", "localhost", "http"), ("localhost", "localhost", "http"),
])  # fmt: skip
def test_any_other_origin_is_foreign(origin, host, scheme):
    assert not same_origin(origin, host, scheme)


def test_a_page_that_gives_no_origin_is_left_to_its_token(client, slide):
    maria = client("maria")
    ours = {"origin": "null", "sec-fetch-site": "same-origin"}
    url = f"/slides/{slide}/hold"
    shown = {"identity": maria.identity(url)}
    assert maria.post(url, json=shown, headers=ours | {"x-csrf-token": maria.csrf}).status_code == 200
    assert maria.post(url, json=shown, headers=ours | {"x-csrf-token": "0" * 64}).status_code == 403
    for told in ({"origin": "null"}, {"origin": "null", "sec-fetch-site": "cross-site"},
                 {"origin": "null", "sec-fetch-site": "none"}):  # fmt: skip
        assert maria.post(url, json=shown, headers=told | {"x-csrf-token": maria.csrf}).status_code == 403


def test_a_form_is_taken_from_our_own_page_however_its_name_is_written(client, slide):
    maria = client("maria")
    for host, origin in (("LOCALHOST:8321", "http://localhost:8321"), ("localhost:80", "http://localhost"),
                         ("127.0.0.1", "HTTP://127.0.0.1:80"), ("[0::1]:8321", "http://[::1]:8321"),
                         ("localhost.:8321", "http://localhost:8321")):  # fmt: skip
        told = {
            "host": host,
            "origin": origin,
            "x-csrf-token": maria.csrf,
            "cookie": f"wnet_session={maria.cookies['wnet_session']}",
        }
        url = f"/slides/{slide}/hold"
        answer = maria.post(url, json={"identity": maria.identity(url)}, headers=told)
        assert answer.status_code == 200, (host, origin)
