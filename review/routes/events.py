"""The stream of server-sent events."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from review.asking import desk_of, reader, signed_in
from review.people import Person
from review.refusal import Refused
from review.sessions import COOKIE, SignedIn


router = APIRouter()

_open: Counter[str] = Counter()


class _Stream(StreamingResponse):
    """A stream that gives its place back when it ends, however it ends."""

    digest = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _open[self.digest] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open[self.digest] -= 1
            if _open[self.digest] <= 0:
                del _open[self.digest]


@router.get("/events", include_in_schema=False)
async def events(
    request: Request,
    _: Annotated[Person, Depends(reader("view"))],
    session: Annotated[SignedIn, Depends(signed_in)],
) -> Response:
    """What is new, for as long as the page is open and the session holds."""
    desk, token = desk_of(request), request.cookies.get(COOKIE)
    if _open[session.digest] >= desk.limits.streams:
        raise Refused(429, "Too many pages are open at once.")
    stream = _Stream(
        desk.hub.listen(lambda: desk.sessions.find(token) is not None),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )
    stream.digest = session.digest
    return stream
