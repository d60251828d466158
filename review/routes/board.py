"""The board, its parts that renew themselves, and the retry button."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from review import board
from review.asking import MAX_ROW, desk_of, reader, render, writer
from review.board import Show, Sort
from review.identity import IdentityInAddress
from review.notices import notices
from review.people import Person
from review.retrying import retry
from review.words import typed


router = APIRouter()

Viewer = Annotated[Person, Depends(reader("view"))]
Search = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=1, le=100_000)]
#: 0 for all.
FromSource = Annotated[int | None, Query(ge=0, le=MAX_ROW)]


@router.get("/", response_class=HTMLResponse)
def show_board(
    request: Request,
    _: Viewer,
    show: Show = "todo",
    q: Search = "",
    sort: Sort = "urgency",
    source: FromSource = None,
    page: Number = 1,
) -> Response:
    """The whole page."""
    return render(request, "board.html", **_told(request, show, q, sort, source, page), **_health(request))


@router.get("/board/rows", response_class=HTMLResponse)
def rows(
    request: Request,
    _: Viewer,
    show: Show = "todo",
    q: Search = "",
    sort: Sort = "urgency",
    source: FromSource = None,
    page: Number = 1,
) -> Response:
    """The table alone."""
    return render(request, "_rows.html", **_told(request, show, q, sort, source, page))


@router.get("/board/health", response_class=HTMLResponse)
def health(request: Request, _: Viewer) -> Response:
    """The tiles on top alone."""
    return render(request, "_health.html", **_health(request))


@router.post("/slides/{slide}/retry", response_class=HTMLResponse)
def retry_slide(
    request: Request,
    who: Annotated[Person, Depends(writer("retry"))],
    slide: Annotated[int, Path(ge=1, le=MAX_ROW)],
    show: Show = "todo",
    q: Search = "",
    sort: Sort = "urgency",
    source: FromSource = None,
    page: Number = 1,
    identity: IdentityInAddress = "",
) -> Response:
    """A failed slide again; the table, renewed. `identity` is that of the revision that was seen to have failed."""
    retry(desk_of(request).store, who, slide, identity)
    return render(request, "_rows.html", **_told(request, show, q, sort, source, page))


def _told(request: Request, show: Show, q: str, sort: Sort, source: int | None, page: int) -> dict[str, Any]:
    desk = desk_of(request)
    with desk.store.read() as session:
        return {
            "page": board.page(
                session, desk.rules, show=show, search=typed(q), sort=sort, source=source or None, number=page
            ),
            "sources": board.sources(session),
            "source": source,
            "counts": board.counts(session),
            "show": show,
            "q": q,
            "sort": sort,
        }


def _health(request: Request) -> dict[str, Any]:
    desk = desk_of(request)
    with desk.store.read() as session:
        return {"health": board.health(session, desk.zone), "notices": notices(session)}
