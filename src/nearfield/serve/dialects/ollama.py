"""Ollama: `/api/embed`, the older `/api/embeddings`, and `/api/tags`."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, Field

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.refusal import Refusal
from nearfield.serve.vectors import vectors


class Embed(BaseModel):
    """The body of `/api/embed`; `options` and `keep_alive` are taken and not used."""

    model: str
    input: str | list[str]
    truncate: bool | None = True
    dimensions: int | None = Field(None, ge=1)


class Prompt(BaseModel):
    """The body of `/api/embeddings`."""

    model: str
    prompt: str


async def _embed(call: Call, body: Embed) -> dict[str, Any]:
    started = time.perf_counter_ns()
    texts = [body.input] if isinstance(body.input, str) else body.input
    # as Ollama does, an empty list is answered with one; the others refuse it
    found: Any = []
    if texts:
        rows = await call.rows(body.model, texts, whole=body.truncate is False)
        found = vectors(call, rows, body.dimensions)
    return {
        "model": body.model,
        "embeddings": found,
        # nanoseconds
        "total_duration": time.perf_counter_ns() - started,
        "load_duration": 0,
        "prompt_eval_count": call.tokens,
    }


async def _embed_one(call: Call, body: Prompt) -> dict[str, Any]:
    rows = await call.rows(body.model, [body.prompt])
    return {"embedding": vectors(call, rows)[0]}


async def _tags(call: Call, _: object) -> dict[str, Any]:
    return {"models": [{"name": name, "model": name} for name in call.models.by_name]}


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Ollama's error: one string."""
    return refusal.status, {"error": str(refusal)}


DIALECT = Dialect(
    "ollama",
    (
        Route("/api/embed", _embed, Embed),
        Route("/api/embeddings", _embed_one, Prompt),
        Route("/api/tags", _tags),
    ),
    error,
)
