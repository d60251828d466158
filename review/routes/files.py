"""Our own static files, whether we are alive, and the description of the interface."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from review.asking import desk_of, reader
from review.people import Person
from review.show import STATIC


router = APIRouter()


class KeptFiles(StaticFiles):
    """Static files whose address carries their hash: browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """As StaticFiles', with a long life."""
        answer = await super().get_response(path, scope)
        # What carries no hash is asked for again each time, and mostly answered with "not modified".
        hashed = b"v=" in scope.get("query_string", b"") or path.startswith("vendor/")
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return answer


def mount(app: FastAPI) -> None:
    """Serve the folder `static`."""
    app.mount("/static", KeptFiles(directory=STATIC), name="static")


@router.get("/healthz")
def alive(request: Request) -> dict[str, Any]:
    """For a supervisor or a balancer: the page answers, and so does the database."""
    with desk_of(request).store.read():
        return {"alive": True}


@router.get("/openapi.json", include_in_schema=False)
def description(request: Request, _: Annotated[Person, Depends(reader("view"))]) -> Response:
    """The interface's OpenAPI description."""
    return JSONResponse(request.app.openapi())
