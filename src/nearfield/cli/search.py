"""`nearfield search`: one query against a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS, emit_json, out, progress_bar
from nearfield.cli.opened import (
    DEPTH,
    DEVICE,
    PRECISION,
    RERANK,
    RUNTIME,
    check_before,
    check_maker,
    files_of,
    open_model,
    open_reranker,
    ran_by,
)
from nearfield.types.role import DOCUMENT

if TYPE_CHECKING:
    from nearfield.data.collection import Collection
    from nearfield.encoders.encoder import Encoder
    from nearfield.search.explain import Explanation
    from nearfield.search.first_stage import FirstStage
    from nearfield.similarity.embeddings import Embeddings
    from nearfield.similarity.explained import Match
    from nearfield.types.ranking import Ranking

BM25 = "bm25"
EXACT = "exact"
RECALL = 0.98
DEFAULT = "minilm"
SNIPPET = 160
SHOWN_MATCHES = 12


def search(
    collection: Annotated[str, typer.Argument(help=f"{FORMATS}.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A model of the catalog, a model folder, or bm25; minilm, "
            "or what made the vectors, when not given."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Results to show.", min=1)] = 10,
    fuse: Annotated[
        bool,
        typer.Option("--fuse", help="Fuse the model's ranking with BM25's and show both ranks."),
    ] = False,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The collection's vectors by `nearfield encode`, instead of encoding it now.",
        ),
    ] = None,
    runtime: Annotated[str, RUNTIME] = "auto",
    precision: Annotated[str, PRECISION] = "float32",
    device: Annotated[str, DEVICE] = "auto",
    index: Annotated[
        str,
        typer.Option(
            help="exact; or funnel or binary, which score a shortlist: faster over "
            "many vectors, and kept beside --vectors."
        ),
    ] = "exact",
    recall: Annotated[
        float | None,
        typer.Option(
            help="Share of the exact results that --index has to find, measured; .98 by default.",
            min=0.01,
            max=1,
        ),
    ] = None,
    rerank: Annotated[str | None, RERANK] = None,
    depth: Annotated[int, DEPTH] = 100,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show the terms, or the tokens, that each score is the sum of."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Search a collection by a model of any kind, by BM25, or by both, and have a cross-encoder
    order what they find.

    --explain lists what a score is made of: of BM25 and sparse models the terms that query and
    document share, and the query's that found nothing; of multi-vector ones each of the query's
    tokens with the document's closest. A dense model's or cross-encoder's has no parts.

    Examples:

        nearfield search stdlib "read a file line by line"
        nearfield search my-data "late delivery" --model bm25 -k 3 --explain
        nearfield search my-data "late delivery" --vectors vectors/documents --fuse --json
        nearfield search my-data "late delivery" --vectors vectors/documents --index binary --recall
            0.95
        nearfield search my-data "late delivery" --fuse --rerank ./cross-encoder --depth 50
    """
    from nearfield.data.open import open_collection
    from nearfield.runtimes.proof import Proof
    from nearfield.search.bm25 import bm25
    from nearfield.search.queries import Queries
    from nearfield.search.retriever import FUSED_DEPTH, Retriever

    _check(query, model, vectors, index, recall, fuse=fuse)
    model, sure = _model(model, vectors)
    data = open_collection(collection)
    judge = None if rerank is None else open_reranker(rerank, precision=precision, device=device)
    wanted = k if judge is None else max(k, depth)
    reach = max(wanted, FUSED_DEPTH) if fuse else wanted
    opened = partial(
        open_model,
        model,
        runtime=runtime,
        precision=precision,
        device=device,
        proof=Proof.on(data.document_texts),
    )
    stages = []
    if model != BM25:
        asked = _Search(vectors, sure, reach, index, recall or RECALL)
        stages.append(_embedded(data, model, opened, asked))
    if fuse or model == BM25:
        stages.append(bm25(data.document_texts))
    retriever = Retriever(data.document_ids, data.document_texts, stages, rerank=judge, depth=depth)
    with progress_bar("searching" if judge is None else f"reranking with {judge.name}") as progress:
        final = retriever.search(Queries.of_texts([query]), k, progress=progress)
    rows = _rows(data, final, retriever.explainer(query) if explain else None)
    stopped = _stopped(query, stages)
    facts = {
        "collection": data.name,
        "query": query,
        "model": model,
        "fused": fuse,
        "reranked": rerank,
    }
    if json:
        emit_json(facts | {"stop_words": stopped, "results": rows})
    else:
        _show(rows, list(final.parts), stopped if explain else {})


