"""OpenAI: `/v1/embeddings` and `/v1/models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.refusal import INVALID, UNKNOWN, Refusal
from nearfield.serve.texts import Given, texts_of
from nearfield.serve.vectors import embedded, vectors

# OpenAI takes no longer list.
MOST_INPUTS = 2048
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_TYPES = {429: "requests", 500: "server_error", 503: "server_error", 504: "server_error"}


class Embed(BaseModel):
    """The body of `/v1/embeddings`; token ids are the served model's own."""

    model: str
    input: Given
    dimensions: int | None = Field(None, ge=1)
    encoding_format: Literal["float", "base64"] | None = "float"
    user: str | None = None


async def _embed(call: Call, body: Embed) -> dict[str, Any]:
    texts = await texts_of(call, body.model, body.input)
    if len(texts) > MOST_INPUTS:
        raise Refusal(INVALID, f"'input' has {len(texts)} items; wanted at most {MOST_INPUTS}")
    if not all(texts):
        raise Refusal(INVALID, "'input' cannot be an empty string")
    rows = await call.rows(body.model, texts)
    found = vectors(call, rows, body.dimensions)
    return {
        "object": "list",
        # what the SDK asks for where its caller says nothing, and reads as little-endian float32
        "data": embedded(found, in_base64=body.encoding_format == "base64"),
        "model": body.model,
        "usage": {"prompt_tokens": call.tokens, "total_tokens": call.tokens},
    }


async def _models(call: Call, _: object) -> dict[str, Any]:
    return {"object": "list", "data": [_about(name) for name in call.models.by_name]}


async def _model(call: Call, values: dict[str, str]) -> dict[str, Any]:
    found, _ = call.models.find(values["name"])
    return _about(found.name)


def _about(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "nearfield"}


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """OpenAI's error object; what is too large is invalid there."""
    status = refusal.status
    said = {
        "message": str(refusal),
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": "model" if status == UNKNOWN else None,
        "code": _CODES.get(status),
    }
    return status, {"error": said}


DIALECT = Dialect(
    "openai",
    (
        Route("/v1/embeddings", _embed, Embed),
        Route("/v1/models", _models),
        Route("/v1/models/{name:path}", _model),
    ),
    error,
)
