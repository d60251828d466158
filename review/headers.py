"""What every answer carries and every request must: strict headers, no request from another site, no large body."""

import re
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review.hosts import HostNames, same_origin


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
#: Of these a request has one at the most.
_ONCE: Final = ("host", "origin", "sec-fetch-site", "content-length", "content-type", "x-csrf-token")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class StrictHeaders:
    """ASGI middleware. `names` are what this page may be called by."""

    def __init__(self, app: ASGIApp, names: HostNames) -> None:
        self._app, self._names = app, names

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

        if (refusal := self._refusal(scope, Headers(scope=scope))) is not None:
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

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and words for what no route shall see."""
        if any(len(headers.getlist(name)) > 1 for name in _ONCE):
            return 400, "This request is damaged."  # which of the two counts, a proxy may see another way
        if not self._names.allow(headers.get("host")):
            return 400, "This page does not go by that name; WNET_REVIEW_NAMES lists its names."
        if scope["method"] not in _SAFE and _foreign(headers, scope.get("scheme", "http")):
            return 403, "This request came from another site."
        length = headers.get("content-length", "0")
        if _NUMBER.fullmatch(length) is None or int(length) > MAX_BODY_BYTES or "transfer-encoding" in headers:
            return 413, "This is too large."
        return None


def _foreign(headers: Headers, scheme: str) -> bool:
    """Whether a writing request is none of our own pages'; where it may be one, its token decides."""
    site = headers.get("sec-fetch-site")
    if site not in {None, "same-origin", "none"}:
        return True
    origin = headers.get("origin")
    # A page that gives no referrer gives no origin either; then Sec-Fetch-Site says whose page it is.
    if origin is None or (origin == "null" and site == "same-origin"):
        return False
    return not same_origin(origin, headers.get("host"), scheme)
