"""`nearfield evaluate`: models side by side on your own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, err, items, numbers, out, progress_bar
from nearfield.cli.opened import DEPTH, KEEP_OWN, RERANK, Allow
from nearfield.cli.trust import TRUST

if TYPE_CHECKING:
    from nearfield.types.comparison import Comparison

SHOWN_PAIRS = 10


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models of the catalog, model folders, bm25, tfidf; minilm@bfloat16 sets how one "
            "runs.",
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help=f"{FORMATS}; a file with scores is measured by Spearman's correlation.",
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            help="What is measured: retrieval, similarity, bitext, word-analogies, "
            "word-similarity.",
            show_default="that of the data",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="The collection's split whose judged queries are asked.", show_default="test"
        ),
    ] = None,
    dims: Annotated[
        str,
        typer.Option(
            help="Dimensions to truncate vectors to, as 384,256,128; the whole vector by default."
        ),
    ] = "",
    dtype: Annotated[
        str,
        typer.Option(
            help="Storage types of the documents: any of float32,float16,int8,binary. Queries stay "
            "float32."
        ),
    ] = "float32",
    similarity: Annotated[
        str | None,
        typer.Option(help="Score by cosine, dot or euclidean instead of the model's own."),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            help="The measure that rows are ordered and compared by.", show_default="nDCG@10"
        ),
    ] = None,
    measures: Annotated[
        str,
        typer.Option(help="Other measures to show: any of nDCG, R, P, RR, AP, Success, with @k."),
    ] = "",
    bm25: Annotated[
        bool | None,
        typer.Option("--bm25/--no-bm25", help="Include BM25 as the baseline.", show_default="bm25"),
    ] = None,
    fuse: Annotated[
        bool,
        typer.Option(
            "--fuse", help="Add the reciprocal-rank fusion of BM25 with each model's first row."
        ),
    ] = False,
    rerank: Annotated[str | None, RERANK] = None,
    depth: Annotated[int, DEPTH] = 100,
    pool_tokens: Annotated[
        str,
        typer.Option(
            help="Merge every N similar document tokens into one vector (multi-vector models); "
            "a row for each of 1,2,4."
        ),
    ] = "",
    keep_own: Annotated[bool, KEEP_OWN] = False,
    allow: Allow = None,
    run_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write TREC runs, qrels.txt and comparison.json here."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare models, dimensions and storage types on your data, with intervals and paired tests.

    Each model encodes once; every dimension and storage type is cut from that pass. Rows that share
    a letter are not told apart; for each such pair, the number of queries that would show the
    difference is given. --rerank adds for each model its first row (with --fuse, the fusion; BM25
    where it is named) with the top results re-ranked.

    Examples:

        nearfield evaluate minilm --on stdlib
        nearfield evaluate minilm ./tuned --on my-data --dims 384,128 --dtype float32,int8,binary
        nearfield evaluate minilm --on beir/scifact --fuse --measure ndcg@10 --run-folder
            runs/scifact
        nearfield evaluate minilm minilm@torch,bfloat16 tfidf --on my-data
        nearfield evaluate minilm bm25 --on my-data --rerank ./cross-encoder --depth 50
        nearfield evaluate minilm --on pairs.csv --json
        nearfield evaluate minilm e5-small --on german-english.tsv --task bitext
    """
    from nearfield.evaluate.compare import compare
    from nearfield.evaluate.task import Options

    options = Options(
        split=split,
        dims=tuple(numbers(dims, "--dims", int, example="384,128")),
        storages=tuple(items(dtype)) or ("float32",),
        similarity=similarity,
        bm25=bm25,
        fuse=fuse,
        rerank=rerank,
        depth=depth,
        pool_tokens=tuple(numbers(pool_tokens, "--pool-tokens", int, example="1,2,4")),
        keep_own=keep_own,
        run_folder=run_folder,
        trust_remote_code=TRUST.get(),
    )
    comparison = compare(
        models,
        on,
        task=task,
        measure=measure,
        measures=items(measures) or None,
        allow=allow or (),
        options=options,
        bars=progress_bar,
    )
    if json:
        emit_json(comparison)
    else:
        shown = tuple(comparison.rows[0].means) if measures else ()
        _show(comparison, run_folder, named=shown)


def _show(comparison: Comparison, folder: Path | None, *, named: Sequence[str]) -> None:
    from nearfield.report.table import comparison_table, pairs_table
    from nearfield.types.numbers import estimated

    out.print(comparison_table(comparison, named=named))
    alike = tuple(pair for pair in comparison.pairs if pair.p_holm >= 0.05)
    if alike:
        out.print("\nNot told apart, and how many would show the difference 4 times in 5:")
        out.print(pairs_table(replace(comparison, pairs=alike[:SHOWN_PAIRS])))
    if len(alike) > SHOWN_PAIRS:
        more = len(alike) - SHOWN_PAIRS
        out.print(f"and {more} more pairs (--json shows all)", style="dim", highlight=False)
    best = comparison.rows[0]
    measured = f"{comparison.measure} {estimated(best.estimate)}"
    out.print(f"\nBest: {best.name}, {measured}", highlight=False)
    if folder is not None:
        err.print(f"written: {folder}", highlight=False)
