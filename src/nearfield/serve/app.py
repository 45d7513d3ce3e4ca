"""The HTTP application: every dialect's paths under the same rules."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from nearfield import __version__
from nearfield.errors import NearfieldError
from nearfield.retrieval.searchable import Searchable
from nearfield.serve import refusal as why
from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.dialects import DIALECTS
from nearfield.serve.metrics import Metrics
from nearfield.serve.models import Models
from nearfield.serve.own import own_dialect
from nearfield.serve.page import add_page
from nearfield.serve.refusal import Refusal, in_words

log = logging.getLogger(__name__)
_SHOWN = 3  # of what is wrong with a body


@dataclass(frozen=True)
class Access:
    """Who may ask, and how strictly: with one of `keys`, where there are any; where `strict`, a
    model whose roles differ is told the role.
    """

    keys: tuple[str, ...] = ()
    strict: bool = False

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise Refusal for a request without one of the keys, as a bearer or in `x-api-key`. It
        takes the same time for any wrong key.
        """
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # bytes, as compare_digest refuses strings that are not ASCII, and a header may hold Latin-1
        fits = [hmac.compare_digest(given.encode(), key.encode()) for key in self.keys]
        if self.keys and not any(fits):
            raise Refusal(why.UNAUTHORISED, "the API key is missing or wrong")


def application(
    models: Models, access: Access = Access(), found: Searchable | None = None
) -> FastAPI:
    """The application that serves `models` in every dialect, search over `found` where there is
    something to search, and the web page.

    Each dialect is at its own paths and below `/NAME`, as in `/voyage/v1/embeddings`.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(models.stop)

    app = FastAPI(title="nearfield", version=__version__, lifespan=lifespan)
    add_page(app)
    metrics = Metrics(models)
    dialects = [*(DIALECTS[name] for name in DIALECTS), own_dialect(found)]
    paths: dict[str, list[tuple[Dialect, Route]]] = {}
    for dialect in dialects:
        for route in dialect.routes:
            paths.setdefault(route.path, []).append((dialect, route))
            paths.setdefault(f"/{dialect.name}{route.path}", []).append((dialect, route))
    for path, choices in paths.items():
        # what has marks is asked first whether a body is its own
        ordered = sorted(choices, key=lambda choice: not choice[0].marks)
        _add(app, path, ordered, _Handler(models, access, metrics, ordered))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, Any]:
        """The models, and whether each is open."""
        return {name: model.open for name, model in models.by_name.items()}

    @app.get("/metrics")
    async def measured() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _add(
    app: FastAPI,
    path: str,
    choices: Sequence[tuple[Dialect, Route]],
    handler: Callable[[Request], Awaitable[Response]],
) -> None:
    """Add the path to the application; its OpenAPI page shows the bodies that it takes."""
    bodies = [route.body for _, route in choices if route.body is not None]
    schemas = [body.model_json_schema() for body in bodies]
    shown = None
    if bodies:
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        content = {"application/json": {"schema": schema}}
        shown = {"requestBody": {"required": True, "content": content}}
    # the handler reads the body itself, so that FastAPI has to be told what it looks like; the
    # path below a dialect's name takes the same and is left out of the page
    app.add_api_route(
        path,
        handler,
        methods=["POST" if bodies else "GET"],
        openapi_extra=shown,
        summary=", ".join(dialect.name for dialect, _ in choices),
        include_in_schema=path == choices[0][1].path,
    )


class _Handler:
    """Answers the requests at one path."""

    def __init__(
        self,
        models: Models,
        access: Access,
        metrics: Metrics,
        choices: Sequence[tuple[Dialect, Route]],
    ) -> None:
        self._models = models
        self._access = access
        self._metrics = metrics
        self._choices = choices

    async def __call__(self, request: Request) -> Response:
        started = time.perf_counter()
        call = Call(self._models, self._access.strict, self._models.limits.seconds)
        # until its fields say whose a body is, the last of the path's dialects words a refusal
        dialect, route = self._choices[-1]
        try:
            given: Any = request.path_params
            # before the body is read, where it need not say in which dialect to refuse
            if len(self._choices) == 1:
                self._access.check(request.headers)
            if route.body is not None:
                given = _parsed(await self._body(request))
                dialect, route = self._chosen(given)
                self._access.check(request.headers)
                assert route.body is not None
                given = _checked(route.body, given)
            made = await _while_there(request, route.answer(call, given))
            # numbers of a large answer take a while to write
            body = await asyncio.to_thread(_written, made) if call.items > 64 else _written(made)
            response = Response(body, media_type="application/json")
        except NearfieldError as error:
            response = _refused(dialect, in_words(error))
        except ClientDisconnect:
            # nobody reads this answer: it is for the log and the metrics
            response = Response(status_code=why.LEFT)
        except Exception:
            log.exception("a request failed")
            response = _refused(dialect, Refusal(why.FAILED, "the server failed; see its log"))
        response.headers.update(_about(call))
        seconds = time.perf_counter() - started
        self._metrics.note((dialect.name, route.path), response.status_code, seconds, call)
        _log(dialect, route, response.status_code, seconds, call)
        return response

    async def _body(self, request: Request) -> bytes:
        """The request's body, refused as soon as it is too large or too slow."""
        limits = self._models.limits
        too_large = Refusal(why.TOO_LARGE, f"the body is larger than {limits.body_bytes:,} bytes")
        # a body that is sent in chunks states no length, so that what arrives is counted, too
        stated = request.headers.get("content-length", "0")
        if stated.isdecimal() and int(stated) > limits.body_bytes:
            raise too_large
        parts = []
        size = 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > limits.body_bytes:
                        raise too_large
                    parts.append(part)
        except TimeoutError as error:
            raise Refusal(why.SLOW_BODY, "the body did not arrive in time") from error
        return b"".join(parts)

    def _chosen(self, given: Any) -> tuple[Dialect, Route]:
        """Whose body it is, by its fields."""
        fields = given.keys() if isinstance(given, dict) else ()
        for dialect, route in self._choices:
            if not dialect.marks.isdisjoint(fields):
                return dialect, route
        return self._choices[-1]


