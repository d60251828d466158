"""Connections that never end: heads, bodies and answers without end or in drops, against a real server process."""

import os
import re
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import psutil
import pytest
from seeding import add_people

from review.connections import ConnectionLimits, LimitedProtocol
from review.headers import HEADERS


#: With limits that a test need not wait for; everything else as `review serve` does it.
SERVE = """
import socket, sys
from review.cli import main
from review.connections import ConnectionLimits, LimitedProtocol
# What a browser does not take waits in this process, not in the kernel.
listen = socket.socket.listen
def listen_narrowly(self, backlog):
    self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    listen(self, backlog)
socket.socket.listen = listen_narrowly
LimitedProtocol.limits = ConnectionLimits(head_seconds=2, body_seconds=3, answer_seconds=3, connections=250)
sys.argv[1:] = ["serve"]
main()
"""


class Server:
    """A page in a process of its own."""

    def __init__(self, process, port):
        self.process, self.port = psutil.Process(process.pid), port

    def connect(self, first=b"", receive_bytes=None):
        made = socket.socket()
        if receive_bytes is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        made.settimeout(10)
        made.connect(("127.0.0.1", self.port))
        made.sendall(first)
        return made

    def memory_mb(self):
        return self.process.memory_info().rss / 1e6

    def serves(self):
        return httpx2.get(f"http://127.0.0.1:{self.port}/sign-in", timeout=20).status_code == 200


@contextmanager
def started(store, url, tmp_path, **more):
    environment = {"PATH": os.environ["PATH"], "WNET_VAR": str(tmp_path / "var"), "WNET_DATABASE_URL": url}
    environment |= {"WNET_REVIEW_PORT": "0"} | more
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline()
        server = Server(process, int(re.search(r":(\d+)/", line)[1]))
        deadline = time.monotonic() + 20
        while True:
            try:
                assert server.serves()
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def server(sqlite_store, quick_passwords, tmp_path):
    add_people(sqlite_store, quick_passwords)
    with started(sqlite_store, sqlite_store.engine.url.render_as_string(), tmp_path) as running:
        yield running


def all_closed(sockets, seconds):
    """Whether the server ends every one of them within that time; what it had to say, by socket."""
    said = dict.fromkeys(sockets, b"")
    left, deadline = set(sockets), time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        for one in select.select(list(left), [], [], 0.2)[0]:
            try:
                more = one.recv(65536)
            except OSError:
                more = b""
            said[one] += more
            if not more:
                left.discard(one)
    assert not left, f"{len(left)} of {len(said)} connections are still open"
    return list(said.values())


START = b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_heads_without_end_and_slow_ones_are_ended_and_take_no_memory(server):
    before = server.memory_mb()
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect(START + b"X-A: ")) for _ in range(100)]
        silent = [stack.enter_context(server.connect()) for _ in range(50)]
        drops = [stack.enter_context(server.connect(b"\r\n")) for _ in range(50)]
        endless = [stack.enter_context(server.connect(START)) for _ in range(20)]
        line = b"X-B: " + b"b" * 1000 + b"\r\n"
        for one in endless:
            try:
                for _ in range(1000):
                    one.sendall(line * 4)
            except OSError:
                continue
            pytest.fail("4 MB of head were taken")
        for one in drops:
            one.sendall(b"\r\n")
        assert server.serves()
        assert server.memory_mb() - before < 25
        said = all_closed([*slow, *silent, *drops], 12)
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in said[:100])
        assert said[100:150] == [b""] * 50
    assert server.serves()


