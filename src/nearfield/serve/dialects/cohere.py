"""Cohere: `/v2/embed` and `/v2/rerank`."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from pydantic import BaseModel, Field

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.images import Content, as_url
from nearfield.serve.ranked import ranked
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.serve.texts import cut
from nearfield.serve.vectors import as_base64, stored, vectors
from nearfield.types.item import is_image_url
from nearfield.types.role import DOCUMENT, IMAGE, QUERY

# Cohere takes 96 texts in a call, and recommends no more than 1,000 documents.
MOST_TEXTS, MOST_DOCUMENTS = 96, 1000
# classification and clustering are roles by the same names
ROLES = {"search_query": QUERY, "search_document": DOCUMENT, "image": IMAGE}
Storage = Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]


class Embed(BaseModel):
    """The body of `/v2/embed`."""

    model: str
    input_type: Literal["search_query", "search_document", "classification", "clustering", "image"]
    texts: list[str] | None = None
    images: list[str] | None = None
    inputs: list[Content] | None = None
    embedding_types: list[Storage] | None = None
    output_dimension: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    truncate: Literal["NONE", "START", "END"] = "END"


class Rerank(BaseModel):
    """The body of `/v2/rerank`."""

    model: str
    query: str = Field(min_length=1)
    documents: list[str] = Field(min_length=1, max_length=MOST_DOCUMENTS)
    top_n: int | None = Field(None, ge=1)
    max_tokens_per_doc: int | None = Field(None, ge=1)


async def _embed(call: Call, body: Embed) -> dict[str, Any]:
    images = [as_url(image) for image in body.images or []]
    inputs = [each.item for each in body.inputs or []]
    items = [*(body.texts or []), *images, *inputs]
    if not 0 < len(items) <= MOST_TEXTS:
        message = f"invalid request: {len(items)} inputs; wanted between 1 and {MOST_TEXTS}"
        raise Refusal(INVALID, message)
    role = ROLES.get(body.input_type, body.input_type)
    read = await _cut(call, body, items, role)
    rows = await call.rows(body.model, read, role, whole=body.truncate == "NONE")
    found = vectors(call, rows, body.output_dimension)
    embeddings: dict[str, Any] = {}
    for name in body.embedding_types or ["float"]:
        if name == "base64":
            embeddings[name] = [as_base64(vector) for vector in found]
        else:
            embeddings[name] = stored(found, name)
    return {
        "id": str(uuid.uuid4()),
        "response_type": "embeddings_by_type",
        "embeddings": embeddings,
        "texts": [item for item in items if not is_image_url(item)],
        "meta": _meta({"input_tokens": call.tokens}),
    }


async def _cut(call: Call, body: Embed, texts: list[str], role: str) -> list[str]:
    """The texts as they are encoded; the model cuts ends itself."""
    if body.truncate == "NONE" or (body.truncate == "END" and body.max_tokens is None):
        return texts
    start = body.truncate == "START"
    return await cut(call, body.model, texts, role, tokens=body.max_tokens, start=start)


async def _rerank(call: Call, body: Rerank) -> dict[str, Any]:
    scores = await call.scores(body.model, [(body.query, each) for each in body.documents])
    results = ranked(scores, body.top_n)
    return {"id": str(uuid.uuid4()), "results": results, "meta": _meta({"search_units": 1})}


def _meta(billed: dict[str, int]) -> dict[str, Any]:
    return {"api_version": {"version": "2"}, "billed_units": billed}


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Cohere's error: an id and a message."""
    return refusal.status, {"id": str(uuid.uuid4()), "message": str(refusal)}


DIALECT = Dialect(
    "cohere", (Route("/v2/embed", _embed, Embed), Route("/v2/rerank", _rerank, Rerank)), error
)
