"""`nearfield search`: queries against a collection."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, empty_table, out, progress_bar
from nearfield.cli.opened import (
    DEPTH,
    RERANK,
    Device,
    Precision,
    RuntimeName,
    open_model,
    open_reranker,
)

if TYPE_CHECKING:
    from nearfield.data.stream import Row
    from nearfield.retrieval.explain import Explanation
    from nearfield.retrieval.searchable import Hit, Searchable
    from nearfield.similarity.explained import Match

SNIPPET = 160  # characters of a document in the table
SHOWN_MATCHES = 12  # of a result, the heaviest


Query = Annotated[str | None, typer.Argument(help="What to look for; asked for when not given.")]
QueryFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Many queries: a text file of one on each line, any table, or a collection.",
    ),
]
FirstModel = Annotated[
    str | None,
    typer.Option(
        help="A model of the catalog, a model folder, or bm25; minilm, or what made the vectors, "
        "when not given."
    ),
]
Fuse = Annotated[
    bool, typer.Option("--fuse", help="Fuse the model's ranking with BM25's and show both ranks.")
]
Vectors = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The collection's vectors by `nearfield encode`, instead of encoding it now.",
    ),
]
Index = Annotated[
    str,
    typer.Option(
        help="exact; or funnel or binary, which score a shortlist: faster over many vectors, and "
        "kept beside --vectors."
    ),
]
Recall = Annotated[
    float | None,
    typer.Option(
        help="Share of the exact results that --index has to find, measured; .98 by default.",
        min=0.01,
        max=1,
    ),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Show the terms, or the tokens, that each score is the sum of."),
]


Count = Annotated[int, typer.Option("-k", help="Results to show.", min=1)]


def search(
    collection: Annotated[str, typer.Argument(help=f"{FORMATS}.")],
    query: Query = None,
    queries: QueryFile = None,
    model: FirstModel = None,
    k: Count = 10,
    fuse: Fuse = False,
    vectors: Vectors = None,
    runtime: RuntimeName = "auto",
    precision: Precision = "float32",
    device: Device = "auto",
    index: Index = "exact",
    recall: Recall = None,
    rerank: Annotated[str | None, RERANK] = None,
    depth: Annotated[int, DEPTH] = 100,
    explain: Explain = False,
    json: Json = False,
) -> None:
    """Search a collection by a model of any kind, by BM25, or by both, and have a cross-encoder
    order what they find.

    Without a query, each line that is typed or piped in is one, till the input ends. Of these and
    of --queries, --json prints one line of JSON each.

    --explain lists what a score is made of: of BM25 and sparse models the terms that query and
    document share, and the query's that found nothing; of multi-vector ones each of the query's
    tokens with the document's closest; of dense ones that pool by the mean the document's tokens,
    exactly. Other dense models' and cross-encoders' have no parts.

    Examples:

        nearfield search stdlib "read a file line by line"
        nearfield search my-data "late delivery" --model bm25 -k 3 --explain
        nearfield search my-data "late delivery" --vectors vectors/documents --fuse --json
        nearfield search my-data "late delivery" --vectors vectors/documents --index binary --recall
            0.95
        nearfield search my-data "late delivery" --fuse --rerank ./cross-encoder --depth 50
        nearfield search my-data --queries questions.csv --json > answers.jsonl
    """
    from nearfield.retrieval.searchable import Plan
    from nearfield.retrieval.searchable import index as searchable

    asked = _asked(query, queries)
    wanted = _recall(recall, index)
    judge = None if rerank is None else open_reranker(rerank, precision=precision, device=device)
    plan = Plan(fuse, index, wanted, k, judge, depth)
    load = partial(open_model, runtime=runtime, precision=precision, device=device)
    found = searchable(model, collection, plan=plan, vectors=vectors, load=load, bars=progress_bar)
    facts = {
        "collection": found.collection.name,
        "model": found.retriever.stages[0].name,
        "fused": fuse,
        "reranked": rerank,
    }
    for row, hits in _answers(found, asked, k):
        stopped = found.stopped(row.text)
        if not json:
            if query is None:
                out.say(row.text, style="bold")
            _show(hits, stopped, explain=explain)
            continue
        results = [_row(hit, explain=explain) for hit in hits]
        answer = facts | {"query": row.text, "stop_words": stopped, "results": results}
        if query is None:
            emit_json({"id": row.key} | answer, indent=None)
        else:
            emit_json(answer)


def _recall(wanted: float | None, index: str) -> float:
    """The share of the exact results that the index has to find."""
    from nearfield.errors import InputError
    from nearfield.indexes import EXACT
    from nearfield.indexes.recall import RECALL

    if index == EXACT and wanted is not None:
        raise InputError(
            "--recall is what an index has to find, and exact search finds all; "
            "leave it out, or add --index binary"
        )
    return wanted or RECALL


def _answers(
    found: Searchable, asked: Iterable[list[Row]], k: int
) -> Iterator[tuple[Row, list[Hit]]]:
    """Each query with its results, as soon as its lot is answered."""
    for rows in asked:
        texts = [row.text for row in rows]
        yield from zip(rows, found.search_each(texts, k, bars=progress_bar), strict=True)


def _asked(query: str | None, file: Path | None) -> Iterable[list[Row]]:
    """The queries in lots that are answered together: the one given, those of the file, or each
    line of standard input. Raises InputError where there is none.
    """
    from nearfield.data.open import open_queries
    from nearfield.data.stream import Row, stream_standard_input, whole
    from nearfield.errors import InputError

    if query is not None and file is not None:
        raise InputError(f"got the query {query!r} and --queries; leave one of them out")
    if query is not None:
        rows = iter([Row(1, "1", query)])
    elif file is not None:
        rows = open_queries(file).rows()
    elif sys.stdin.isatty():
        # the prompt comes when the collection and the model are open; the first query of a file or
        # a pipe is read before that, so that an empty input is refused at once
        return ([row] for row in whole(_typed()))
    else:
        rows = stream_standard_input(sys.stdin.buffer).rows()
    asked = whole(rows)
    first = next(asked, None)
    if first is None:
        raise InputError("the query is empty; say what to look for")
    if file is not None:
        return [[first, *asked]]
    # one by one, so that a line of a pipe is answered before the next one is there
    return ([row] for row in chain([first], asked))


def _typed() -> Iterator[Row]:
    """Each line that is typed at a prompt."""
    from nearfield.data.stream import Row

    with contextlib.suppress(ImportError):  # which Windows lacks
        import readline  # noqa: F401  # lets lines be edited, and called up again
    prompt = "query> " if out.is_terminal else ""
    for number in count(1):
        try:
            yield Row(number, str(number), input(prompt))
        except EOFError:
            return


def _row(hit: Hit, *, explain: bool) -> dict[str, Any]:
    """A result as JSON has it."""
    row = {name: getattr(hit, name) for name in ("rank", "score", "id", "title")}
    row["text"] = _text(hit)
    if hit.ranks:
        row["ranks"] = hit.ranks
    if explain:
        row["matches"] = {name: each.matches for name, each in hit.why.items()}
        row["unmet"] = {name: each.unmet for name, each in hit.why.items()}
    return row


def _text(hit: Hit) -> str:
    """A result's text; an image's, or a figure's, is its data URL, which nobody reads."""
    from nearfield.types.figures import worded
    from nearfield.types.item import is_image_url

    if is_image_url(hit.text):
        return "(image)"
    return worded(hit.text)