@pytest.mark.parametrize(("head", "status"), [
    (START + b"X-A: " + b"a" * 40_000, b"431"),  # one line, not yet ended
    (START + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
    (b"GET /" + b"a" * 40_000, b"431"),
    (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"431"),
    (START + b"X: y\r\n" * 101 + b"\r\n", b"431"),
    (START + b"Cookie: " + b"a=b; " * 8000 + b"\r\n\r\n", b"431"),
    (b"\r\n" * 20_000, b"431"),
    (START + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"413"),
    (START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    (START + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400"),
    (START + b"Host: evil.example\r\n\r\n", b"400"),
    (START + b" X: folded\r\n\r\n", b"400"),
    (START + b"X : y\r\n\r\n", b"400"),
    (START + b"X: \x00\r\n\r\n", b"400"),
    (b"GET /sign-in HTTP/1.1\r\n\r\n", b"400"),
    (b"GET http://evil.example/sign-in HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
])  # fmt: skip
def test_heads_that_are_too_large_or_smuggle_something_are_refused(shared_server, head, status):
    with shared_server.connect() as one:
        with suppress(OSError):  # refused before it was all sent
            one.sendall(head)
        (answer,) = first_answers([one])
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        for name in HEADERS:
            assert f"{name}: ".lower().encode() in answer.lower()
    assert shared_server.serves()


def first_answers(sockets):
    answers = []
    for one in sockets:
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (more := one.recv(65536)):
                answer += more
        except ConnectionError:
            pass
        answers.append(answer)
    return answers


@pytest.fixture(scope="module")
def shared_server(migrated_sqlite, quick_passwords, tmp_path_factory):
    import shutil

    from smear.store import Store

    folder = tmp_path_factory.mktemp("page")
    shutil.copyfile(migrated_sqlite, folder / "wnet.sqlite")
    store = Store(f"sqlite:///{folder / 'wnet.sqlite'}")
    add_people(store, quick_passwords)
    with started(store, f"sqlite:///{folder / 'wnet.sqlite'}", folder) as running:
        yield running
    store.close()


def test_a_large_cookie_of_a_neighbour_is_taken(shared_server):
    answer = httpx2.get(
        f"http://127.0.0.1:{shared_server.port}/sign-in", headers={"cookie": "; ".join(["a=" + "x" * 3900] * 7)}
    )
    assert answer.status_code == 200


def test_a_body_that_comes_in_drops_or_never_ends_is_ended(shared_server):
    post = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with ExitStack() as stack:
        drops = [stack.enter_context(shared_server.connect(post + b"Content-Length: 100\r\n\r\na")) for _ in range(20)]
        huge = stack.enter_context(shared_server.connect(post + b"Content-Length: 99999999999\r\n\r\n" + b"a" * 9999))
        waits = stack.enter_context(
            shared_server.connect(post + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        )
        assert first_answers([huge])[0].startswith(b"HTTP/1.1 413 ")
        all_closed([*drops, huge, waits], 15)
    assert shared_server.serves()


def test_an_answer_that_is_not_taken_is_ended(shared_server):
    ask = b"GET /static/vendor/inter-5.3.0-latin.woff2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ExitStack() as stack:
        lazy = [stack.enter_context(shared_server.connect(ask * 4, receive_bytes=2048)) for _ in range(10)]
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and connections(shared_server):
            time.sleep(0.2)
        assert connections(shared_server) == 0
        assert len(lazy) == 10


def connections(server):
    """Connections of that process that are in use."""
    return sum(c.status == psutil.CONN_ESTABLISHED for c in server.process.net_connections("tcp"))


def test_thousands_of_requests_at_once_on_one_connection_are_not_queued(shared_server):
    before = shared_server.memory_mb()
    with ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(shared_server.connect())
            with suppress(OSError):
                one.sendall((START + b"\r\n") * 4000)
        assert shared_server.serves()
        assert shared_server.memory_mb() - before < 25


@pytest.mark.parametrize("first", [
    b"", START, START.replace(b"GET", b"POST") + b"Content-Length: 99\r\n\r\na",
    b"GET /static/vendor/inter-5.3.0-latin.woff2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 4,
])  # fmt: skip
def test_more_connections_than_there_may_be_end_the_waiting_ones_and_not_the_page(shared_server, first):
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(shared_server.connect(first, receive_bytes=2048))
        # Before it closes some, it accepts all that came at once, and a request that is being answered is not cut off.
        deadline = time.monotonic() + 30
        while not (connections(shared_server) <= 250 and is_served(shared_server)):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def is_served(server):
    try:
        return server.serves()
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c", b"TLS/1.0"])
def test_another_protocol_is_not_spoken_and_nothing_hangs(shared_server, upgrade):
    head = START + b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n\r\n"
    with shared_server.connect(head) as one:
        assert first_answers([one])[0].startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
        one.sendall(b"rubbish\r\n")
        all_closed([one], 12)


def test_a_browser_that_asks_again_after_a_pause_is_answered_on_the_same_connection(shared_server):
    with shared_server.connect() as one:
        for pause in (0, 2.5):
            time.sleep(pause)
            one.sendall(START + b"\r\n")
            answer = b""
            while b"</html>" not in answer:
                answer += one.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_page_believes_no_program_on_this_machine_about_addresses(shared_server):
    address = f"http://127.0.0.1:{shared_server.port}/sign-in"
    answers = []
    for i in range(8):
        with httpx2.Client(headers={"x-forwarded-for": f"198.51.100.{i}", "x-forwarded-proto": "https"}) as client:
            form = client.get(address)
            assert "Secure" not in form.headers["set-cookie"]
            told = {"name": "maria", "password": "guess", "csrf": re.search(r'"csrf" value="(\w+)"', form.text)[1]}
            answers.append(client.post(address, data=told).status_code)
    assert answers == [401] * 6 + [429] * 2


def test_the_limits_of_a_page_leave_room_for_browsers():
    limits = LimitedProtocol.limits
    assert limits == ConnectionLimits()
    assert limits.head_bytes >= 16 * 1024
    assert limits.head_seconds <= 10
