"""Voyage: `/v1/embeddings` with an input type, `/v1/multimodalembeddings`, and `/v1/rerank`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.images import Content
from nearfield.serve.ranked import ranked
from nearfield.serve.refusal import INVALID, UNKNOWN, Refusal
from nearfield.serve.vectors import embedded, stored, vectors

# Voyage takes no longer list.
MOST_TEXTS = 1000


class Embed(BaseModel):
    """The body of `/v1/embeddings`."""

    model: str
    input: str | list[str]
    input_type: Literal["query", "document"] | None = None
    truncation: bool | None = True
    output_dimension: int | None = Field(None, ge=1)
    output_dtype: Literal["float", "int8", "uint8", "binary", "ubinary"] | None = "float"
    encoding_format: Literal["base64"] | None = None


class Multimodal(BaseModel):
    """The body of `/v1/multimodalembeddings`."""

    model: str
    inputs: list[Content] = Field(min_length=1, max_length=MOST_TEXTS)
    input_type: Literal["query", "document"] | None = None
    truncation: bool | None = True
    output_encoding: Literal["base64"] | None = None


class Rerank(BaseModel):
    """The body of `/v1/rerank`."""

    model: str
    query: str
    documents: list[str] = Field(min_length=1, max_length=MOST_TEXTS)
    top_k: int | None = Field(None, ge=1)
    return_documents: bool = False
    truncation: bool | None = True


async def _embed(call: Call, body: Embed) -> dict[str, Any]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not 0 < len(texts) <= MOST_TEXTS:
        raise Refusal(INVALID, f"the input has {len(texts)} texts; wanted 1 to {MOST_TEXTS}")
    if not all(texts):
        raise Refusal(INVALID, "the input holds an empty string")
    whole = body.truncation is False
    rows = await call.rows(body.model, texts, body.input_type, whole=whole)
    found = vectors(call, rows, body.output_dimension)
    data = stored(found, body.output_dtype or "float")
    return {
        "object": "list",
        "data": embedded(data, in_base64=body.encoding_format is not None),
        "model": body.model,
        "usage": {"total_tokens": call.tokens},
    }


async def _multimodal(call: Call, body: Multimodal) -> dict[str, Any]:
    items = [each.item for each in body.inputs]
    whole = body.truncation is False
    rows = await call.rows(body.model, items, body.input_type, whole=whole)
    # pixels are what Voyage bills
    return {
        "object": "list",
        "data": embedded(vectors(call, rows), in_base64=body.output_encoding is not None),
        "model": body.model,
        "usage": {"text_tokens": call.tokens, "image_pixels": 0, "total_tokens": call.tokens},
    }


async def _rerank(call: Call, body: Rerank) -> dict[str, Any]:
    scores = await call.scores(body.model, [(body.query, each) for each in body.documents])
    besides = {"document": body.documents} if body.return_documents else {}
    data = ranked(scores, body.top_k, besides=besides)
    usage = {"total_tokens": call.tokens}
    return {"object": "list", "data": data, "model": body.model, "usage": usage}


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Voyage's error: its detail. An unknown model is an invalid request there."""
    status = INVALID if refusal.status == UNKNOWN else refusal.status
    return status, {"detail": str(refusal)}


DIALECT = Dialect(
    "voyage",
    (
        Route("/v1/embeddings", _embed, Embed),
        Route("/v1/multimodalembeddings", _multimodal, Multimodal),
        Route("/v1/rerank", _rerank, Rerank),
    ),
    error,
    marks=frozenset(("input_type", "truncation", "output_dtype", "output_dimension", "top_k")),
)
