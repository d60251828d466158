"""A broker behind TLS, with a certificate of its own: trusted where WNET_BROKER_CA names its authority, else not."""

import contextlib
import socket
import ssl
import threading

import pytest

from worker.queue import BrokerUnavailable, depth, publish, sender


class FakeTls:
    """Speaks TLS on loopback for a server on a Unix socket: the one that pip brings was built without it."""

    def __init__(self, certificate, inner):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._inner = inner
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, plain):
        with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as outer:
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(self._inner)
            outer.settimeout(0.05)
            inner.settimeout(0.05)
            while True:
                for source, sink in ((outer, inner), (inner, outer)):
                    with contextlib.suppress(TimeoutError):
                        data = source.recv(65536)
                        if not data:
                            inner.close()
                            return
                        sink.sendall(data)

    def close(self):
        self._listener.close()


@pytest.fixture
def tls(broker, settings, certificate):
    broker.start()
    made = FakeTls(certificate, str(settings.broker_socket))
    yield made
    made.close()


def app_of(make_settings, tls, options="", **more):
    return sender(make_settings(broker_url=f"rediss://127.0.0.1:{tls.port}/0{options}", **more))


def test_a_certificate_of_an_unknown_authority_is_refused(tls, make_settings):
    app = app_of(make_settings, tls)
    with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
        publish(app, 7)
    assert depth(app) is None


def test_it_is_accepted_where_its_authority_is_named(tls, make_settings, certificate):
    app = app_of(make_settings, tls, broker_ca=certificate[0])
    publish(app, 7)
    assert depth(app) == 1


def test_a_certificate_for_another_name_is_refused(tls, make_settings, certificate):
    app = sender(make_settings(broker_url=f"rediss://localhost:{tls.port}/0", broker_ca=certificate[0]))
    with pytest.raises(BrokerUnavailable, match=r"(?i)hostname mismatch"):
        publish(app, 7)


def test_nothing_is_checked_only_where_the_address_says_so(tls, make_settings):
    app = app_of(make_settings, tls, "?ssl_cert_reqs=none")
    publish(app, 7)
    assert depth(app) == 1
