"""`nearfield choose`: one model, dim and storage type, with the reasons."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, err, items, numbers, out, progress_bar, show_next
from nearfield.cli.evaluate import Dims, MainMeasure, On, SplitName
from nearfield.cli.opened import Allow
from nearfield.cli.shell.columns import RESTATED
from nearfield.cli.shell.decision import ASKED, limited
from nearfield.cli.shell.trust import trusted

if TYPE_CHECKING:
    from nearfield.types.chosen import Chosen


@limited
def choose(
    on: On,
    models: Annotated[
        str, typer.Option(help="Models to choose from, as minilm,bge-small,./my-model.")
    ],
    dims: Dims = "",
    dtype: Annotated[
        str,
        typer.Option(help="Storage types to choose from.", show_default="float32,int8,binary"),
    ] = "",
    measure: MainMeasure = None,
    split: SplitName = None,
    bm25: Annotated[bool, typer.Option("--bm25/--no-bm25", help="Let BM25 take part.")] = True,
    seed: Annotated[int, typer.Option(help="Chooses the parts of the data.")] = 0,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the decision as a page of Markdown.")
    ] = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Choose a model, dim and storage type for retrieval on your data, without encoding all of it
    with every model.

    All models are compared on a twentieth of the documents, the better half of them on a fifth, and
    the best two on two fifths (on all where there are no more than 2,000), each text encoded once.
    It ends in what to take, under --max-ms, --max-bytes and --max-price where they are given, why,
    how sure that is, and the runner-up.

    Examples:

        nearfield choose --on my-data --models minilm,bge-small,e5-small,potion-base-8m
        nearfield choose --on my-data --models minilm,bge-small --max-bytes 400 --write decision.md
    """
    from nearfield.evaluate.analysis.choose import GRID
    from nearfield.evaluate.analysis.choose import choose as chosen_of
    from nearfield.report.decision_page import decision_page
    from nearfield.store.atomic import check_writable, write_text
    from nearfield.types.evaluation.decision import Limits

    if write is not None:
        # found out before all models have encoded, and not after
        check_writable(write)
    options = replace(
        GRID,
        dims=tuple(numbers(dims, "--dims", int, example="384,128")) or GRID.dims,
        storages=tuple(items(dtype)) or GRID.storages,
        split=split,
        bm25=bm25,
        trust_remote_code=trusted(),
    )
    named = items(models)
    chosen = chosen_of(
        named,
        on,
        measure=measure or "nDCG@10",
        options=options,
        # in the order of LIMITS, which is that of the fields
        limits=Limits(*ASKED.get().values()),
        seed=seed,
        allow=allow or (),
        bars=progress_bar,
    )
    if write is not None:
        write_text(write, decision_page(chosen, shlex.join(["nearfield", *sys.argv[1:]])))
        err.print(f"written: {write}", highlight=False)
    if json:
        emit_json(chosen)
        return
    _show(chosen)
    show_next(
        f"nearfield evaluate {shlex.join(named)} --on {shlex.quote(on)}{RESTATED.get()} --trade-off"
    )


def _show(chosen: Chosen) -> None:
    from nearfield.report.table import comparison_table

    for each in chosen.rounds:
        out.print(str(each), highlight=False)
    out.print()
    out.print(comparison_table(chosen.comparison))
    out.print()
    for line in chosen.words:
        out.print(line, highlight=False)
