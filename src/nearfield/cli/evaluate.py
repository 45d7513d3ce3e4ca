"""`nearfield evaluate`: models side by side on your own data."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import emit_json, err, out, progress_bar
from nearfield.errors import InputError, NearfieldWarning

if TYPE_CHECKING:
    from nearfield.data.collection import Collection, Split
    from nearfield.data.pairs import Pairs
    from nearfield.encoders.encoder import Encoder
    from nearfield.evaluate.systems import System
    from nearfield.types.comparison import Comparison

BM25 = "bm25"
SHOWN_PAIRS = 10


@dataclass(frozen=True)
class Cuts:
    """What is cut from each model's one encode pass; no dims is the whole vector, `similarity` of None the contract's."""

    dims: tuple[int, ...]
    storages: tuple[str, ...]
    similarity: str | None


@dataclass(frozen=True)
class Baselines:
    """Whether BM25 is a row, and whether its fusion with each model's first row is."""

    bm25: bool
    fuse: bool


def evaluate(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Models of the catalog, model folders, or bm25.")],
    on: Annotated[str, typer.Option(metavar="DATA", help="A collection, or a file of scored pairs (Spearman's correlation).")],
    split: Annotated[str, typer.Option(help="The collection's split whose judged queries are asked.")] = "test",
    dims: Annotated[str, typer.Option(help="Dimensions to cut vectors to, as 384,256,128; the whole vector when not given.")] = "",
    dtype: Annotated[
        str, typer.Option(help="How documents are stored: any of float32,float16,int8,binary. Queries stay float32.")
    ] = "float32",
    similarity: Annotated[str | None, typer.Option(help="Score by cosine, dot or euclidean instead of the model's own.")] = None,
    measure: Annotated[str, typer.Option(help="The measure that rows are ordered and compared by.")] = "nDCG@10",
    measures: Annotated[str, typer.Option(help="Other measures to show: any of nDCG, R, P, RR, AP, Success, with @k.")] = "",
    bm25: Annotated[bool, typer.Option("--bm25/--no-bm25", help="Have BM25 in the comparison as the baseline.")] = True,
    fuse: Annotated[bool, typer.Option("--fuse", help="Add the reciprocal-rank fusion of BM25 with each model's first row.")] = False,
    run_folder: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write TREC runs, qrels.txt and comparison.json here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare models, dimensions and storage types on a collection, with intervals and paired tests.

    Each model encodes once; every dimension and storage type is cut from that pass. Rows that share a letter cannot be told
    apart; for those the number of queries that would show the difference is given.

    Examples:

        nearfield evaluate minilm --on stdlib
        nearfield evaluate minilm ./tuned --on my-data --dims 384,128,64 --dtype float32,int8,binary
        nearfield evaluate minilm --on beir/scifact --fuse --measure ndcg@10 --run-folder runs/scifact
        nearfield evaluate minilm --on pairs.csv --json
    """
    from nearfield.data.open import open_data
    from nearfield.data.pairs import Pairs

    cuts = Cuts(_numbers(dims), tuple(_items(dtype)) or ("float32",), similarity)
    if run_folder is not None:
        _check_folder(run_folder)
    data = open_data(on)
    if isinstance(data, Pairs):
        comparison, systems = _on_pairs(models, data, cuts), []
    else:
        wanted = _measures(measure, measures)
        systems = _systems(models, data.split(split), cuts, Baselines(bm25, fuse), wanted)
        comparison = _compared(systems, data, split, wanted)
    if run_folder is not None:
        _export(run_folder, comparison, systems, data.split(split).relevance if not isinstance(data, Pairs) else {})
    if json:
        emit_json(comparison)
    else:
        _show(comparison, run_folder)


def _measures(main: str, others: str) -> tuple[str, ...]:
    from nearfield.evaluate.measures import MEASURES, measure_name

    return tuple(dict.fromkeys(measure_name(name) for name in (main, *(_items(others) or MEASURES))))


def _compared(systems: list[System], collection: Collection, split: str, wanted: tuple[str, ...]) -> Comparison:
    from nearfield.evaluate.compare import compare

    return compare(systems, collection.split(split), measure=wanted[0], measures=wanted)


def _systems(models: list[str], split: Split, cuts: Cuts, baselines: Baselines, wanted: tuple[str, ...]) -> list[System]:
    from nearfield.evaluate.measures import cutoff
    from nearfield.evaluate.systems import DEPTH, bm25_system, dense_systems, fused_system

    depth = max(DEPTH, *map(cutoff, wanted))
    encoders = _encoders(models, cuts)
    lexical = bm25_system(split, depth=depth) if baselines.bm25 or baselines.fuse or BM25 in models else None
    systems = [lexical] if lexical and (baselines.bm25 or BM25 in models) else []
    for name, encoder in encoders.items():
        with progress_bar(f"encoding with {name}") as progress:
            rows = dense_systems(encoder, split, name=name, **vars(cuts), depth=depth, progress=progress)
        systems += rows + ([fused_system(rows[0], lexical)] if lexical and baselines.fuse else [])
    return systems


def _on_pairs(models: list[str], pairs: Pairs, cuts: Cuts) -> Comparison:
    from nearfield.evaluate.scored_pairs import compare_pair_scores, dense_pair_scores

    if not pairs.scored:
        raise InputError(f"{pairs.name}: these pairs have no scores; evaluate on a collection with judgements, or add a column `score`")
    systems = []
    for name, encoder in _encoders(models, cuts).items():
        with progress_bar(f"encoding with {name}") as progress:
            systems += dense_pair_scores(encoder, pairs, name=name, **vars(cuts), progress=progress)
    return compare_pair_scores(systems, pairs)


def _encoders(models: list[str], cuts: Cuts) -> dict[str, Encoder]:
    """The dense models by the name of their rows, each checked against what is asked of it before any of them encodes."""
    from nearfield.encoders.load import load_encoder
    from nearfield.evaluate.systems import cuts_of

    wanted = [model for model in dict.fromkeys(models) if model != BM25]
    short = [Path(model).name for model in wanted]
    names = [name if short.count(name) == 1 and name != BM25 else model for name, model in zip(short, wanted, strict=True)]
    encoders: dict[str, Encoder] = {name: load_encoder(model) for name, model in zip(names, wanted, strict=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfieldWarning)  # given again when the model is used
        for encoder in encoders.values():
            cuts_of(encoder.contract, cuts.dims, cuts.storages, cuts.similarity)
    return encoders


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    wrong = [item for item in _items(text) if not item.isdecimal()]
    if wrong:
        raise InputError(f"--dims has {wrong[0]!r}; wanted whole numbers with commas between, as 384,256,128")
    return tuple(map(int, _items(text)))


def _check_folder(folder: Path) -> None:
    if folder.exists() and not (folder / "comparison.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise InputError("is there already and is no folder that evaluate wrote; give another place", path=folder)


def _export(folder: Path, comparison: Comparison, systems: list[System], relevance: dict[str, dict[str, int]]) -> None:
    from nearfield.evaluate.trec import write_qrels, write_run
    from nearfield.store.atomic import staged_folder, write_json

    with staged_folder(folder) as stage:
        write_json(stage / "comparison.json", comparison)
        if systems:
            write_qrels(relevance, stage / "qrels.txt")
        for system in systems:
            tag = re.sub(r"[^\w.+-]+", "-", system.name).strip("-")
            write_run(system.ranking, stage / f"{tag}.run", tag=tag)


def _show(comparison: Comparison, folder: Path | None) -> None:
    from nearfield.report.numbers import estimated
    from nearfield.report.table import comparison_table, pairs_table

    out.print(comparison_table(comparison))
    alike = tuple(pair for pair in comparison.pairs if pair.p_holm >= 0.05)
    if alike:
        out.print("\nNot told apart, and the queries that would show the difference four times in five:")
        out.print(pairs_table(replace(comparison, pairs=alike[:SHOWN_PAIRS])))
    if len(alike) > SHOWN_PAIRS:
        out.print(f"and {len(alike) - SHOWN_PAIRS} pairs more (--json shows all)", style="dim", highlight=False)
    best = comparison.rows[0]
    out.print(f"\nBest: {best.name}, {comparison.measure} {estimated(best.estimate)}", markup=False, highlight=False)
    if folder is not None:
        err.print(f"written: {folder}", markup=False, highlight=False)
