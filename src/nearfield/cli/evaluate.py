"""`nearfield evaluate`: models side by side on your own data."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS, emit_json, err, out, progress_bar
from nearfield.cli.opened import (
    ALLOW,
    DEPTH,
    KEEP_OWN,
    RERANK,
    open_model,
    open_reranker,
)
from nearfield.errors import InputError, NearfieldWarning

if TYPE_CHECKING:
    from nearfield.data.collection import Collection, Split
    from nearfield.data.pairs import Pairs
    from nearfield.encoders.encoder import Encoder
    from nearfield.encoders.pair_scorer import PairScorer
    from nearfield.evaluate.systems import System
    from nearfield.types.comparison import Comparison
    from nearfield.types.contract import Contract

BM25, TFIDF = "bm25", "tfidf"
MAIN = "nDCG@10"  # what is measured when nothing else is asked for
SHOWN_PAIRS = 10


@dataclass(frozen=True)
class Cuts:
    """What is cut from each model's one encode pass; no dims is the whole vector, `similarity` of
    None the contract's.
    """

    dims: tuple[int, ...]
    storages: tuple[str, ...]
    similarity: str | None


@dataclass(frozen=True)
class Baselines:
    """Whether BM25 is a row, whether its fusion with each model's first row is, and what orders the
    first `depth` results anew.
    """

    bm25: bool
    fuse: bool
    judge: PairScorer | None = None
    depth: int = 100


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models of the catalog, model folders, bm25, tfidf; minilm@bfloat16 runs one so.",
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            metavar="DATA", help=f"{FORMATS}; a file with scores by Spearman's correlation."
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="The collection's split whose judged queries are asked.", show_default="test"
        ),
    ] = None,
    dims: Annotated[
        str,
        typer.Option(
            help="Dimensions to cut vectors to, as 384,256,128; the whole vector when not given."
        ),
    ] = "",
    dtype: Annotated[
        str,
        typer.Option(
            help="How documents are stored: any of float32,float16,int8,binary; not queries."
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
        typer.Option("--bm25/--no-bm25", help="Have BM25 as the baseline.", show_default="bm25"),
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
            help="Of a multi-vector model's documents: one vector for so many alike "
            "tokens; a row for each of 1,2,4."
        ),
    ] = "",
    keep_own: Annotated[bool, KEEP_OWN] = False,
    allow: Annotated[list[str] | None, ALLOW] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write TREC runs, qrels.txt and comparison.json here."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare models, dimensions and storage types on a collection, with intervals and paired
    tests.

    Each model encodes once; every dimension and storage type is cut from that pass. Rows that share
    a letter cannot be told apart; for those the number of queries that would show the difference is
    given. --rerank adds, for each model, its first row (with --fuse, the fusion; of BM25 where it
    is named) with its best results ordered by a cross-encoder.

    Examples:

        nearfield evaluate minilm --on stdlib
        nearfield evaluate minilm ./tuned --on my-data --dims 384,128 --dtype float32,int8,binary
        nearfield evaluate minilm --on beir/scifact --fuse --measure ndcg@10 --run-folder
            runs/scifact
        nearfield evaluate minilm minilm@torch,bfloat16 tfidf --on my-data
        nearfield evaluate minilm bm25 --on my-data --rerank ./cross-encoder --depth 50
        nearfield evaluate minilm --on pairs.csv --json
    """
    from nearfield.data.pairs import Pairs
    from nearfield.store.atomic import check_replaceable

    cuts, pools = (
        Cuts(_numbers(dims, "--dims"), tuple(_items(dtype)) or ("float32",), similarity),
        _numbers(pool_tokens, "--pool-tokens"),
    )
    if fuse and set(models) == {BM25}:
        raise InputError(
            "there is nothing to fuse: --fuse joins BM25 with each model, and none "
            "is named beside it"
        )
    if run_folder is not None:
        check_replaceable(run_folder, marker="comparison.json", what="folder that evaluate wrote")
    data, seen = _examined(on), allow or ()
    if isinstance(data, Pairs):
        options: dict[str, object] = {
            "--split": split,
            "--measure": measure,
            "--measures": measures,
            "--fuse": fuse,
            "--rerank": rerank,
        }
        options |= {
            "--pool-tokens": pool_tokens,
            "--keep-own": keep_own,
            "--bm25 or --no-bm25": None if bm25 is None else "given",
        }
        _check_for_pairs(data, models, options)
        comparison, systems, relevance = _on_pairs(models, data, cuts, seen), [], {}
    else:
        data, wanted = replace(data, keep_own=keep_own), _measures(measure or MAIN, measures)
        asked = _asked(data, split, on, run_folder, models)
        baselines = Baselines(
            bm25 is not False,
            fuse,
            None if rerank is None else open_reranker(rerank),
            depth,
        )
        systems = _systems(models, asked, cuts, baselines, wanted, pools=pools, allow=seen)
        comparison, relevance = _compared(systems, asked, wanted, seen), asked.relevance
    if run_folder is not None:
        _export(run_folder, comparison, systems, relevance)
    emit_json(comparison) if json else _show(comparison, run_folder, named=_items(measures))


