"""A slide's page and everything a person does on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from review import board, labelling, signing
from review import slide as slides
from review.asking import MAX_ROW, desk_of, reader, render, see_other, signed_in, writer
from review.comments import comment, comments
from review.confirming import confirm_password
from review.identity import Identity, IdentityInAddress
from review.people import Person
from review.sessions import SignedIn
from smear.review_tables import UserRow
from smear.store import Store
from smear.tables import RevisionRow, key, utc_now


router = APIRouter(prefix="/slides/{slide}")

SlideNumber = Annotated[int, Path(ge=1, le=MAX_ROW)]
RowNumber = Annotated[int, Field(ge=1, le=MAX_ROW)]
Revision = Annotated[int | None, Query(ge=1, le=MAX_ROW)]
Viewer = Annotated[Person, Depends(reader("view"))]
Labeller = Annotated[Person, Depends(writer("label"))]
Signer = Annotated[Person, Depends(writer("sign"))]


class Relabel(BaseModel):
    """Give these cells that label; null takes the labels back. `revision` and `version` are those that were seen."""

    model_config = ConfigDict(extra="forbid", strict=True)
    cells: list[RowNumber] = Field(min_length=1, max_length=labelling.MAX_CELLS)
    label: str | None = Field(max_length=16)
    kind: str | None = Field(default=None, max_length=32)
    revision: RowNumber
    version: int = Field(ge=0, le=MAX_ROW)
    identity: Identity


class Seen(BaseModel):
    """The revision that was seen, by number and identity, and the version of its review."""

    model_config = ConfigDict(extra="forbid", strict=True)
    revision: RowNumber
    version: int = Field(ge=0, le=MAX_ROW)
    identity: Identity


class Shown(BaseModel):
    """The identity of the revision that was seen."""

    model_config = ConfigDict(extra="forbid", strict=True)
    identity: Identity


class Signature(Seen):
    """What was seen, with a reason where it needs one and the password where that was given long ago."""

    reason: str = Field(default="", max_length=signing.MAX_REASON)
    password: str | None = Field(default=None, max_length=1000)


class Reason(BaseModel):
    """Why a signed slide is opened again."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str = Field(max_length=signing.MAX_REASON)
    identity: Identity


@router.get("", response_class=HTMLResponse)
def show_slide(request: Request, who: Viewer, slide: SlideNumber, revision: Revision = None) -> Response:
    """The whole page."""
    return render(request, "slide.html", **_told(request, who, slide, revision))


@router.get("/changes")
def changes(
    request: Request,
    who: Viewer,
    slide: SlideNumber,
    since: Annotated[int, Query(ge=0, le=MAX_ROW)],
    identity: IdentityInAddress = "",
) -> Response:
    """What has changed after a version of the revision of that identity, with the panel as it is now.

    Everything where the latest revision is another one: its versions are not those that were seen.
    """
    return _answer(request, who, slide, since, identity)


@router.post("/labels")
def relabel(request: Request, who: Labeller, slide: SlideNumber, told: Relabel) -> Response:
    """Label cells."""
    labelling.relabel(
        desk_of(request).store,
        who,
        slide,
        cells=told.cells,
        label=told.label,
        kind=told.kind,
        seen_version=told.version,
        seen_revision=told.revision,
        versions=desk_of(request).rules.versions,
        identity=told.identity,
    )
    return _answer(request, who, slide, told.version, told.identity)


@router.post("/undo")
def undo(request: Request, who: Labeller, slide: SlideNumber, told: Seen) -> Response:
    """Take back this person's last change."""
    desk = desk_of(request)
    labelling.undo(desk.store, who, slide, told.revision, desk.rules.versions, told.identity)
    return _answer(request, who, slide, told.version, told.identity)


@router.post("/redo")
def redo(request: Request, who: Labeller, slide: SlideNumber, told: Seen) -> Response:
    """Do it again."""
    desk = desk_of(request)
    labelling.redo(desk.store, who, slide, told.revision, desk.rules.versions, told.identity)
    return _answer(request, who, slide, told.version, told.identity)


@router.post("/hold")
def hold(request: Request, who: Labeller, slide: SlideNumber, told: Shown) -> Response:
    """Say on the board who has this slide, unless somebody has it."""
    return JSONResponse({"holder": _hold(desk_of(request).store, who, slide, told.identity)})


@router.post("/sign")
def sign(
    request: Request,
    who: Signer,
    session: Annotated[SignedIn, Depends(signed_in)],
    slide: SlideNumber,
    told: Signature,
) -> Response:
    """Sign, or countersign; 428 where the password is due."""
    desk = desk_of(request)
    confirm_password(desk, session, told.password)
    signing.sign(desk.store, desk.rules, who, slide, told.version, told.revision, told.identity, reason=told.reason)
    return JSONResponse({"words": "Signed."})


