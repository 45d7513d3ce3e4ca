"""The server's own interface: search over a collection, and the contracts of its models."""

from __future__ import annotations

import asyncio
import dataclasses
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from nearfield.errors import InputError
from nearfield.retrieval.searchable import Hit, Searchable
from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Mask
from nearfield.types.contract import Contract
from nearfield.types.role import QUERY

_MOST = 1000


class Search(BaseModel):
    """The body of `/search`. `filter` lists the values that a field of a document may have. `dim`
    and `storage` rank by vectors cut and stored so, where the first stage makes one per text.
    """

    query: str = Field(min_length=1)
    k: int = Field(10, ge=1, le=_MOST)
    filter: dict[Literal["id", "title"], list[str]] | None = None
    explain: bool = False
    dim: int | None = Field(None, ge=1)
    storage: str = "float32"


def own_dialect(found: Searchable | None) -> Dialect:
    """`/contracts`, and `/search` where there is something to search."""

    async def contracts(call: Call, _: object) -> dict[str, Any]:
        rows = []
        for name, model in call.models.by_name.items():
            try:
                if not model.judges:
                    _, encoder, _ = await call.encoder(name)
                    rows.append({"model": name, **_facts(encoder.contract)})
            except Refusal as error:  # the others are there all the same
                rows.append({"model": name, "error": str(error)})
        search = None if found is None else {"dim": _first(found).documents.dim}
        return {"contracts": rows, "search": search}

    routes = [Route("/contracts", contracts)]
    if found is not None:
        searching = Searching(found)

        async def search(_: Call, body: Search) -> dict[str, Any]:
            return await asyncio.to_thread(searching, body)

        routes.append(Route("/search", search, Search))
    return Dialect("nearfield", tuple(routes), error)


def _facts(contract: Contract) -> dict[str, Any]:
    facts = dataclasses.asdict(contract)
    terms = facts.pop("terms")
    return facts | {"licence": terms["licence"]}


def _first(found: Searchable) -> Any:
    """The stage that searches by the model's vectors."""
    return found.retriever.stages[0]


class Searching:
    """Answers searches of one collection."""

    def __init__(self, found: Searchable) -> None:
        self._found = found
        # all documents' vectors, cut: made once per dim and storage, not for each search
        self._stored = lru_cache(maxsize=8)(self._as)

    def __call__(self, body: Search) -> dict[str, Any]:
        """The results; of vectors that are cut or rounded, each with its rank by `whole` ones."""
        where = None if body.filter is None else self._where(body.filter)
        hits = self._found.search(body.query, body.k, where=where)
        rows = [_row(hit, explain=body.explain) for hit in hits]
        whole = getattr(_first(self._found).documents, "dim", None)
        if body.storage != "float32" or body.dim not in (None, whole):
            rows = self._cut(body, where, {row["id"]: row for row in rows})
        return {"query": body.query, "results": rows}

    def _where(self, wanted: dict[Any, list[str]]) -> Mask:
        table = self._found.collection.documents
        where = np.ones(table.num_rows, bool)
        for field, values in wanted.items():
            where &= np.isin(np.array(table[field].to_pylist(), object), values)
        return where

    def _as(self, dim: int | None, storage: str) -> Embeddings:
        documents = _first(self._found).documents.as_dense("a cut")
        cut = documents if dim is None else documents.truncate(dim)
        stored: Embeddings = cut.quantise(storage)
        return stored

    def _cut(
        self, body: Search, where: Mask | None, whole: dict[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The results by vectors that are cut and stored as the body says; `whole` are those by
        whole ones, by id.
        """
        encoder = _first(self._found).encoder
        try:
            documents = self._stored(body.dim, body.storage)
            asked = encoder.encode([body.query], QUERY).as_dense("a cut")
            query = asked if body.dim is None else asked.truncate(body.dim)
        except InputError as error:
            raise Refusal(INVALID, str(error)) from error
        # (documents,)
        scores = query.scores(documents)[0]
        if where is not None:
            scores = np.where(where, scores, -np.inf)
        rows = []
        best = np.argsort(-scores, kind="stable")[: body.k].tolist()
        for rank, at in enumerate(best, start=1):
            if not np.isfinite(scores[at]):
                continue  # the filter leaves fewer than k
            (row,) = self._found.collection.documents.slice(at, 1).to_pylist()
            known = whole.get(row["id"], {})
            row |= {"rank": rank, "score": float(scores[at]), "whole": known.get("rank")}
            if body.explain:
                row["matches"] = known.get("matches", [])
            rows.append(row)
        return rows


def _row(hit: Hit, *, explain: bool) -> dict[str, Any]:
    row = {name: getattr(hit, name) for name in ("rank", "score", "id", "title", "text", "ranks")}
    row["whole"] = hit.rank
    if explain:
        matches = [match for each in hit.why.values() for match in each.matches]
        row["matches"] = [dataclasses.asdict(match) for match in matches]
    return row


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """The status and the words of a refusal."""
    return refusal.status, {"error": {"message": str(refusal)}}
