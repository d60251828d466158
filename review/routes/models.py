"""Bundles: the challenger with its scorecard, put into use and taken back by an administrator; drift."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import HTMLResponse, Response

from review import challengers
from review.asking import MAX_ROW, desk_of, reader, render, see_other, writer
from review.people import Person
from review.refusal import Refused


router = APIRouter(prefix="/models")

Administrator = Annotated[Person, Depends(writer("promote"))]
Reason = Annotated[str, Form(max_length=2000)]


@router.get("", response_class=HTMLResponse)
def show_models(request: Request, _: Annotated[Person, Depends(reader("audit"))]) -> Response:
    """What serves, what is offered, what was refused and why."""
    return _page(request)


@router.post("/{number}/promote", response_class=HTMLResponse)
def promote(
    request: Request, who: Administrator, number: Annotated[int, Path(ge=1, le=MAX_ROW)], reason: Reason = ""
) -> Response:
    """Put a bundle into use; workers take it between two slides."""
    try:
        challengers.promote(desk_of(request).store, who, number, reason)
    except Refused as refused:
        return _page(request, refused.status, words=refused.words)
    return see_other("/models")


@router.post("/rollback", response_class=HTMLResponse)
def roll_back(
    request: Request,
    who: Administrator,
    reason: Reason = "",
    promotion: Annotated[int, Form(ge=0, le=MAX_ROW)] = 0,
) -> Response:
    """What served before serves again. `promotion` is the row number of the one that is taken back."""
    try:
        challengers.roll_back(desk_of(request).store, who, reason, promotion)
    except Refused as refused:
        return _page(request, refused.status, words=refused.words)
    return see_other("/models")


def _page(request: Request, status: int = 200, *, words: str | None = None) -> Response:
    desk = desk_of(request)
    with desk.store.read() as session:
        told = challengers.look(session, desk.nightly_at)
        return render(request, "models.html", status, told=told, words=words)
