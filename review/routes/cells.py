"""Pictures, by the SHA-256 of their content and nothing else, and reference cells."""

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
from review.identity import Identity
from review.people import Person
from review.refusal import Refused, not_there
from smear.kinds import Label
from smear.picture_store import NotKept, media_type
from smear.tables import CellRow


router = APIRouter()

Viewer = Annotated[Person, Depends(reader("view"))]
CellNumber = Annotated[int, Path(ge=1, le=MAX_ROW)]
Kind = Annotated[str | None, Query(max_length=32)]
#: An address carries the SHA-256 of its picture, which therefore never changes. It is kept for a session's cookie, so
#: that a browser whose user signed out, or changed, asks again and does not show it from its store.
_HEADERS = {
    "Cache-Control": "private, max-age=43200, immutable",
    "Vary": "Cookie",
    "Content-Disposition": "inline",
}
#: Pictures that may be asked for at once, and how much of them is sent at once: what is left out comes singly.
_MOST_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 4_000_000
_SHA256: Final = "[0-9a-f]{64}"
Digest = Annotated[str, Path(pattern=f"^{_SHA256}$")]
Digests = Annotated[str, Query(pattern=f"^{_SHA256}(,{_SHA256}){{0,{_MOST_AT_ONCE - 1}}}$")]


class Wanted(BaseModel):
    """Whether a cell shall be a reference cell."""

    model_config = ConfigDict(extra="forbid", strict=True)
    wanted: bool
    identity: Identity


@router.get("/pictures/{digest}", response_class=Response)
def picture(request: Request, _: Annotated[Person, Depends(looker)], digest: Digest) -> Response:
    """The stored bytes of the picture of a cell, by their SHA-256."""
    desk = desk_of(request)
    if not _known(desk, [digest]):
        raise not_there("picture")
    try:
        return _served(desk.pictures.get(digest))
    except NotKept as error:
        raise Refused(404, f"{str(error).capitalize()}.") from None


@router.get("/pictures")
def pictures(request: Request, _: Annotated[Person, Depends(looker)], digests: Digests) -> Response:
    """Many pictures at once, as data addresses by SHA-256; null where there is none.

    A gallery of 400 asks in some ten requests: each request costs browser and server more than its picture does.
    """
    desk, sent = desk_of(request), 0
    told: dict[str, str | None] = {}
    wanted = list(dict.fromkeys(digests.split(",")))
    known = _known(desk, wanted)
    for digest in wanted:
        told[digest] = None
        if digest not in known:
            continue
        try:
            data = desk.pictures.get(digest)
        except NotKept:
            continue
        sent += len(data)
        if sent > _BYTES_AT_ONCE and len(told) > 1:
            del told[digest]
            break
        kind = media_type(data)
        told[digest] = None if kind is None else f"data:{kind};base64,{b64encode(data).decode()}"
    return JSONResponse(told, headers=_HEADERS)


def _known(desk: Desk, digests: Collection[str]) -> set[str]:
    """Those of these contents that a cell in the database shows: pictures of a purged slide are not served."""
    with desk.store.read() as session:
        return set(session.exec(select(CellRow.sha256).where(col(CellRow.sha256).in_(digests))))


@router.get("/references/{digest}/picture", response_class=Response)
def shipped_picture(_: Viewer, digest: Digest) -> Response:
    """A shipped example's picture, by its SHA-256."""
    return _served(references.shipped_picture(digest))


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
    references.mark(desk_of(request).store, who, cell, wanted=told.wanted, identity=told.identity)
    return JSONResponse({"wanted": told.wanted})


def _served(data: bytes) -> Response:
    kind = media_type(data)
    if kind is None:
        raise Refused(404, "This file is no picture.")
    return Response(data, media_type=kind, headers=_HEADERS)
