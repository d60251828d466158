"""The audit: read, and verified."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import select

from review import trail
from review.asking import MAX_ROW, desk_of, reader, render, writer
from review.people import Person
from smear.audit import verify
from smear.tables import SlideRow


router = APIRouter(prefix="/audit")


@router.get("", response_class=HTMLResponse)
def show_audit(
    request: Request,
    _: Annotated[Person, Depends(reader("audit"))],
    slide: Annotated[int | None, Query(ge=1, le=MAX_ROW)] = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ROW)] = None,
) -> Response:
    """A page of lines, newest first."""
    desk = desk_of(request)
    with desk.store.read() as session:
        found = trail.entries(session, desk.pictures.has, slide=slide, before=before)
        name = session.exec(select(SlideRow.slide_id).where(SlideRow.id == slide)).one_or_none() if slide else None
        more = len(found) == trail.PAGE
        return render(request, "audit.html", entries=found, slide=slide, slide_name=name, more=more)


@router.get("/{number}", response_class=HTMLResponse)
def show_line(
    request: Request,
    _: Annotated[Person, Depends(reader("audit"))],
    number: Annotated[int, Path(ge=1, le=MAX_ROW)],
    first: Annotated[int, Query(ge=0, le=MAX_ROW)] = 0,
) -> Response:
    """One line with all of its cells, a page of them at a time."""
    desk = desk_of(request)
    with desk.store.read() as session:
        entry = trail.line(session, desk.pictures.has, number, first)
        return render(request, "audit_line.html", e=entry, first=first, size=trail.CELLS_PAGE)


@router.post("/verify", response_class=HTMLResponse)
def verify_audit(request: Request, _: Annotated[Person, Depends(writer("audit"))]) -> Response:
    """Walk the whole chain; the verdict."""
    return render(request, "_verdict.html", verdict=verify(desk_of(request).store))
