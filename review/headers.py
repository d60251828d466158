"""What every answer carries and every request must: strict headers, no request from another site, no large body."""

import re
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


log: Final = structlog.get_logger()

#: Nothing from elsewhere, no inline script or style, no frame around us. Pictures alone may be data: a gallery's come
#: many in one answer, and a picture runs nothing.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
#: As answers carry them.
_ENCODED: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_NAMES: Final = frozenset(name for name, _ in _ENCODED)
MAX_BODY_BYTES: Final = 256 * 1024
FAULT: Final = "Something went wrong here; the log says what. Load the page again and look before you go on."
_NUMBER: Final = re.compile("[0-9]{1,12}")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class StrictHeaders:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what comes from elsewhere or is too large; put our headers on whatever is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        secure, begun = scope.get("scheme") == "https", False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                theirs = [header for header in message["headers"] if header[0] not in _NAMES]
                message["headers"] = theirs + _ENCODED
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                if secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        if (refusal := _refusal(scope["method"], Headers(scope=scope))) is not None:
            status, words = refusal
            await PlainTextResponse(words, status)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception:
            # The edge: a fault of ours ends this one request, in words, and is told in full in the log alone.
            log.exception("a request ended in a fault")
            if not begun:
                await PlainTextResponse(FAULT, 500)(scope, receive, send_with_headers)


def _refusal(method: str, headers: Headers) -> tuple[int, str] | None:
    """Status and words for what no route shall see."""
    if method not in _SAFE and (problem := _foreign(headers)) is not None:
        return 403, problem
    length = headers.get("content-length", "0")
    if _NUMBER.fullmatch(length) is None or int(length) > MAX_BODY_BYTES or "transfer-encoding" in headers:
        return 413, "This is too large."
    return None


def _foreign(headers: Headers) -> str | None:
    """Why a writing request is not one of our own pages'; None where it may be (its token decides)."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return "This request came from another site."
    origin = headers.get("origin")
    if origin is None:
        return None
    try:
        ours = urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        ours = False  # no address at all
    return None if ours else "This request came from another site."
