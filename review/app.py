"""The page as an ASGI application: routes, strict headers, refusals in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from review.asking import MustChange, NotSignedIn, render, see_other, wants_page
from review.desk import Desk
from review.headers import StrictHeaders
from review.hosts import LOCAL, HostNames
from review.refusal import Refused
from review.routes import accounts, audit, board, cells, events, files, ignored, models, sign_in, slide
from smear.settings import Settings
from smear.store import RowRejected, StoreUnavailable


log = structlog.get_logger()


def create_app(desk: Desk, settings: Settings) -> FastAPI:
    """The application; nothing is opened and nothing started before it serves."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.hub.close()

    app = FastAPI(
        title="W-Net Worker review",
        description="Look, correct, sign. For Research Use Only. Not for use in diagnostic procedures.",
        # The usual documentation pages fetch scripts from elsewhere; the description is at /openapi.json, signed in.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    # Looked through in this order: what is asked for most comes first.
    for routes in (cells, slide, board, events, sign_in, accounts, audit, models, ignored, files):
        app.include_router(routes.router)
    files.mount(app)
    _handle(app)
    names = [name.strip() for name in settings.review_names.split(",") if name.strip()]
    app.add_middleware(StrictHeaders, names=HostNames([*LOCAL, settings.review_host, *names]))
    if settings.proxies:
        # Of those alone it is believed for whom they ask, and whether that was over TLS.
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxies))
    return app


def _handle(app: FastAPI) -> None:
    @app.exception_handler(NotSignedIn)
    def _not_signed_in(request: Request, _: Exception) -> Response:
        if request.method == "GET" and wants_page(request):
            return see_other("/sign-in")
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
        return JSONResponse({"words": "Nobody is signed in."}, 401)

    @app.exception_handler(MustChange)
    def _must_change(request: Request, _: Exception) -> Response:
        if request.method == "GET" and wants_page(request):
            return see_other("/password")
        return JSONResponse({"words": "Choose a password of your own first."}, 403)

    @app.exception_handler(Refused)
    def _refused(request: Request, error: Refused) -> Response:
        return _say(request, error.status, error.words, error.told)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return _say(request, 422, f"This request cannot be understood: {where} {first['msg']}".strip())

    _handle_faults(app)


def _handle_faults(app: FastAPI) -> None:
    @app.exception_handler(IntegrityError)
    def _overtaken(request: Request, _: Exception) -> Response:
        return _say(request, 409, "Somebody did the same at the same moment: look at what is there now.")

    @app.exception_handler(StoreUnavailable)
    def _away(request: Request, error: Exception) -> Response:
        log.error("the database does not answer", reason=str(error))
        words = "The database does not answer just now. Nothing was changed; try again in a moment."
        if wants_page(request):
            return render(request, "refused.html", 503, unasked=True, words=words, denied=False)
        return JSONResponse({"words": words}, 503)

    @app.exception_handler(RowRejected)
    def _no_text(request: Request, _: Exception) -> Response:
        return _say(request, 422, "This holds characters that cannot be kept.")

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        words = {404: "There is no such page.", 405: "That cannot be done here.", 400: "This request is damaged."}
        return _say(request, error.status_code, words.get(error.status_code, "That did not work."))


def _say(request: Request, status: int, words: str, told: dict[str, object] | None = None) -> Response:
    if wants_page(request):
        return render(request, "refused.html", status, words=words, denied=status == 403)
    return JSONResponse({"words": words, **(told or {})}, status)