@router.get("/signing", response_class=HTMLResponse)
def show_signing(
    request: Request,
    _: Annotated[Person, Depends(reader("sign"))],
    session: Annotated[SignedIn, Depends(signed_in)],
    slide: SlideNumber,
) -> Response:
    """What would be signed now: the numbers, every warning, and what has to be typed."""
    desk = desk_of(request)
    with desk.store.read() as rows:
        view = slides.load(rows, desk.rules, slide)
        given = signing.signatures(rows, key(view.revision.id))
        first = signing.standing_signatures(given)[0] if view.is_signed and given else None
        return render(
            request,
            "_signing.html",
            view=view,
            first=first,
            result=signing.reported(view, desk.rules, given),
            needs_reason=first is None and signing.needs_reason(view, desk.rules),
            password_due=desk.sessions.password_due(session.digest),
        )


@router.post("/amend")
def amend(request: Request, who: Signer, slide: SlideNumber, told: Reason) -> Response:
    """Open a signed slide again, with a reason."""
    signing.amend(desk_of(request).store, desk_of(request).rules, who, slide, told.reason, told.identity)
    return JSONResponse({"words": "Open again: change what is to be changed, then sign."})


@router.post("/comments", response_class=HTMLResponse)
def add_comment(
    request: Request,
    who: Annotated[Person, Depends(writer("comment"))],
    slide: SlideNumber,
    text: Annotated[str, Form(max_length=4000)] = "",
    cell: Annotated[int | None, Form(ge=1, le=MAX_ROW)] = None,
    identity: Annotated[str, Form(max_length=32)] = "",
) -> Response:
    """Add a remark; the list of remarks, renewed."""
    comment(desk_of(request).store, who, slide, text, cell, identity)
    if "hx-request" not in request.headers:
        return see_other(f"/slides/{slide}")
    return _comments(request, who, slide)


@router.get("/comments", response_class=HTMLResponse)
def show_comments(request: Request, who: Viewer, slide: SlideNumber) -> Response:
    """The list of remarks alone."""
    return _comments(request, who, slide)


def _comments(request: Request, who: Person, slide: int) -> Response:
    desk = desk_of(request)
    with desk.store.read() as session:
        _, revision, _ = slides.find(session, slide)
        numbers = labelling.numbers(session, key(revision.id))
        return render(request, "_comments.html", comments=comments(session, slide), numbers=numbers, slide_row=slide,
                      may_comment=who.may("comment"))  # fmt: skip


def _told(request: Request, who: Person, slide: int, number: int | None) -> dict[str, Any]:
    desk = desk_of(request)
    with desk.store.read() as session:
        view = slides.load(session, desk.rules, slide, number)
        revision = key(view.revision.id)
        given = signing.signatures(session, revision)
        view = signing.as_signed(view, given)
        users = {key(u.id): u.full_name for u in session.exec(select(UserRow))}
        revisions = session.exec(
            select(RevisionRow).where(RevisionRow.slide == slide).order_by(col(RevisionRow.number).desc())
        ).all()
        return {
            "view": view,
            "users": users,
            "revisions": revisions,
            "signatures": given,
            "standing": signing.standing_signatures(given),
            "result": signing.reported(view, desk.rules, given),
            "second_possible": view.is_signed and view.is_latest and signing.may_sign_second(given, who),
            "steps": labelling.steps(session, who, revision),
            "comments": comments(session, slide),
            "numbers": {c.id: c.number for c in view.reviewed.cells},
            "slide_row": slide,
            "may_label": who.may("label") and view.is_open,
            "may_sign": who.may("sign"),
            "may_comment": who.may("comment"),
            "may_mark": who.may("reference"),
            "may_retry": who.may("retry") and view.is_latest and view.revision.state == "failed",
            "next": board.next_to_do(session, who.id, slide) if who.may("label") else None,
        }


def _answer(request: Request, who: Person, slide: int, since: int, identity: str) -> Response:
    """The state after a change: what moved since a version of the revision of that identity, and the panel."""
    desk = desk_of(request)
    with desk.store.read() as session:
        view = slides.load(session, desk.rules, slide)
        revision, known = key(view.revision.id), identity == view.revision.identity
        can_undo, can_redo = labelling.steps(session, who, revision)
        given = signing.signatures(session, revision)
        view = signing.as_signed(view, given)
        panel = desk.templates.get_template("_panel.html").render(view=view)
        sheet = desk.templates.get_template("_sheet.html").render(
            view=view, standing=signing.standing_signatures(given), result=signing.reported(view, desk.rules, given)
        )
        return JSONResponse(
            {
                "version": view.review.version,
                "state": view.revision.state,
                "revision": view.revision.number,
                "identity": view.revision.identity,
                "changes": labelling.changes_since(session, revision, since if known else 0),
                "can_undo": can_undo,
                "can_redo": can_redo,
                "doubtful": view.reviewed.doubtful,
                "panel": panel,
                "sheet": sheet,
            }
        )


def _hold(store: Store, who: Person, slide: int, identity: str) -> str | None:
    with store.write() as session:
        revision = slides.latest_to_write(session, slide, identity=identity)
        if revision.state not in slides.OPEN:
            return None
        review = slides.review_of(session, key(revision.id))
        now = utc_now()
        free = review.held_by is None or review.held_at is None or now - review.held_at > slides.HELD_FOR
        if free and review.held_by != who.id:
            board.news_of(session, slide)
        if free or review.held_by == who.id:
            review.held_by, review.held_at = who.id, now
            session.add(review)
        holder = session.get_one(UserRow, review.held_by)
        return holder.full_name
