"""`nearfield evaluate`: models side by side on your own data."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import (
    FORMATS,
    Json,
    emit_json,
    err,
    items,
    numbers,
    out,
    progress_bar,
    show_next,
)
from nearfield.cli.opened import DEPTH, KEEP_OWN, RERANK, Allow, model_names
from nearfield.cli.shell.columns import RESTATED
from nearfield.cli.shell.decision import ASKED, decides
from nearfield.cli.shell.trust import trusted

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nearfield.evaluate.task import Options, Task
    from nearfield.types.comparison import Comparison
    from nearfield.types.evaluation.decision import Decision

SHOWN_NOTES = 4

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Models of the catalog, model folders, bm25, tfidf; minilm@bfloat16 sets how "
        "one runs.",
        autocompletion=model_names,
    ),
]
On = Annotated[
    str,
    typer.Option(
        metavar="DATA",
        help=f"{FORMATS}; a file with scores is measured by Spearman's correlation.",
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        help="What is measured: retrieval, reranking, instruction-following, spans, similarity, "
        "pair-classification, bitext, classification, zero-shot, image-to-text, clustering, "
        "summarisation, word-analogies, word-similarity.",
        show_default="that of the data",
    ),
]
SplitName = Annotated[
    str | None,
    typer.Option(
        help="The collection's split whose judged queries are asked.",
        show_default="test; all of data that was never split",
    ),
]
Dims = Annotated[
    str,
    typer.Option(
        help="Dimensions to truncate vectors to, as 384,256,128; the whole vector by default. "
        "Those that a model does not have are left out."
    ),
]
Storages = Annotated[
    str,
    typer.Option(
        help="Storage types of the documents: any of float32,float16,int8,binary. Queries stay "
        "float32. binary+int8 finds by binary and scores what is found again by whole int8 "
        "vectors. Those that a model's kind does not have are left out.",
        show_default="float32",
    ),
]
Similarity = Annotated[
    str | None,
    typer.Option(help="Score by cosine, dot or euclidean instead of the model's own."),
]
MainMeasure = Annotated[
    str | None,
    typer.Option(help="The measure that rows are ordered and compared by.", show_default="nDCG@10"),
]
OtherMeasures = Annotated[
    str,
    typer.Option(help="Other measures to show: any of nDCG, R, P, RR, AP, Success, with @k."),
]
Bm25 = Annotated[
    bool | None,
    typer.Option("--bm25/--no-bm25", help="Include BM25 as the baseline.", show_default="bm25"),
]
Fuse = Annotated[
    bool,
    typer.Option(
        "--fuse", help="Add the reciprocal-rank fusion of BM25 with each model's first row."
    ),
]
PoolTokens = Annotated[
    str,
    typer.Option(
        help="Merge every N similar document tokens into one vector (multi-vector models); "
        "a row for each of 1,2,4."
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write TREC runs, qrels.txt and comparison.json here."),
]


@decides
def evaluate(
    models: Models,
    on: On,
    task: TaskName = None,
    split: SplitName = None,
    dims: Dims = "",
    dtype: Storages = "",
    similarity: Similarity = None,
    measure: MainMeasure = None,
    measures: OtherMeasures = "",
    bm25: Bm25 = None,
    fuse: Fuse = False,
    rerank: Annotated[str | None, RERANK] = None,
    depth: Annotated[int, DEPTH] = 100,
    pool_tokens: PoolTokens = "",
    keep_own: Annotated[bool, KEEP_OWN] = False,
    allow: Allow = None,
    run_folder: RunFolder = None,
    json: Json = False,
) -> None:
    """Compare models, dimensions and storage types on your data, with intervals and paired tests.

    Each model encodes once; every dimension and storage type is cut from that pass. Three lines at
    the end say which row is the best, which is the cheapest that cannot be told apart from it, and
    which to take: the best under --max-ms, --max-bytes and --max-price where they are given, else
    the cheapest that is shown to be not worse than the best by more than --margin. --rerank adds
    for each model its first row (with --fuse, the fusion; BM25 where it is named) with the top
    results re-ranked.

    Examples:

        nearfield evaluate minilm --on stdlib
        nearfield evaluate minilm ./tuned --on my-data --dims 384,128 --dtype float32,int8,binary
        nearfield evaluate minilm e5-small --on my-data --dtype float32,int8 --max-bytes 400
        nearfield evaluate minilm --on my-data --dims 384,128 --dtype float32,int8 --margin .01
        nearfield evaluate minilm --on beir/scifact --fuse --measure ndcg@10 --run-folder
            runs/scifact
        nearfield evaluate minilm bge-small --on my-data --trade-off --report page.html
        nearfield evaluate minilm minilm@torch,bfloat16 tfidf --on my-data
        nearfield evaluate minilm bm25 --on my-data --rerank ./cross-encoder --depth 50
        nearfield evaluate minilm --on pairs.csv --json
        nearfield evaluate minilm e5-small --on german-english.tsv --task bitext
    """
    from nearfield.evaluate.compare import compare
    from nearfield.evaluate.open_task import open_task
    from nearfield.evaluate.task import Options

    asked = ASKED.get()
    report = asked["report"]
    decided = _checked(asked)
    cuts, storages = _grid(dims, dtype)
    options = Options(
        split=split,
        dims=cuts,
        storages=storages,
        similarity=similarity,
        bm25=bm25,
        fuse=fuse,
        rerank=rerank,
        depth=depth,
        pool_tokens=tuple(numbers(pool_tokens, "--pool-tokens", int, example="1,2,4")),
        keep_own=keep_own,
        run_folder=run_folder,
        trust_remote_code=trusted(),
    )
    opened = open_task(on, task, options=options, models=models)
    comparison = compare(
        models,
        opened,
        measure=measure,
        measures=items(measures) or None,
        allow=allow or (),
        options=options,
        bars=progress_bar,
    )
    comparison = replace(comparison, decision=decided(comparison))
    if report is not None:
        _write_page(report, comparison, models, opened, options)
    if json:
        emit_json(comparison)
        return
    _show(comparison, named=bool(measures))
    for path in filter(None, (report, run_folder)):
        err.print(f"written: {path}", highlight=False)
    show_next(_next(comparison, models, on, task))


def _grid(dims: str, dtype: str) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The dims and the storage types of every model; of a trade-off many, where none are named."""
    from nearfield.evaluate.analysis.trade_off import SHARES, STORED

    cuts: tuple[float, ...] = tuple(numbers(dims, "--dims", int, example="384,128"))
    storages = tuple(items(dtype))
    if ASKED.get()["trade_off"]:
        return cuts or SHARES, storages or STORED
    return cuts, storages or ("float32",)


