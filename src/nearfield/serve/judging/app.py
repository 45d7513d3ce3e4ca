"""The application behind the page: one judge on this machine, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from nearfield.errors import InputError
from nearfield.evaluate.judging.assessor import Assessor
from nearfield.serve.page import add_page

_FILES = Path(__file__).parent / "static"
_LARGEST = 1_000  # bytes of a body
HOSTS = ("127.0.0.1", "localhost")


class Given(BaseModel):
    """The body of `/judge`."""

    item: int = Field(ge=0)
    relevance: int = Field(ge=0)


def judging_app(assessor: Assessor, key: str) -> FastAPI:
    """The page below `/KEY/`, which a program of another user cannot guess; a request from another
    page or for another host is refused.
    """
    page = FastAPI(openapi_url=None)
    add_page(page, _FILES)

    @page.get("/next")
    def following() -> dict[str, Any]:
        return assessor.next()

    @page.post("/judge")
    def judge(given: Given) -> dict[str, Any]:
        return assessor.judged(given.item, given.relevance)

    @page.post("/back")
    def back() -> dict[str, Any]:
        return assessor.back()

    @page.exception_handler(InputError)
    async def refused(_: Request, error: Exception) -> Response:
        return Response(str(error), 422, media_type="text/plain")

    @page.middleware("http")
    async def guarded(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        # a browser says which page asks; other pages may not judge
        origin = request.headers.get("origin")
        if origin not in (None, f"http://{request.headers.get('host')}"):
            return Response("asked by another page", 403)
        # a body in chunks states no length and may be of any
        size = request.headers.get("content-length", "0" if request.method == "GET" else "")
        if not size.isdecimal() or int(size) > _LARGEST:
            return Response("wanted a short body that says its length", 413)
        return await answer(request)

    app = FastAPI(openapi_url=None)
    # a page elsewhere may have its own name point to this machine (DNS rebinding); it keeps that
    # name as the host, and the request is refused
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    app.mount(f"/{key}", page)
    return app
