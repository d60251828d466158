"""The proxies' files: real nginx with TLS in front of a real page; both name the settings that the page needs."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from command_lines import PROJECT

from review.headers import MAX_BODY_BYTES
from review.passwords import Passwords
from review.people import add
from smear.audit import CONSOLE
from smear.settings import Settings


FOLDER = PROJECT / "deploy" / "proxy"


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_a_proxys_file_names_the_settings_that_the_page_needs(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\bWNET_[A-Z_]+", text):
        assert name.removeprefix("WNET_").lower() in Settings.model_fields
    assert {"WNET_REVIEW_NAMES", "WNET_REVIEW_PROXY"} <= set(re.findall(r"\bWNET_[A-Z_]+", text))
    assert f"127.0.0.1:{Settings.model_fields['review_port'].default}" in text
    assert re.search(rf"\b{MAX_BODY_BYTES // 1024}(k|KB)\b", text)


def free_port():
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def certificate(tmp_path):
    program = shutil.which("openssl") or pytest.skip("needs openssl")
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=wnet.example.org",
         "-addext", "subjectAltName=DNS:wnet.example.org", "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "fullchain.pem"


@pytest.fixture
def page(sqlite_store, tmp_path):
    """The page's port, and a user's one-time password."""
    add(sqlite_store, Passwords(), CONSOLE, "ada", "Ada Admin", "administrator")
    password = add(sqlite_store, Passwords(), CONSOLE, "maria", "Maria Lind", "technologist")
    environment = {
        "PATH": os.environ["PATH"], "WNET_VAR": str(tmp_path / "var"), "WNET_REVIEW_PORT": "0",
        "WNET_DATABASE_URL": sqlite_store.engine.url.render_as_string(),
        "WNET_REVIEW_NAMES": "wnet.example.org", "WNET_REVIEW_PROXY": "127.0.0.1",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", "from review.cli import main; main()", "serve"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield int(re.search(r":(\d+)/", process.stdout.readline())[1]), password
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def nginx(page, certificate, tmp_path):
    """The port of nginx, which serves the page by the file that is shipped."""
    program = shutil.which("nginx") or pytest.skip("needs nginx")
    port, plain = free_port(), free_port()
    server = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    for shipped, here in (("listen 443", f"listen 127.0.0.1:{port}"), ("listen 80", f"listen 127.0.0.1:{plain}"),
                          ("127.0.0.1:8321", f"127.0.0.1:{page[0]}"), ("/etc/ssl/wnet", str(tmp_path))):  # fmt: skip
        assert shipped in server
        server = server.replace(shipped, here)
    kinds = " ".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;"
        f" events {{}} http {{ access_log off; {kinds} {server} }}"
    )
    process = subprocess.Popen(
        [program, "-p", str(tmp_path), "-c", "nginx.conf", "-e", str(tmp_path / "error.log")], stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield port
    process.terminate()
    process.communicate(timeout=20)


class Browser:
    """Speaks TLS with nginx, from an address of this machine."""

    def __init__(self, port, certificate: Path, address):
        self.base = f"https://wnet.example.org:{port}"
        transport = httpx2.HTTPTransport(verify=ssl.create_default_context(cafile=certificate), local_address=address)
        self.client = httpx2.Client(transport=transport, timeout=20, headers={"x-forwarded-for": "192.0.2.1"})
        self.port = port

    def ask(self, method, path, **how):
        # By address, under the host's name: nobody resolves it here.
        headers = {"host": f"wnet.example.org:{self.port}", "origin": self.base} | how.pop("headers", {})
        return self.client.request(
            method, f"https://127.0.0.1:{self.port}{path}", headers=headers,
            extensions={"sni_hostname": "wnet.example.org"}, **how,
        )  # fmt: skip

    def sign_in(self, password):
        form = self.ask("GET", "/sign-in")
        cookie = form.headers["set-cookie"].split(";")[0]
        told = {"name": "maria", "password": password, "csrf": re.search(r'"csrf" value="(\w+)"', form.text)[1]}
        return self.ask("POST", "/sign-in", data=told, headers={"cookie": cookie})


@pytest.fixture
def browsers(nginx, certificate):
    """Two, at two addresses."""
    both = [Browser(nginx, certificate, address) for address in ("127.0.0.2", "127.0.0.3")]
    yield both
    for browser in both:
        browser.client.close()


def test_through_nginx_browsers_are_told_apart_and_cookies_go_over_tls_alone(browsers, page):
    thief, maria = browsers
    assert [thief.sign_in("guess").status_code for _ in range(7)] == [401] * 6 + [429]
    answer = maria.sign_in(page[1])
    assert answer.status_code == 303
    given = [c for c in answer.headers.get_list("set-cookie") if c.startswith(("wnet_session", "wnet_device"))]
    assert ["Secure" in cookie for cookie in given] == [True, True]
    assert "strict-transport-security" in answer.headers
    assert maria.ask("POST", "/sign-in", content=b"x" * 300_000).status_code == 413
