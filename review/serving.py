"""`review serve`: find a free port, say the address and the first sign-in, serve; purge old pictures daily."""

import errno
import socket
import sys
import threading
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from review.app import create_app
from review.connections import LimitedProtocol
from review.desk import make_desk
from review.people import FIRST, first_administrator
from review.purging import purge_old
from smear.plain import PlainError
from smear.settings import Settings
from smear.store import Store, StoreUnavailable, wait_for_schema


log: Final = structlog.get_logger()

#: Ports tried, one after the other, from WNET_REVIEW_PORT on.
PORTS: Final = 50
PURGE_SECONDS: Final = 24 * 3600.0


class NoPort(PlainError):
    """No port to listen on; its text says which were tried."""


def listen(host: str, port: int) -> socket.socket:
    """A bound socket on the first free port from `port` on (0: any); raises NoPort."""
    last = port if port == 0 else min(port + PORTS - 1, 65535)
    for candidate in range(port, last + 1):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, candidate))
            bound.listen(128)
        except OSError as error:
            bound.close()
            if error.errno != errno.EADDRINUSE:
                raise NoPort(f"WNET_REVIEW_HOST, WNET_REVIEW_PORT: {host}:{candidate}: {error.strerror}") from None
        else:
            return bound
    raise NoPort(f"WNET_REVIEW_PORT: no port from {port} to {last} is free on {host}")


def serve(settings: Settings) -> None:
    """Serve until told to stop; raises NoPort, BadIntervals, StoreUnavailable."""
    store, stop = Store(settings.database), threading.Event()
    for problem in wait_for_schema(store, stop):
        log.info("waiting for the database", reason=problem)
    desk = make_desk(store, settings)
    bound = listen(settings.review_host, settings.review_port)
    password = first_administrator(store, desk.passwords)
    _say(bound, settings, password)
    purger = threading.Thread(target=_purge_daily, args=(store, settings, stop), name="purge", daemon=True)
    purger.start()
    try:
        uvicorn.Server(configuration(create_app(desk, settings))).run(sockets=[bound])
    finally:
        stop.set()
        store.close()


def configuration(app: FastAPI) -> uvicorn.Config:
    """How the page is served."""
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn would believe what any program on this machine says; app.py believes the proxies that are named.
        proxy_headers=False,
        # Streams of events end only when the browser goes; nobody waits for that.
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,
    )


def _say(bound: socket.socket, settings: Settings, password: str | None) -> None:
    host = f"[{settings.review_host}]" if ":" in settings.review_host else settings.review_host
    print(f"Review page: http://{host}:{bound.getsockname()[1]}/", flush=True)  # noqa: T201 - for the person
    if password is not None:
        print(  # noqa: T201 - printed once, and of no use after the first sign-in
            f"First sign-in: name {FIRST}, one-time password {password}", flush=True
        )
    sys.stdout.flush()


def _purge_daily(store: Store, settings: Settings, stop: threading.Event) -> None:
    # Not at once: at start there is other work to do.
    wait = 60.0
    while not stop.wait(wait):
        wait = PURGE_SECONDS
        try:
            if purged := purge_old(store, settings):
                log.info("old pictures purged", pictures=purged)
        except (StoreUnavailable, OSError) as error:
            log.warning("old pictures not purged", reason=str(error))
