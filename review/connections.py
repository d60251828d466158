"""Connections of browsers, with limits: how long a request may take to come, how large its head is, how many there are.

uvicorn limits none of this with httptools, and with h11 the size of a head alone. A proxy in front usually does; the
page must also stand without one.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from review.headers import HEADERS


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one connection, and of all together."""

    #: From the first byte (or from the connection itself) to the end of the head.
    head_seconds: float = 10.0
    #: From the end of the head to the end of the body; bodies are small (review/headers.py).
    body_seconds: float = 30.0
    #: How long an answer may wait for a browser that takes none of it.
    answer_seconds: float = 60.0
    #: Ours come to 2 KB; browsers also send the cookies of whatever else is served under the same name.
    head_bytes: int = 32 * 1024
    head_lines: int = 100
    #: Requests waiting for the one before on the same connection. Browsers send one at a time.
    waiting_requests: int = 8
    #: Below the 1024 files that a process may have open by default.
    connections: int = 600


class TooMuch(Exception):
    """A request is larger than its limits; raised inside the parser, which then refuses the request."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. What goes past a limit is answered where there is something to answer, and closed."""

    limits: ConnectionLimits = ConnectionLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Bytes as they came, and as the parser made lines of them.
        self._in_head, self._head_bytes, self._head_lines, self._measured = True, 0, 0, 0
        self._since = self.loop.time()
        self._request_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    # --- time ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A browser has connected; where there are too many, the one that we have waited for longest goes."""
        super().connection_made(transport)
        self._expect(self.limits.head_seconds)
        if len(self.connections) > self.limits.connections:
            waiting = (c for c in self.connections if isinstance(c, LimitedProtocol) and c.waits_for_browser)
            min(waiting, key=lambda c: c._since, default=self).transport.abort()  # noqa: SLF001 - one of us

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._expect(None)
        self._stop_answer_timer()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered here."""
        cycle: RequestResponseCycle | None = self.cycle  # before the first request there is none
        return cycle is None or cycle.response_complete

    @property
    def waits_for_browser(self) -> bool:
        """Whether it is the browser's turn: to ask, to go on with what it sends, or to take what it asked for."""
        if self.transport.is_closing():
            return False
        return self.is_idle or self._request_timer is not None or self._answer_timer is not None

    def _expect(self, seconds: float | None) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._request_timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if self._head_bytes:
            self._answer(b"408 Request Timeout", "This request took too long.")
        self._end()

    def pause_writing(self) -> None:
        """The browser takes no more for now."""
        super().pause_writing()
        self._start_answer_timer()

    def resume_writing(self) -> None:
        """It does again."""
        self._stop_answer_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """The answer has been written; its end may still wait for the browser."""
        self._since = self.loop.time()
        if self.transport.is_closing():
            self._start_answer_timer()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while."""
        self._end()

    def _end(self) -> None:
        # Closing would wait for a browser that does not take what is left for it.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _start_answer_timer(self) -> None:
        self._stop_answer_timer()
        self._answer_timer = self.loop.call_later(self.limits.answer_seconds, self.transport.abort)

    def _stop_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    # --- size ---

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self._request_timer is None and self.is_idle:
            # Also before the parser sees a request in it: empty lines must not keep a connection open.
            self._in_head, self._head_bytes = True, 0
            self._expect(self.limits.head_seconds)
        # A line that never ends reaches no callback.
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
            self._refuse_size()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if not self._in_head:
            self._in_head, self._head_bytes = True, 0
        self._head_lines, self._measured, self._since = 0, 0, self.loop.time()
        self._expect(self.limits.head_seconds)

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or of what follows a body in chunks."""
        self._head_lines += 1
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the head."""
        if len(self.pipeline) >= self.limits.waiting_requests:
            raise TooMuch
        self._in_head = False
        self._expect(self.limits.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The end of the request."""
        self._expect(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take; also what is too much."""
        if self._is_too_much():
            self._refuse_size()
        else:
            self._answer(b"400 Bad Request", msg)
            self.transport.close()

    def _measure(self, more: int) -> None:
        self._measured += more
        if self._is_too_much():
            raise TooMuch

    def _is_too_much(self) -> bool:
        return self._measured > self.limits.head_bytes or self._head_lines > self.limits.head_lines

    def _refuse_size(self) -> None:
        self._answer(b"431 Request Header Fields Too Large", "This is too large.")
        self.transport.close()

    def _answer(self, status: bytes, words: str) -> None:
        if not self.is_idle:
            return  # an answer to an earlier request is under way: nothing may be written into it
        told = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(words)), "Connection": "close"}
        lines = [f"{name}: {value}\r\n".encode() for name, value in {**HEADERS, **told}.items()]
        self.transport.write(b"".join([b"HTTP/1.1 ", status, b"\r\n", *lines, b"\r\n", words.encode()]))
