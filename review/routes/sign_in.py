"""Signing in and out, and one's own password."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response

from review import people
from review.asking import desk_of, genuine, render, see_other, signed_in
from review.attempts import TooManyAttempts
from review.devices import COOKIE as DEVICE_COOKIE
from review.devices import KEPT
from review.refusal import Refused
from review.sessions import COOKIE, FORM_COOKIE, SignedIn, csrf_of, new_token, same
from smear.audit import append
from smear.names import user_name


router = APIRouter()


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
    desk = desk_of(request)
    address = request.client.host if request.client else "-"
    try:
        entered = desk.attempts.sign_in(name, password, address, request.cookies.get(DEVICE_COOKIE))
    except Refused as refused:
        answer = _form(request, refused.status, refused.words, user_name(name))
        if isinstance(refused, TooManyAttempts):
            answer.headers["Retry-After"] = str(refused.seconds)
        return answer
    if (old := request.cookies.get(COOKIE)) is not None:
        desk.sessions.end(old)
    answer = see_other("/password" if entered.person.must_change else "/")
    _set(request, answer, COOKIE, entered.session)
    _know(request, answer, entered.device)
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
    desk = desk_of(request)
    try:
        _check_alike(new, again)
        desk.attempts.confirm(who.person, old)
        hashed = people.change_password(desk.store, desk.passwords, who.person, old, new)
        entered = desk.attempts.stay(who.person, hashed, request.cookies.get(DEVICE_COOKIE))
    except Refused as refused:
        return render(request, "password.html", refused.status, must_change=who.person.must_change, words=refused.words)
    desk.sessions.believe_nothing()
    answer = see_other("/users" if who.person.may("users") else "/")
    _set(request, answer, COOKIE, entered.session)
    _know(request, answer, entered.device)
    return answer


def _check_alike(new: str, again: str) -> None:
    if new != again:
        raise Refused(422, "Passwords do not match.")


def _form(request: Request, status: int = 200, words: str | None = None, name: str = "") -> Response:
    token = new_token()
    answer = render(request, "sign_in.html", status, words=words, name=name, form_csrf=csrf_of(token))
    _set(request, answer, FORM_COOKIE, token, path="/sign-in")
    return answer


def _know(request: Request, answer: Response, device: str) -> None:
    _set(request, answer, DEVICE_COOKIE, device, lasts=int(KEPT.total_seconds()))


def _set(request: Request, answer: Response, name: str, value: str, path: str = "/", lasts: int | None = None) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(name, value, lasts, path=path, httponly=True, samesite="strict", secure=secure)
