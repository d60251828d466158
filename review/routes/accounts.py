"""Users: an administrator adds people, gives roles, resets passwords, closes accounts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import select

from review import people
from review.asking import MAX_ROW, desk_of, reader, render, writer
from review.people import Person
from review.refusal import Refused, not_there
from smear.names import user_name
from smear.review_tables import UserRow


router = APIRouter(prefix="/users")

Administrator = Annotated[Person, Depends(writer("users"))]
UserNumber = Annotated[int, Path(ge=1, le=MAX_ROW)]


@router.get("", response_class=HTMLResponse)
def show_users(request: Request, _: Annotated[Person, Depends(reader("users"))]) -> Response:
    """Everybody."""
    return _page(request)


@router.post("", response_class=HTMLResponse)
def add_user(
    request: Request,
    who: Administrator,
    name: Annotated[str, Form(max_length=200)] = "",
    full_name: Annotated[str, Form(max_length=200)] = "",
    role: Annotated[str, Form(max_length=32)] = "technologist",
) -> Response:
    """A new account; its one-time password is shown once."""
    desk = desk_of(request)
    try:
        password = people.add(desk.store, desk.passwords, who.actor, name, full_name, role)
    except Refused as refused:
        return _page(request, refused.status, words=refused.words)
    return _page(request, given=(user_name(name), password))


@router.post("/{user}/role", response_class=HTMLResponse)
def change_role(
    request: Request, who: Administrator, user: UserNumber, role: Annotated[str, Form(max_length=32)] = ""
) -> Response:
    """Another role."""
    desk = desk_of(request)
    try:
        people.change_role(desk.store, who.actor, user, role)
    except Refused as refused:
        return _page(request, refused.status, words=refused.words)
    desk.sessions.believe_nothing()
    return _page(request)


@router.post("/{user}/active", response_class=HTMLResponse)
def set_active(
    request: Request, who: Administrator, user: UserNumber, active: Annotated[bool, Form()] = False
) -> Response:
    """Close an account, or open it again."""
    desk = desk_of(request)
    try:
        people.set_active(desk.store, who.actor, user, active=active)
    except Refused as refused:
        return _page(request, refused.status, words=refused.words)
    desk.sessions.believe_nothing()
    return _page(request)


@router.post("/{user}/password", response_class=HTMLResponse)
def reset_password(request: Request, who: Administrator, user: UserNumber) -> Response:
    """A new one-time password, shown once."""
    desk = desk_of(request)
    with desk.store.read() as session:
        name = session.exec(select(UserRow.name).where(UserRow.id == user)).one_or_none()
    if name is None:
        raise not_there("user")
    password = people.reset_password(desk.store, desk.passwords, who.actor, user)
    desk.sessions.believe_nothing()
    return _page(request, given=(name, password))


def _page(
    request: Request, status: int = 200, *, words: str | None = None, given: tuple[str, str] | None = None
) -> Response:
    with desk_of(request).store.read() as session:
        users = people.everybody(session)
        return render(request, "users.html", status, users=users, words=words, given=given)
