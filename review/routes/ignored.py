"""The files that no slide takes, each with the reason."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from review.asking import desk_of, reader, render
from review.notices import ignored_files
from review.people import Person
from smear.gaps import ignored_total


router = APIRouter()


@router.get("/ignored", response_class=HTMLResponse)
def show_ignored(request: Request, _: Annotated[Person, Depends(reader("view"))]) -> Response:
    """The whole page."""
    with desk_of(request).store.read() as session:
        files, total = ignored_files(session), ignored_total(session)
    return render(request, "ignored.html", files=files, total=total)