def _checked(asked: Mapping[str, Any]) -> Callable[[Comparison], Decision]:
    """What decides under the limits and the margin. Raises InputError, before anything is measured,
    where these cannot be kept, and where the page cannot be written.
    """
    from nearfield.evaluate.decide import check_limits, decide
    from nearfield.statistics.noninferiority import check_margin
    from nearfield.store.atomic import check_writable
    from nearfield.types.evaluation.decision import Limits

    if asked["report"] is not None:
        check_writable(asked["report"])
    limits = Limits(asked["max_ms"], asked["max_bytes"], asked["max_price"])
    check_limits(limits)
    margin = asked["margin"]
    if margin is not None:
        check_margin(margin)
    return partial(decide, limits=limits, margin=margin)


def _write_page(
    page: Path, comparison: Comparison, models: list[str], task: Task, options: Options
) -> None:
    from nearfield.evaluate.analysis.look import look
    from nearfield.evaluate.encoders import row_names
    from nearfield.report.evaluation.page import write_evaluation

    named = row_names(models)
    best_first = dict.fromkeys(row.model for row in comparison.rows if row.model in named)
    found = look([named[name] for name in best_first], task, options=options, bars=progress_bar)
    write_evaluation(page, comparison, found)


def _next(comparison: Comparison, models: list[str], data: str, task: str | None) -> str:
    """Tune the best model of texts that has vectors; without one, the details. `data` is followed
    by the options by which it is read, `task` is the option that was given, if any.
    """
    from nearfield.encoders.spec import ModelSpec
    from nearfield.formats.towers.find import image_layout

    data = shlex.quote(data) + RESTATED.get()
    of_texts = {}
    for model in models:
        spec = ModelSpec.parse(model)
        if image_layout(Path(spec.name)) is None:
            of_texts[spec.short] = spec.whole  # what reads chunks is tuned on texts
    tunable = [row.model for row in comparison.rows if row.storage and row.model in of_texts]
    if comparison.task == "retrieval" and tunable:
        return f"nearfield tune {shlex.quote(of_texts[tunable[0]])} --on {data}"
    named = f" --task {task}" if task else ""
    return f"nearfield evaluate {shlex.join(models)} --on {data}{named} --details"


def _below(table: RenderableType) -> None:
    out.print()
    out.print(table)


def _show(comparison: Comparison, *, named: bool) -> None:
    """Print the comparison; `named`: with the means of the measures that were asked for."""
    from nearfield.report.table import (
        at_cost_table,
        comparison_table,
        holes_table,
        pairs_table,
        slices_table,
    )
    from nearfield.report.words import flips

    asked = ASKED.get()
    decision = comparison.decision
    means = tuple(comparison.rows[0].means) if named else ()
    traded = decision.trade_off if decision and asked["trade_off"] else None
    if asked["details"]:
        out.print(comparison_table(comparison, named=means, letters=True))
        if comparison.pairs:
            _below(pairs_table(comparison))
        if decision and decision.slices:
            _below(slices_table(decision.slices))
        if decision and decision.holes:
            _below(holes_table(decision.holes))
    else:
        shown = replace(comparison, notes=comparison.notes[:SHOWN_NOTES])
        if traded:
            rows = [row for row in comparison.rows if row.name in traded.frontier]
            shown = replace(shown, rows=tuple(rows))
        out.print(comparison_table(shown, named=means))
        more = len(comparison.notes) - SHOWN_NOTES
        if more > 0:
            out.print(f"and {more} more notes (--details)", style="dim", highlight=False)
    if traded:
        of = f"Shown: the {len(traded.frontier)} of {len(comparison.rows)} rows that are better"
        out.print(f"{of} than all smaller ones.", style="dim", highlight=False)
        if traded.at_cost:
            _below(at_cost_table(traded.at_cost, comparison))
    out.print()
    if decision:
        for line in (*decision.words, *flips(decision.slices)):
            out.print(line, highlight=False)