def _show(hits: list[Hit], stopped: dict[str, list[str]], *, explain: bool) -> None:
    if not hits:
        out.print(
            "Nothing was found: no document shares a word or a term with the query; "
            "--explain names its stop words."
        )
    else:
        _show_results(hits)
    if not explain:
        return
    for hit in hits:
        for name, found in hit.why.items():
            out.say(f"{hit.rank}  {hit.id}, {name}: {_made_of(found)}")
    for name, words in stopped.items():
        out.say(f"{name} leaves out stop words: {', '.join(words)}")


def _show_results(hits: list[Hit]) -> None:
    from rich.text import Text

    from nearfield.report.axes import clipped

    table = empty_table([], ["rank", "score", *hits[0].ranks])
    table.add_column("document")
    for hit in hits:
        ranks = [str(rank or "–") for rank in hit.ranks.values()]
        text = clipped(f"{hit.title} {_text(hit)}", SNIPPET)
        document = Text.assemble((f"{hit.id}  ", "cyan"), text)
        table.add_row(str(hit.rank), f"{hit.score:.4f}", *ranks, document)
    out.print(table)


def _made_of(found: Explanation) -> str:
    """What a result's score is made of, the most first, and what found nothing."""
    by_part: dict[str, list[Match]] = {}
    for match in found.matches:
        by_part.setdefault(match.part, []).append(match)
    parts = [_summed(part, matches) for part, matches in by_part.items()]
    made_of = " + ".join(parts)
    if not parts:
        made_of = "nothing that can be named: one product of two vectors, or no shared term"
    if found.unmet:
        made_of += f"; nothing found for {', '.join(found.unmet[:SHOWN_MATCHES])}"
    if len(found.unmet) > SHOWN_MATCHES:
        made_of += f" and {len(found.unmet) - SHOWN_MATCHES} more"
    return made_of


def _summed(part: str, matches: list[Match]) -> str:
    """The largest matches of a part of a score as a sum, those of one name together, in brackets
    where the part has a name.
    """
    scores: dict[str, list[float]] = {}
    for match in matches:
        scores.setdefault(match.name, []).append(match.score)
    largest = sorted(scores.items(), key=lambda each: -sum(each[1]))
    shown = []
    for name, own in largest[:SHOWN_MATCHES]:
        times = f" x{len(own)}" if len(own) > 1 else ""
        shown.append(f"{name}{times} {sum(own):.4f}")
    rest = [score for _, own in largest[SHOWN_MATCHES:] for score in own]
    if rest:
        shown.append(f"{len(rest)} more {sum(rest):.4f}")
    total = " + ".join(shown)
    return f"{part} ({total})" if part else total