def _check(
    query: str,
    model: str | None,
    vectors: Path | None,
    index: str,
    recall: float | None,
    *,
    fuse: bool,
) -> None:
    """Raise InputError for what cannot be searched, before anything is opened."""
    from nearfield.errors import InputError
    from nearfield.index import INDEXES

    if not query.strip():
        raise InputError("the query is empty; say what to look for")
    if index != EXACT:
        INDEXES[index]  # an unknown name is an error before any work
    elif recall is not None:
        raise InputError(
            "--recall is what an index has to find, and exact search finds all; "
            "leave it out, or add --index binary"
        )
    if model == BM25 and fuse:
        raise InputError(
            "there is nothing to fuse: --fuse adds bm25 to a model, and the model is "
            "bm25; leave it out"
        )
    if model == BM25 and vectors is not None:
        raise InputError(
            "bm25 reads words and no vectors; leave out --vectors, or name the model "
            "that made them (--fuse adds bm25)"
        )


@dataclass(frozen=True)
class _Search:
    """How vectors are searched: those of a `folder` or ones made now, for `depth` results, exactly
    or by an index of measured recall.

    `sure`: the folder's are known to be the model's, before that is opened.
    """

    folder: Path | None
    sure: bool
    depth: int
    index: str
    recall: float


def _embedded(
    data: Collection, model: str, opened: Callable[[], Encoder[Any]], search: _Search
) -> FirstStage:
    from nearfield.search.first_stage import FirstStage
    from nearfield.search.indexed import indexed, refuse_kind

    folder = search.folder
    stored = None if folder is None else _opened(folder, data)
    encoder = opened()
    if folder is not None and not search.sure:
        check_maker(folder, files_of(encoder), model)
    refuse_kind(search.index, encoder.contract.kind)
    if stored is None:
        with progress_bar(f"encoding with {model}, {ran_by(encoder)}") as progress:
            stored = encoder.encode(data.document_texts, DOCUMENT, progress=progress)
    index = indexed(stored, search.index, k=search.depth, recall=search.recall, folder=folder)
    return FirstStage(model, encoder, index, stored)


def _model(model: str | None, vectors: Path | None) -> tuple[str, bool]:
    """The model to search by, by default what made the vectors, and whether they are known to be
    its own before it is opened.

    Raises InputError where they do not say what made them and no model is named, ContractError
    where they are another's.
    """
    from nearfield.errors import InputError
    from nearfield.store.made_by import MadeBy

    if vectors is None:
        return model or DEFAULT, False
    if not (vectors / "vectors.json").is_file():
        what = "holds no vectors.json, and so no vectors" if vectors.exists() else "does not exist"
        raise InputError(f"{what}; wanted a folder that `nearfield encode` wrote", path=vectors)
    if model is None:
        made = MadeBy.open(vectors)
        if made is None:
            advice = "name it with --model, or encode the collection again"
            raise InputError(f"does not say which model made its vectors; {advice}", path=vectors)
        model = made.source
    return model, check_before(vectors, model)


def _opened(folder: Path, data: Collection) -> Embeddings:
    """The vectors in `folder`. Raises InputError where they are not one for each of the
    collection's documents, in their order.
    """
    from nearfield.errors import InputError
    from nearfield.similarity.embeddings import IDS
    from nearfield.similarity.open import open_embeddings
    from nearfield.similarity.stored import read_ids
    from nearfield.vectors.manifest import changed_texts

    stored = open_embeddings(folder)
    if len(stored) != len(data.document_ids):
        raise InputError(
            f"holds {len(stored)} vectors, {data.name} has {len(data.document_ids)} "
            "documents; encode it again",
            path=folder,
        )
    names = read_ids(folder)
    if names is not None and any(
        name != known for name, known in zip_longest(names, data.document_ids)
    ):
        raise InputError(
            f"names other documents than {data.name} has, or in another order; encode it again",
            path=folder / IDS,
        )
    changed = changed_texts(folder, data.document_texts)
    if changed:
        texts = (
            f"{len(changed):,} of {len(data.document_ids):,} texts of {data.name}, "
            f"{data.document_ids[changed[0]]} the first,"
        )
        raise InputError(
            f"{texts} are others than those that were encoded; encode it again", path=folder
        )
    return stored