def _parsed(body: bytes) -> Any:
    try:
        # json.loads takes a BOM and lone surrogates, and ends deep nesting in a RecursionError,
        # which is no ValueError
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(why.INVALID, f"the body is not JSON in UTF-8: {error}") from error


def _checked(model: type[BaseModel], given: Any) -> BaseModel:
    try:
        # a number is a number: true is not 1, and "8" is not 8
        return model.model_validate(given, strict=True)
    except ValidationError as error:
        wrong = []
        for each in error.errors(include_url=False, include_input=False)[:_SHOWN]:
            place = ".".join(map(str, each["loc"])) or "the body"
            wrong.append(f"{place}: {each['msg']}")
        raise Refusal(why.INVALID, "; ".join(wrong)) from error


async def _while_there(request: Request, answer: Awaitable[Any]) -> Any:
    """The answer, unless the client leaves before: what was to be made for it is then given up."""
    working = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        # a task that is left running would make what nobody waits for
        for task in (working, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _left(request: Request) -> None:
    # a request without a body gives one empty part before
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _written(made: Any) -> bytes:
    return orjson.dumps(made, option=orjson.OPT_SERIALIZE_NUMPY)


def _refused(dialect: Dialect, refusal: Refusal) -> Response:
    status, body = dialect.error(refusal)
    response = Response(_written(body), status, media_type="application/json")
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _about(call: Call) -> dict[str, str]:
    """The headers that say what was used; names are percent-encoded, as headers hold no others."""
    if not call.model:
        return {}
    headers = {
        "X-Nearfield-Contract": quote(call.contract, safe=" /.:-_"),
        "X-Nearfield-Truncated": str(call.truncated),
    }
    if call.role is not None:
        headers["X-Nearfield-Role"] = quote(call.role, safe=" ")
    if call.warnings:
        headers["X-Nearfield-Warning"] = quote("; ".join(call.warnings), safe=" ;,:.'/-_")
    return headers


def _log(dialect: Dialect, route: Route, status: int, seconds: float, call: Call) -> None:
    """One JSON line per request, without any text of it."""
    facts = {
        "dialect": dialect.name,
        "path": route.path,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "model": call.model,
        "role": call.role,
        "items": call.items,
        "tokens": call.tokens,
        "truncated": call.truncated,
    }
    log.info("%s", json.dumps(facts))