def compared(models: list[str], on: str, *, split: str | None = None) -> Comparison:
    """Models side by side on a collection's split by nDCG@10, or on scored pairs, as `evaluate`
    compares them.
    """
    from nearfield.data.open import open_data
    from nearfield.data.pairs import Pairs
    from nearfield.evaluate.judged_split import judged_split

    cuts, data = Cuts((), ("float32",), None), open_data(on)
    if isinstance(data, Pairs):
        _check_for_pairs(data, models, {"--split": split})
        return _on_pairs(models, data, cuts)
    wanted, asked = _measures(MAIN, ""), judged_split(data, split, on, models=models)
    return _compared(
        _systems(models, asked, cuts, Baselines(bm25=False, fuse=False), wanted), asked, wanted
    )


def check_data(on: str, *, split: str | None = None, models: Sequence[str] = ()) -> None:
    """Raise InputError for data that `compared` cannot measure `models`, or what is made of them,
    on.
    """
    from nearfield.data.open import open_data
    from nearfield.data.pairs import Pairs
    from nearfield.data.trained_on import TrainedOn
    from nearfield.evaluate.judged_split import judged_split
    from nearfield.evaluate.trained import refuse_seen

    data = open_data(on)
    if isinstance(data, Pairs):
        _check_for_pairs(data, [], {"--split": split})
    else:
        asked = judged_split(data, split, on, models=models)
        refuse_seen({model: TrainedOn.read(model) for model in models}, asked)


