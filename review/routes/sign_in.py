"""Signing in and out, and one's own password."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import select

from review import people
from review.asking import desk_of, genuine, render, see_other, signed_in
from review.refusal import Refused
from review.sessions import COOKIE, FORM_COOKIE, SignedIn, csrf_of, new_token, same
from smear.audit import Actor, append
from smear.review_tables import MAX_USER_NAME, UserRow
from smear.tables import key


router = APIRouter()

NOT_RIGHT = "Name or password is not right."


@router.get("/sign-in", response_class=HTMLResponse)
def sign_in_form(request: Request) -> Response:
    """The form."""
    if desk_of(request).sessions.find(request.cookies.get(COOKIE)) is not None:
        return see_other("/")
    return _form(request)


@router.post("/sign-in", response_class=HTMLResponse)
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Sign in: always a new session, whatever the browser brought along."""
    form = request.cookies.get(FORM_COOKIE)
    if form is None or not same(csrf, csrf_of(form)):
        return _form(request, 403, "This page was open for too long. Please sign in again.", name)
    desk, now = desk_of(request), time.monotonic()
    name = people.normal_name(name)
    address = request.client.host if request.client else "-"
    waits = max(desk.failed_names.waits(name, now), desk.failed_addresses.waits(address, now))
    if waits:
        minutes = int(waits // 60) + 1
        return _form(request, 429, f"Too many attempts. Wait {minutes} min, or ask an administrator.", name)
    with desk.store.read() as session:
        row = session.exec(select(UserRow).where(UserRow.name == name[:MAX_USER_NAME])).one_or_none()
        row = row if row is not None and row.name == name and row.active else None
    # Counted before it is checked: attempts made at the same moment count too.
    desk.failed_names.note(name, now)
    desk.failed_addresses.note(address, now)
    if not desk.passwords.fits(row.password_hash if row else None, password) or row is None:
        with desk.store.write() as session:
            who = Actor(None if row is None else row.id, name[:MAX_USER_NAME] if row else "unknown", "-")
            append(session, who, "sign-in refused")
        return _form(request, 401, NOT_RIGHT, name)
    desk.failed_names.forget(name)
    # A whole laboratory may come from one address: only what failed counts.
    desk.failed_addresses.take_back(address)
    if (old := request.cookies.get(COOKIE)) is not None:
        desk.sessions.end(old)
    token = desk.sessions.open(key(row.id))
    with desk.store.write() as session:
        append(session, people.person_of(row).actor, "sign in")
    answer = see_other("/password" if row.must_change else "/")
    _set(request, answer, COOKIE, token)
    answer.delete_cookie(FORM_COOKIE, path="/sign-in")
    return answer


@router.post("/sign-out")
def sign_out(
    request: Request, who: Annotated[SignedIn, Depends(signed_in)], _: Annotated[None, Depends(genuine)]
) -> Response:
    """End this session."""
    desk = desk_of(request)
    desk.sessions.end(request.cookies[COOKIE])
    with desk.store.write() as session:
        append(session, who.person.actor, "sign out")
    answer = see_other("/sign-in")
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.get("/password", response_class=HTMLResponse)
def password_form(request: Request, who: Annotated[SignedIn, Depends(signed_in)]) -> Response:
    """The form for a new password."""
    return render(request, "password.html", must_change=who.person.must_change, words=None)


@router.post("/password", response_class=HTMLResponse)
def change_password(
    request: Request,
    who: Annotated[SignedIn, Depends(signed_in)],
    _: Annotated[None, Depends(genuine)],
    old: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
    again: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Change one's own password; every session of this person ends, and this browser gets a new one."""
    desk, now = desk_of(request), time.monotonic()
    # In capitals, as no name is: who fails to sign in under such a name shuts nobody out here.
    asked = f"PASSWORD {who.person.id}"
    try:
        _may_try(new == again, desk.failed_names.waits(asked, now))
        desk.failed_names.note(asked, now)
        people.change_password(desk.store, desk.passwords, who.person, old, new)
    except Refused as refused:
        return render(request, "password.html", refused.status, must_change=who.person.must_change, words=refused.words)
    desk.failed_names.forget(asked)
    desk.sessions.believe_nothing()
    answer = see_other("/users" if who.person.may("users") else "/")
    _set(request, answer, COOKIE, desk.sessions.open(who.person.id))
    return answer


def _may_try(typed_alike: bool, waits_seconds: float) -> None:
    if waits_seconds:
        raise Refused(429, "Too many attempts. Wait some minutes.")
    if not typed_alike:
        raise Refused(422, "Passwords do not match.")


def _form(request: Request, status: int = 200, words: str | None = None, name: str = "") -> Response:
    token = new_token()
    answer = render(request, "sign_in.html", status, words=words, name=name, form_csrf=csrf_of(token))
    _set(request, answer, FORM_COOKIE, token, path="/sign-in")
    return answer


def _set(request: Request, answer: Response, name: str, value: str, path: str = "/") -> None:
    answer.set_cookie(name, value, path=path, httponly=True, samesite="strict", secure=request.url.scheme == "https")
