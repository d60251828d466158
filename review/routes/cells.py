"""Pictures, by cell number and nothing else, and reference cells."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from sqlmodel import select

from review import references
from review.asking import MAX_ROW, desk_of, looker, reader, render, writer
from review.desk import Desk
from review.people import Person
from review.refusal import Refused, not_there
from smear.kinds import Label
from smear.picture_store import NotKept, media_type
from smear.tables import CellRow


router = APIRouter()

Viewer = Annotated[Person, Depends(reader("view"))]
CellNumber = Annotated[int, Path(ge=1, le=MAX_ROW)]
#: A cell is its content: its picture never changes. It is kept for a session's cookie, so that a browser in which
#: somebody signed out, or another person in, asks again and does not show it from its store.
_HEADERS = {
    "Cache-Control": "private, max-age=43200, immutable",
    "Vary": "Cookie",
    "Content-Disposition": "inline",
}


class Wanted(BaseModel):
    """Whether a cell shall be a reference cell."""

    model_config = ConfigDict(extra="forbid", strict=True)
    wanted: bool


@router.get("/cells/{cell}/picture", response_class=Response)
async def picture(request: Request, _: Annotated[Person, Depends(looker)], cell: CellNumber) -> Response:
    """The stored bytes of a cell's picture."""
    desk = desk_of(request)
    digest = desk.digests.get(cell)
    # Hundreds come at once, and handing each to a thread and back takes longer than to read it from memory.
    data = None if digest is None else desk.pictures.at_hand(digest)
    return _served(data) if data is not None else await run_in_threadpool(_picture, desk, cell)


def _picture(desk: Desk, cell: int) -> Response:
    digest = desk.digests.get(cell)
    if digest is None:
        with desk.store.read() as session:
            digest = session.exec(select(CellRow.sha256).where(CellRow.id == cell)).one_or_none()
    if digest is None:
        raise not_there("cell")
    try:
        data = desk.pictures.get(digest)
    except NotKept as error:
        raise Refused(404, f"{str(error).capitalize()}.") from None
    return _served(data)


@router.get("/references/{label}/{number}/picture", response_class=Response)
def shipped_picture(
    _: Viewer,
    label: Literal["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"],
    number: Annotated[int, Path(ge=0, le=100)],
) -> Response:
    """A shipped example's picture."""
    return _served(references.shipped_picture(label, number))


@router.get("/references", response_class=HTMLResponse)
def show_references(request: Request, _: Viewer, label: Label = "neutrophil") -> Response:
    """Examples of a type, to look at beside a cell."""
    with desk_of(request).store.read() as session:
        return render(request, "_references.html", examples=references.examples(session, label), label=label)


@router.post("/cells/{cell}/reference")
def mark_reference(
    request: Request, who: Annotated[Person, Depends(writer("reference"))], cell: CellNumber, told: Wanted
) -> Response:
    """Make a cell one of the laboratory's reference cells, or no longer."""
    references.mark(desk_of(request).store, who, cell, wanted=told.wanted)
    return JSONResponse({"wanted": told.wanted})


def _served(data: bytes) -> Response:
    kind = media_type(data)
    if kind is None:
        raise Refused(404, "This file is no picture.")
    return Response(data, media_type=kind, headers=_HEADERS)
