"""Pictures, by cell number and nothing else, and reference cells."""

from base64 import b64encode
from collections.abc import Collection
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select

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
Kind = Annotated[str | None, Query(max_length=32)]
#: A cell is its content: its picture never changes. It is kept for a session's cookie, so that a browser in which
#: somebody signed out, or another person in, asks again and does not show it from its store.
_HEADERS = {
    "Cache-Control": "private, max-age=43200, immutable",
    "Vary": "Cookie",
    "Content-Disposition": "inline",
}
#: Cells that may be asked for at once, and how much of their pictures is sent at once: what is left out comes singly.
_MOST_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 4_000_000
CellNumbers = Annotated[str, Query(pattern=rf"^[1-9][0-9]{{0,17}}(,[1-9][0-9]{{0,17}}){{0,{_MOST_AT_ONCE - 1}}}$")]


class Wanted(BaseModel):
    """Whether a cell shall be a reference cell."""

    model_config = ConfigDict(extra="forbid", strict=True)
    wanted: bool


@router.get("/cells/{cell}/picture", response_class=Response)
def picture(request: Request, _: Annotated[Person, Depends(looker)], cell: CellNumber) -> Response:
    """The stored bytes of a cell's picture."""
    desk = desk_of(request)
    digest = _digests(desk, [cell]).get(cell)
    if digest is None:
        raise not_there("cell")
    try:
        return _served(desk.pictures.get(digest))
    except NotKept as error:
        raise Refused(404, f"{str(error).capitalize()}.") from None


@router.get("/pictures")
def pictures(request: Request, _: Annotated[Person, Depends(looker)], cells: CellNumbers) -> Response:
    """Many cells' pictures at once, as data addresses by cell number; null where there is none.

    A gallery of 400 asks in some ten requests: each request costs browser and server more than its picture does.
    """
    desk, sent = desk_of(request), 0
    told: dict[int, str | None] = {}
    wanted = [number for cell in cells.split(",") if (number := int(cell)) <= MAX_ROW]
    digests = _digests(desk, wanted)
    for cell in wanted:
        try:
            data = desk.pictures.get(digests[cell])
        except (KeyError, NotKept):
            told[cell] = None
            continue
        sent += len(data)
        if sent > _BYTES_AT_ONCE and told:
            break
        kind = media_type(data)
        told[cell] = None if kind is None else f"data:{kind};base64,{b64encode(data).decode()}"
    return JSONResponse(told, headers=_HEADERS)


def _digests(desk: Desk, cells: Collection[int]) -> dict[int, str]:
    """What these cells' contents are, by cell number, of those that there are."""
    known = {cell: digest for cell in cells if (digest := desk.digests.get(cell)) is not None}
    if asked := set(cells) - known.keys():
        with desk.store.read() as session:
            found = session.exec(select(CellRow.id, CellRow.sha256).where(col(CellRow.id).in_(asked))).all()
        known |= {cell: digest for cell, digest in found if cell is not None}
    return known


@router.get("/references/{label}/{number}/picture", response_class=Response)
def shipped_picture(_: Viewer, label: Label, number: Annotated[int, Path(ge=0, le=1000)]) -> Response:
    """A shipped reference cell's picture."""
    return _served(references.shipped_picture(label, number))


@router.get("/references/panel", response_class=HTMLResponse)
def show_panel(request: Request, _: Viewer, label: Label = "neutrophil", kind: Kind = None) -> Response:
    """Some examples of a type, to compare with the cell in focus on a slide's page."""
    desk = desk_of(request)
    with desk.store.read() as session:
        found = references.panel(session, desk.pictures.has, label, kind)
        return render(request, "_references.html", examples=found, label=label, kind=kind)


@router.get("/references", response_class=HTMLResponse)
def show_references(request: Request, _: Viewer, label: Label = "neutrophil", kind: Kind = None) -> Response:
    """All reference cells of a type or kind, large, a page of their own."""
    desk = desk_of(request)
    with desk.store.read() as session:
        found = references.examples(session, desk.pictures.has, label, kind)
        return render(
            request, "references.html", examples=found, label=label, kind=kind, kinds=references.kinds(session, label)
        )


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
