"""`nearfield search`: one query against a collection."""

from __future__ import annotations

import json as json_format
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS, emit_json, out, progress_bar
from nearfield.cli.opened import DEPTH, DEVICE, PRECISION, RERANK, RUNTIME, open_model, open_reranker, ran_by
from nearfield.types.role import DOCUMENT

if TYPE_CHECKING:
    from nearfield.data.collection import Collection
    from nearfield.encoders.reranker import Reranker
    from nearfield.encoders.text import TextEncoder
    from nearfield.similarity.dense import Dense
    from nearfield.types.ranking import Ranking

BM25 = "bm25"
EXACT = "exact"
DEFAULT = "minilm"
FUSED_DEPTH = 100  # results of each ranking that a fusion looks at
SNIPPET = 160


def search(
    collection: Annotated[str, typer.Argument(help=f"{FORMATS}.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    model: Annotated[
        str | None, typer.Option(help="A model of the catalog, a model folder, or bm25; minilm, or what made the vectors, when not given.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Results to show.", min=1)] = 10,
    fuse: Annotated[bool, typer.Option("--fuse", help="Fuse the model's ranking with BM25's and show both ranks.")] = False,
    vectors: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The collection's vectors by `nearfield encode`, instead of encoding it now.")
    ] = None,
    runtime: Annotated[str, RUNTIME] = "auto",
    precision: Annotated[str, PRECISION] = "float32",
    device: Annotated[str, DEVICE] = "auto",
    index: Annotated[
        str, typer.Option(help="exact; or funnel or binary, which score a shortlist: faster over many vectors, and kept beside --vectors.")
    ] = "exact",
    recall: Annotated[
        float, typer.Option(help="Share of the exact results that a shortlist has to find, measured on the vectors.", min=0, max=1)
    ] = 0.98,
    rerank: Annotated[str | None, RERANK] = None,
    depth: Annotated[int, DEPTH] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Search a collection by a model, by BM25, or by both, and have a cross-encoder order what they find.

    Examples:

        nearfield search stdlib "read a file line by line"
        nearfield search my-data "late delivery" --model bm25 -k 3
        nearfield search my-data "late delivery" --vectors vectors/documents --fuse --json
        nearfield search my-data "late delivery" --vectors vectors/documents --index binary --recall 0.95
        nearfield search my-data "late delivery" --fuse --rerank ./cross-encoder --depth 50
    """
    from nearfield.data.open import open_collection
    from nearfield.search.fuse import reciprocal_rank_fusion

    _check(query, model, vectors, index)
    model = model or (DEFAULT if vectors is None else _maker(vectors))
    data = open_collection(collection)
    judge = None if rerank is None else open_reranker(rerank, precision=precision, device=device)
    wanted = k if judge is None else max(k, depth)
    reach = max(wanted, FUSED_DEPTH) if fuse else wanted
    opened = partial(open_model, model, runtime=runtime, precision=precision, device=device)
    rankings = {} if model == BM25 else {model: _dense(data, query, model, opened, _Search(vectors, reach, index, recall))}
    if fuse or model == BM25:
        rankings[BM25] = _lexical(data, query, reach)
    final = reciprocal_rank_fusion(list(rankings.values()), k=wanted) if len(rankings) > 1 else next(iter(rankings.values()))
    if judge is not None:
        final = _reranked(data, query, final, judge, depth).top(k)
    parts = rankings if len(rankings) > 1 or judge is not None else {}
    rows = _rows(data, final, parts)
    if json:
        emit_json(
            {"collection": data.name, "query": query, "model": model, "fused": len(rankings) > 1, "reranked": rerank, "results": rows}
        )
    else:
        _show(rows, list(parts))


def _check(query: str, model: str | None, vectors: Path | None, index: str) -> None:
    """Raise InputError for what cannot be searched, before anything is opened."""
    from nearfield.errors import InputError
    from nearfield.index import shortlist_kind

    if not query.strip():
        raise InputError("the query is empty; say what to look for")
    if index != EXACT:
        shortlist_kind(index)
    if model == BM25 and vectors is not None:
        raise InputError("bm25 reads words and no vectors; leave out --vectors, or name the model that made them (--fuse adds bm25)")


@dataclass(frozen=True)
class _Search:
    """How vectors are searched: those of a `folder` or ones made now, for `depth` results, exactly or by an index of measured recall."""

    folder: Path | None
    depth: int
    index: str
    recall: float


def _dense(data: Collection, query: str, model: str, opened: Callable[[], TextEncoder[Any]], search: _Search) -> Ranking:
    from nearfield.errors import ContractError
    from nearfield.search.indexed import indexed
    from nearfield.search.retrieve import retrieve

    folder = search.folder
    stored = None if folder is None else _opened(folder, data)
    encoder = opened()
    if folder is not None:
        _check_maker(folder, encoder.folder.path, model)
    if stored is not None and stored.dim > encoder.contract.dim:
        raise ContractError(f"{folder}: its vectors have {stored.dim} dimensions, {model}'s {encoder.contract.dim}; name their model")
    if stored is None:
        with progress_bar(f"encoding with {model}, {ran_by(encoder)}") as progress:
            stored = encoder.encode(data.document_texts, "document", progress=progress)
    asked = encoder.encode([query], "query").truncate(stored.dim)
    index = None if search.index == EXACT else indexed(stored, search.index, k=search.depth, recall=search.recall, folder=folder)
    return retrieve(asked, stored, query_ids=("query",), document_ids=data.document_ids, k=search.depth, index=index)


def _maker(folder: Path) -> str:
    """The model that made the vectors, as it can be opened again."""
    from nearfield.errors import InputError
    from nearfield.store.made_by import MadeBy

    made = MadeBy.open(folder)
    if made is None:
        raise InputError("does not say which model made its vectors; name it with --model, or encode the collection again", path=folder)
    return made.source


def _check_maker(folder: Path, model_folder: Path, model: str) -> None:
    """Raise ContractError unless the vectors are documents by this very model; warn where their folder does not say."""
    from nearfield.errors import ContractError, NearfieldWarning
    from nearfield.store.fingerprint import model_hash
    from nearfield.store.made_by import MadeBy

    made = MadeBy.open(folder)
    if made is None:
        message = f"{folder} does not say which model made its vectors; the results mean nothing unless it was {model}"
        warnings.warn(message, NearfieldWarning, stacklevel=2)
        return
    if made.files != model_hash(model_folder):
        advice = f"leave out --model, name {made.source}, or encode the collection again"
        raise ContractError(f"{folder}: its vectors were made by {made.model} ({made.source}), and {model} is another model; {advice}")
    if made.role != DOCUMENT:
        raise ContractError(f"{folder}: its texts were encoded as {made.role}; wanted documents: encode with --role document")


def _opened(folder: Path, data: Collection) -> Dense:
    """The vectors in `folder`. Raises InputError where they are not one for each of the collection's documents, in their order."""
    from nearfield.errors import InputError
    from nearfield.similarity.dense import Dense

    stored = Dense.open(folder)
    if len(stored) != len(data.document_ids):
        raise InputError(f"holds {len(stored)} vectors, {data.name} has {len(data.document_ids)} documents; encode it again", path=folder)
    names = folder / "ids.jsonl"
    if names.is_file():
        with open(names, encoding="utf-8") as lines:
            if any(json_format.loads(line) != name for line, name in zip(lines, data.document_ids, strict=False)):
                raise InputError(f"names other documents than {data.name} has, or in another order; encode it again", path=names)
    return stored


def _lexical(data: Collection, query: str, depth: int) -> Ranking:
    from nearfield.index import bm25
    from nearfield.types.ranking import Ranking

    return Ranking(("query",), data.document_ids, *bm25.BM25(data.document_texts).top_k([query], depth))


def _reranked(data: Collection, query: str, ranking: Ranking, judge: Reranker, depth: int) -> Ranking:
    from nearfield.search.rerank import rerank

    with progress_bar(f"reranking with {judge.name}") as progress:
        return rerank(ranking, judge, query_texts=[query], document_texts=data.document_texts, depth=depth, progress=progress)


def _rows(data: Collection, final: Ranking, parts: dict[str, Ranking]) -> list[dict[str, Any]]:
    places = {name: {document: rank for rank, document in enumerate(part.documents[0].tolist(), 1)} for name, part in parts.items()}
    rows: list[dict[str, Any]] = []
    for rank, (position, score) in enumerate(zip(final.documents[0].tolist(), final.scores[0].tolist(), strict=True), 1):
        if position < 0:
            break
        document = {name: data.documents[name][position].as_py() for name in ("id", "title", "text")}
        row = {"rank": rank, "score": score} | document
        rows.append(row | ({"ranks": {name: place.get(position) for name, place in places.items()}} if parts else {}))
    return rows


def _show(rows: list[dict[str, Any]], parts: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        out.print("Nothing was found: no document has a word of the query.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("rank", "score", *parts):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("document")
    for row in rows:
        ranks = [str(row["ranks"][name] or "–") for name in parts]
        table.add_row(str(row["rank"]), f"{row['score']:.4f}", *ranks, Text.assemble((f"{row['id']}  ", "cyan"), _snippet(row)))
    out.print(table)


def _snippet(row: dict[str, Any]) -> str:
    text = " ".join(f"{row['title']} {row['text']}".split())
    return text if len(text) <= SNIPPET else text[: SNIPPET - 1] + "…"
