"""Jina: `/v1/embeddings` with a task, and `/v1/rerank`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.images import as_url
from nearfield.serve.ranked import ranked
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.serve.vectors import embedded, stored, token_vectors, vectors
from nearfield.types.role import DOCUMENT, QUERY

MOST_TEXTS = 2048
ROLES = {
    "retrieval.query": QUERY,
    "retrieval.passage": DOCUMENT,
    "code.query": QUERY,
    "code.passage": DOCUMENT,
}
Type = Literal["float", "base64", "binary", "ubinary"]


class Text(BaseModel):
    """An input that is a text."""

    text: str


class Image(BaseModel):
    """An input that is an image, in base64."""

    image: str


class Embed(BaseModel):
    """The body of `/v1/embeddings`."""

    model: str
    input: str | Text | Image | list[str | Text | Image]
    task: str | None = None
    dimensions: int | None = Field(None, ge=1)
    late_chunking: bool | None = False
    embedding_type: Type | list[Type] | None = "float"
    truncate: bool | None = False
    return_multivector: bool | None = False


class Rerank(BaseModel):
    """The body of `/v1/rerank`."""

    model: str
    query: str | Text
    documents: list[str | Text] = Field(min_length=1, max_length=MOST_TEXTS)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool | None = True


async def _embed(call: Call, body: Embed) -> dict[str, Any]:
    given = body.input if isinstance(body.input, list) else [body.input]
    texts = [_text(item) for item in given]
    if not 0 < len(texts) <= MOST_TEXTS:
        raise Refusal(INVALID, f"input has {len(texts)} items; wanted 1 to {MOST_TEXTS}")
    if body.late_chunking:
        raise Refusal(INVALID, "late_chunking is not offered by this server")
    role = ROLES.get(body.task or "", body.task)
    rows = await call.rows(body.model, texts, role, whole=not body.truncate)
    if body.return_multivector:
        data = [
            {"object": "embedding", "index": at, "embeddings": found}
            for at, found in enumerate(token_vectors(call, rows))
        ]
    else:
        data = _data(vectors(call, rows, body.dimensions), body.embedding_type or "float")
    usage = {"total_tokens": call.tokens, "prompt_tokens": call.tokens}
    return {"model": body.model, "object": "list", "usage": usage, "data": data}


def _data(found: Any, types: Type | list[Type]) -> list[dict[str, Any]]:
    """One object per vector; of several types, each object has a vector of each."""
    if isinstance(types, list) and len(types) != 1:
        every = {name: _data(found, name) for name in types}
        data = _data(found, "float")
        for at, row in enumerate(data):
            row["embedding"] = {name: rows[at]["embedding"] for name, rows in every.items()}
        return data
    name = types[0] if isinstance(types, list) else types
    if name == "base64":
        return embedded(found, in_base64=True)
    return embedded(stored(found, name), in_base64=False)


async def _rerank(call: Call, body: Rerank) -> dict[str, Any]:
    documents = [_text(item) for item in body.documents]
    scores = await call.scores(body.model, [(_text(body.query), each) for each in documents])
    besides: dict[str, Any] = {}
    if body.return_documents:
        besides["document"] = [{"text": text} for text in documents]
    results = ranked(scores, body.top_n, besides=besides)
    usage = {"total_tokens": call.tokens}
    return {"model": body.model, "object": "list", "usage": usage, "results": results}


def _text(item: str | Text | Image) -> str:
    if isinstance(item, Image):
        return as_url(item.image)
    return item if isinstance(item, str) else item.text


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Jina's error: its detail."""
    status = 422 if refusal.status == INVALID else refusal.status
    return status, {"detail": str(refusal)}


DIALECT = Dialect(
    "jina",
    (Route("/v1/embeddings", _embed, Embed), Route("/v1/rerank", _rerank, Rerank)),
    error,
    marks=frozenset(
        ("task", "late_chunking", "embedding_type", "truncate", "return_multivector", "top_n")
    ),
)
