"""What every route asks first: who is it, may he, and does the request come from our own page."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from review.desk import Desk
from review.people import Person
from review.refusal import Refused, not_allowed
from review.roles import Act
from review.sessions import COOKIE, SignedIn, same


_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
#: Row numbers as paths carry them: what a database's integer holds.
MAX_ROW: Final = 2**31 - 1


class NotSignedIn(Exception):
    """Nobody is signed in: pages lead to the sign-in, programs get 401."""


class MustChange(Exception):
    """The one-time password has to be replaced first."""


def desk_of(request: Request) -> Desk:
    """The parts of this app."""
    found: Desk = request.app.state.desk
    return found


def background(request: Request) -> bool:
    """Whether the page asked by itself: what nobody did must not keep a session alive."""
    return request.headers.get("x-background") == "1" or request.headers.get("sec-fetch-dest") == "image"


def signed_in(request: Request) -> SignedIn:
    """Who asks; raises NotSignedIn."""
    found = desk_of(request).sessions.find(request.cookies.get(COOKIE), touch=not background(request))
    if found is None:
        raise NotSignedIn
    return found


def person(request: Request) -> Person:
    """Who asks, with a password of his own; raises NotSignedIn, MustChange."""
    who = signed_in(request).person
    if who.must_change:
        raise MustChange
    return who


async def looker(request: Request) -> Person:
    """As reader("view"), for pictures, which a page asks for by itself: mostly no other thread is troubled."""
    known = desk_of(request).sessions.believed(request.cookies.get(COOKIE)) if background(request) else None
    session: SignedIn = known if known is not None else await run_in_threadpool(signed_in, request)
    if session.person.must_change:
        raise MustChange
    if not session.person.may("view"):
        raise not_allowed()
    return session.person


def reader(act: Act) -> Callable[..., Person]:
    """A dependency: a signed-in person who may do that."""

    def allowed(who: Annotated[Person, Depends(person)]) -> Person:
        if not who.may(act):
            raise not_allowed()
        return who

    return allowed


async def genuine(request: Request, session: Annotated[SignedIn, Depends(signed_in)]) -> None:
    """A dependency of every write: the token of this session is with it, and not too many came. Raises Refused."""
    token = request.headers.get("x-csrf-token")
    if token is None and request.headers.get("content-type", "").startswith(_FORMS):
        sent = (await request.form()).get("csrf")
        token = sent if isinstance(sent, str) else None
    if token is None or not same(token, session.csrf):
        raise Refused(403, "This page is out of date: load it again, then repeat what you did.")
    desk, now = desk_of(request), time.monotonic()
    if desk.writes.waits(session.digest, now):
        raise Refused(429, "That was too much at once: wait a moment.")
    desk.writes.note(session.digest, now)


def writer(act: Act) -> Callable[..., Person]:
    """A dependency: a person who may do that, from our own page."""

    def allowed(who: Annotated[Person, Depends(reader(act))], _: Annotated[None, Depends(genuine)]) -> Person:
        return who

    return allowed


def render(request: Request, template: str, status: int = 200, *, unasked: bool = False, **told: Any) -> HTMLResponse:
    """A page or a part of one; `unasked` as for nobody in particular, where the database cannot be asked who it is."""
    desk = desk_of(request)
    session = None if unasked else desk.sessions.find(request.cookies.get(COOKIE))
    common = {
        "person": session.person if session else None,
        "csrf": session.csrf if session else "",
        "path": request.url.path,
    }
    return HTMLResponse(desk.templates.get_template(template).render(common | told), status)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a whole page, so that a refusal is one too."""
    return "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers


def see_other(url: str) -> Response:
    """After a form: look there."""
    return Response(status_code=303, headers={"Location": url})