def _rows(
    data: Collection, final: Ranking, why: Callable[[int], dict[str, Explanation]] | None
) -> list[dict[str, Any]]:
    """A row for each result, with its ranks in the rankings that it comes from, and what its scores
    are made of.
    """
    places = {
        name: {document: rank for rank, document in enumerate(part.documents[0].tolist(), 1)}
        for name, part in final.parts.items()
    }
    rows: list[dict[str, Any]] = []
    for position, (_, score) in zip(final.documents[0].tolist(), final.of(0), strict=False):
        row: dict[str, Any] = {"rank": len(rows) + 1, "score": score}
        row |= {name: data.documents[name][position].as_py() for name in ("id", "title", "text")}
        if places:
            row["ranks"] = {name: place.get(position) for name, place in places.items()}
        if why is not None:
            explained = why(position)
            row["matches"] = {name: each.matches for name, each in explained.items()}
            row["unmet"] = {name: each.unmet for name, each in explained.items()}
        rows.append(row)
    return rows


def _show(rows: list[dict[str, Any]], parts: list[str], stopped: dict[str, list[str]]) -> None:
    if rows:
        _show_results(rows, parts)
    else:
        out.print(
            "Nothing was found: no document shares a word or a term with the query; "
            "--explain names its stop words."
        )
    for name, words in stopped.items():
        out.print(
            f"{name} leaves out stop words: {', '.join(words)}", highlight=False, soft_wrap=True
        )


def _show_results(rows: list[dict[str, Any]], parts: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("rank", "score", *parts):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("document")
    for row in rows:
        ranks = [str(row["ranks"][name] or "–") for name in parts]
        table.add_row(
            str(row["rank"]),
            f"{row['score']:.4f}",
            *ranks,
            Text.assemble((f"{row['id']}  ", "cyan"), _snippet(row)),
        )
    out.print(table)
    if "matches" in rows[0]:
        _show_matches(rows)


def _stopped(query: str, stages: Sequence[FirstStage]) -> dict[str, list[str]]:
    """The words of the query that each first stage leaves out, where it leaves out any."""
    words = {stage.name: stage.encoder.stopped(query) for stage in stages}
    return {name: left_out for name, left_out in words.items() if left_out}


def _snippet(row: dict[str, Any]) -> str:
    text = " ".join(f"{row['title']} {row['text']}".split())
    return text if len(text) <= SNIPPET else text[: SNIPPET - 1] + "…"


def _show_matches(rows: list[dict[str, Any]]) -> None:
    """Below the table, what each result's score is made of, the most first."""
    for row in rows:
        for name, matches in row["matches"].items():
            parts = [
                _summed(part, [match for match in matches if match.part == part])
                for part in dict.fromkeys(each.part for each in matches)
            ]
            made_of = " + ".join(parts) or (
                "nothing that can be named: one product of two vectors, or no shared term"
            )
            terms = row["unmet"][name]
            more = f" and {len(terms) - SHOWN_MATCHES} more" if len(terms) > SHOWN_MATCHES else ""
            nothing = (
                f"; nothing found for {', '.join(terms[:SHOWN_MATCHES])}{more}" if terms else ""
            )
            out.print(
                f"{row['rank']}  {row['id']}, {name}: {made_of}{nothing}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _summed(part: str, matches: list[Match]) -> str:
    """The largest matches of a part of a score as a sum, in brackets where the part has a name."""
    largest = sorted(matches, key=lambda match: -match.score)
    shown = [f"{_pair(match)} {match.score:.4f}" for match in largest[:SHOWN_MATCHES]]
    if len(largest) > SHOWN_MATCHES:
        shown.append(
            f"{len(largest) - SHOWN_MATCHES} more "
            f"{sum(match.score for match in largest[SHOWN_MATCHES:]):.4f}"
        )
    return f"{part} ({' + '.join(shown)})" if part else " + ".join(shown)


def _pair(match: Match) -> str:
    return match.query if match.query == match.document else f"{match.query} ~ {match.document}"