def _examined(on: str) -> Collection | Pairs:
    """The data at `on`; the doctor's errors, which stop a tune and only mislead a measurement, are
    printed.
    """
    from nearfield.data.doctor import CHEAP
    from nearfield.data.doctor.examine import examine
    from nearfield.data.open import open_data
    from nearfield.types.finding import ERROR

    data = open_data(on)
    for finding in examine(data, checks=CHEAP):
        if finding.severity == ERROR:
            said = (
                f"{finding.check} ({finding.count:,} of {finding.total:,}): {finding.example}; "
                f"{finding.fix}"
            )
            advice = (
                f"`nearfield data check {shlex.quote(on)}` refuses such data, with --allow "
                f"{finding.check} it passes"
            )
            err.print(
                f"warning: the data may mislead: {said}. {advice}",
                style="yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    return data


def _check_for_pairs(pairs: Pairs, models: list[str], options: Mapping[str, object]) -> None:
    """Raise InputError for what has no meaning on scored pairs, which have no splits, no rankings
    and no documents to search.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise InputError(
            f"{pairs.called} holds scored pairs, which are measured by Spearman's "
            f"correlation: leave out {', '.join(given)}"
        )
    for name in (BM25, TFIDF):
        if name in models:
            raise InputError(
                f"{pairs.called} holds scored pairs, and {name} gives a pair of "
                "texts no score: leave it out"
            )


def _measures(main: str, others: str) -> tuple[str, ...]:
    from nearfield.evaluate.measures import MEASURES, measure_name

    return tuple(
        dict.fromkeys(measure_name(name) for name in (main, *(_items(others) or MEASURES)))
    )


def _compared(
    systems: list[System], split: Split, wanted: tuple[str, ...], allow: Sequence[str] = ()
) -> Comparison:
    from nearfield.evaluate.compare import compare

    return compare(systems, split, measure=wanted[0], measures=wanted, allow=allow)


def _systems(
    models: list[str],
    split: Split,
    cuts: Cuts,
    baselines: Baselines,
    wanted: tuple[str, ...],
    *,
    pools: tuple[int, ...] = (),
    allow: Sequence[str] = (),
) -> list[System]:
    from nearfield.encoders.lexical import BagOfWords, Lexical
    from nearfield.evaluate.measures import cutoff
    from nearfield.evaluate.systems import DEPTH, bm25_system, fused_system, model_systems
    from nearfield.evaluate.trained import refuse_seen

    depth = max(DEPTH, *map(cutoff, wanted), baselines.depth if baselines.judge else 0)
    encoders = _pooled(_encoders(models, cuts, split.collection.document_texts), pools)
    known = {name: encoder.trained_on for name, encoder in encoders.items()}
    known |= {baselines.judge.name: baselines.judge.trained_on} if baselines.judge else {}
    refuse_seen(known, split, allow=allow)
    if TFIDF in models:
        encoders[TFIDF] = Lexical.fit(split.collection.document_texts, BagOfWords(TFIDF))
    lexical = (
        bm25_system(split, depth=depth)
        if baselines.bm25 or baselines.fuse or BM25 in models
        else None
    )
    systems = [lexical] if lexical and (baselines.bm25 or BM25 in models) else []
    for name, encoder in encoders.items():
        with progress_bar(f"encoding with {name}") as progress:
            own = _fitting(cuts, encoder.contract, encoders)
            rows = model_systems(
                encoder, split, name=name, **vars(own), depth=depth, progress=progress
            )
        rows += [fused_system(rows[0], lexical)] if lexical and baselines.fuse else []
        systems += rows + _reranked(rows[-1] if baselines.fuse else rows[0], split, baselines)
    return systems + (_reranked(lexical, split, baselines) if lexical and BM25 in models else [])


def _reranked(system: System, split: Split, baselines: Baselines) -> list[System]:
    """The system with its best results ordered anew, where that is asked for."""
    from nearfield.evaluate.reranked import reranked_system

    if baselines.judge is None:
        return []
    with progress_bar(f"reranking {system.name} with {baselines.judge.name}") as progress:
        return [
            reranked_system(
                system, baselines.judge, split, depth=baselines.depth, progress=progress
            )
        ]


def _on_pairs(models: list[str], pairs: Pairs, cuts: Cuts, allow: Sequence[str] = ()) -> Comparison:
    from nearfield.evaluate.scored_pairs import compare_pair_scores, model_pair_scores

    if not pairs.scored:
        raise InputError(
            f"{pairs.called}: these pairs have no scores; evaluate on a collection "
            "with judgements, or add a column `score`"
        )
    systems, encoders = [], _encoders(models, cuts, pairs.positives)
    for name, encoder in encoders.items():
        with progress_bar(f"encoding with {name}") as progress:
            own = _fitting(cuts, encoder.contract, encoders)
            systems += model_pair_scores(encoder, pairs, name=name, **vars(own), progress=progress)
    return compare_pair_scores(systems, pairs, allow=allow)


def _encoders(models: list[str], cuts: Cuts, texts: Sequence[str]) -> dict[str, Encoder[Any]]:
    """The models by the name of their rows, each checked against what is asked of it before any of
    them encodes.

    One that is converted for its runtime is calibrated and proven on some of `texts`, those that it
    is about to encode.
    """
    from nearfield.encoders.spec import ModelSpec
    from nearfield.evaluate.systems import cuts_of
    from nearfield.runtimes.proof import Proof

    wanted = [model for model in dict.fromkeys(models) if model not in (BM25, TFIDF)]
    short = [ModelSpec.parse(model).short for model in wanted]
    names = [
        name if short.count(name) == 1 and name not in (BM25, TFIDF) else model
        for name, model in zip(short, wanted, strict=True)
    ]
    proof = Proof.on(texts)
    encoders: dict[str, Encoder[Any]] = {
        name: open_model(model, proof=proof) for name, model in zip(names, wanted, strict=True)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfieldWarning)  # given again when the model is used
        for encoder in encoders.values():
            own = _fitting(cuts, encoder.contract, encoders)
            cuts_of(encoder.contract, own.dims, own.storages, own.similarity)
    return encoders


def _fitting(cuts: Cuts, contract: Contract, encoders: dict[str, Encoder[Any]]) -> Cuts:
    """Of what is asked of all models, what fits the kind of one: dims and another similarity are
    for dense vectors.

    Where no model is dense, all of it, so that what makes no sense is an error.
    """
    from nearfield.similarity import EMBEDDINGS

    kinds = [EMBEDDINGS[encoder.contract.kind] for encoder in encoders.values()]
    own = EMBEDDINGS[contract.kind]
    if own.one_vector or not any(kind.one_vector for kind in kinds):
        return cuts
    kept = tuple(storage for storage in cuts.storages if storage in own.storages)
    return Cuts((), kept or ("float32",), None)


def _pooled(encoders: dict[str, Encoder[Any]], pools: tuple[int, ...]) -> dict[str, Encoder[Any]]:
    """The same encoders, those of multi-vector models once for each of `pools`. Raises
    ContractError where there are none.
    """
    from nearfield.encoders.pooled import PooledTokens
    from nearfield.errors import ContractError
    from nearfield.similarity import EMBEDDINGS

    merged = [
        name
        for name, encoder in encoders.items()
        if pools and EMBEDDINGS[encoder.contract.kind].merges_tokens
    ]
    if pools and not merged:
        raise ContractError(
            "--pool-tokens is for multi-vector models, and none is named; leave it out"
        )
    rows: dict[str, Encoder[Any]] = {}
    for name, encoder in encoders.items():
        for factor in pools if name in merged else (1,):
            rows[name if factor == 1 else f"{name} pooled {factor}"] = (
                encoder if factor == 1 else PooledTokens(encoder, factor)
            )
    return rows


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _numbers(text: str, option: str) -> tuple[int, ...]:
    wrong = [item for item in _items(text) if not item.isdecimal()]
    if wrong:
        raise InputError(
            f"{option} has {wrong[0]!r}; wanted whole numbers with commas between, as 4,2,1"
        )
    return tuple(map(int, _items(text)))


def _asked(
    data: Collection, split: str | None, on: str, folder: Path | None, models: Sequence[str]
) -> Split:
    """The split; raises InputError where the run files that are asked for cannot hold one of its
    ids, before anything is encoded.
    """
    from nearfield.evaluate.judged_split import judged_split
    from nearfield.evaluate.trec import check_expressible

    asked = judged_split(data, split, on, models=models)
    if folder is not None:
        judged = (document for documents in asked.relevance.values() for document in documents)
        check_expressible(asked.query_ids, [*asked.collection.document_ids, *judged], folder)
    return asked


def _export(
    folder: Path,
    comparison: Comparison,
    systems: list[System],
    relevance: dict[str, dict[str, int]],
) -> None:
    from nearfield.evaluate.trec import write_qrels, write_run
    from nearfield.store.atomic import staged_folder, write_json

    with staged_folder(folder) as stage:
        write_json(stage / "comparison.json", comparison)
        if systems:
            write_qrels(relevance, stage / "qrels.txt")
        for system in systems:
            tag = re.sub(r"[^\w.+-]+", "-", system.name).strip("-")
            write_run(system.ranking, stage / f"{tag}.run", tag=tag)


def _show(comparison: Comparison, folder: Path | None, *, named: Sequence[str]) -> None:
    from nearfield.evaluate.measures import measure_name
    from nearfield.report.table import comparison_table, pairs_table
    from nearfield.types.numbers import estimated

    out.print(comparison_table(comparison, named=[measure_name(name) for name in named]))
    alike = tuple(pair for pair in comparison.pairs if pair.p_holm >= 0.05)
    if alike:
        out.print(
            "\nNot told apart, and the queries that would show the difference four times in five:"
        )
        out.print(pairs_table(replace(comparison, pairs=alike[:SHOWN_PAIRS])))
    if len(alike) > SHOWN_PAIRS:
        out.print(
            f"and {len(alike) - SHOWN_PAIRS} pairs more (--json shows all)",
            style="dim",
            highlight=False,
        )
    best = comparison.rows[0]
    seen = (
        f", trained on {best.trained_on:,} of the {len(comparison.query_ids):,} queries"
        if best.trained_on
        else ""
    )
    out.print(
        f"\nBest: {best.name}, {comparison.measure} {estimated(best.estimate)}{seen}",
        markup=False,
        highlight=False,
    )
    if folder is not None:
        err.print(f"written: {folder}", markup=False, highlight=False)
