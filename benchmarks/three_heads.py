"""Three heads on one backbone: what a pass of all three costs beside the dense one's, and what each
of them and their fused score find.

    python benchmarks/three_heads.py [minilm] [--what speed,quality] [--on scifact] [--pairs 4000]
        [--epochs 4]
                                     [--trained FOLDER] [--save] [--json]

`speed`: the model with three new heads and the model alone encode the same paragraphs in turn, on
the native runtime and on torch, float32; a ratio is the dense pass's seconds over the other's in
the same round. Training changes no speed, so the heads are new ones.

`quality`: the heads begin as `nearfield models head MODEL three` makes them and are trained by the
trainer of `nearfield tune`: first on `--pairs` titles and abstracts of machine-learning papers (one
epoch, in-batch negatives), where that data is there, then on the train split of `--on` for
`--epochs`, with a BM25 negative each. Dev, cut from train where there is none, chooses what each
head's score counts for in the fused one, as in `nearfield tune`, and nothing else: the weights
after the last step are what is measured on the test split, once, beside the dense model, each other
and BM25, with paired intervals.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interleave import interleaved, ratios, timed
from results import circumstances, save
from texts import SCIFACT, timed_texts

from nearfield import load, open_collection, open_pairs
from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_all_splits
from nearfield.encoders.text import TextEncoder
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import bm25_system, model_systems
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.retrieval.bm25 import bm25
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.similarity.fused import Fused
from nearfield.train.data.mining import hard_negatives, training_pairs_of
from nearfield.train.data.pool import Pool, pooled_documents
from nearfield.train.data.prepare import relevance_by_position
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.loop import prepared_steps
from nearfield.train.engine.schedule import total_steps
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Negatives, Recipe
from nearfield.train.runs.fusion import Fusion, fit_fusion
from nearfield.types.comparison import Comparison
from nearfield.types.verdict import Estimate

TITLES = SCIFACT.parent / "paper_title_abstract" / "pairs.jsonl"
POOL = 1500  # documents that dev is searched in
FUSED = "three heads"  # what the comparison calls the model; its heads are called after it


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    result: dict[str, Any] = circumstances() | {"model": arguments.model}
    folder = Path(arguments.to or tempfile.mkdtemp())
    new_head(arguments.model, "three", to=folder / "new", options=HeadOptions(dim=arguments.dim))
    if arguments.trained:
        result["quality"] = measured(TextModel.open(arguments.trained), folder, arguments)
    elif "quality" in arguments.what:
        result["quality"] = quality(folder, arguments)
    if "speed" in arguments.what and not arguments.trained:
        result["speed"] = speed(arguments.model, folder / "new", arguments)
    if arguments.save:
        print(save(f"three-heads-{Path(arguments.model).name}", result))
    print(json.dumps(result, indent=1, default=asdict) if arguments.json else _shown(result))


def speed(model: str, new: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds and ratios of the passes, by runtime."""
    texts, origin = timed_texts(arguments.texts)
    found: dict[str, Any] = {
        "texts": len(texts["paragraphs"]),
        "from": origin,
        "rounds": arguments.rounds,
    }
    for runtime in ("native", "torch"):
        sides = {}
        for name, place in (("dense", model), ("three heads", new)):
            encoder = load(place, runtime=runtime, device="cpu")
            sides[name] = timed(
                lambda encoder=encoder: encoder.encode(texts["paragraphs"], "document")
            )
        for side in sides.values():
            side()  # what is done once is done now
        seconds = interleaved(sides, arguments.rounds)
        found[runtime] = {
            "seconds": seconds,
            "times_as_fast_as_dense": ratios(seconds, "dense")["three heads"],
        }
    return found


def quality(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The trained model's figures on the test split, and what was trained."""
    collection, notes = with_all_splits(open_collection(arguments.on), seed=0)
    model, stages = TextModel.open(folder / "new"), []
    encoder = TextEncoder.open(folder / "new", OpenOptions(runtime="torch", device="cpu"))
    common = {
        "batch": arguments.batch,
        "rate": arguments.rate,
        "max_tokens": arguments.max_tokens,
        "precision": "float32",
    }
    if arguments.pairs and TITLES.is_file():
        recipe = Recipe.of(
            {
                "schedule": common | {"epochs": 1.0},
                "objective": {"temperature": arguments.temperature},
            }
        )
        stages.append(
            {"on": "paper_title_abstract"}
            | trained(model, titles(encoder, arguments.pairs, recipe), recipe)
        )
    recipe = Recipe.of(
        {
            "schedule": common | {"epochs": arguments.epochs},
            "objective": {"temperature": arguments.temperature},
        }
    )
    stages.append(
        {"on": collection.name} | trained(model, judged(encoder, collection, recipe), recipe)
    )
    settings = common | {"temperature": arguments.temperature, "dim": arguments.dim}
    return {"stages": stages, "settings": settings, "splits": notes} | measured(
        model, folder, arguments
    )


def measured(model: TextModel, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What the model's heads and their fused score find on the test split, once dev has chosen what
    each head counts for.
    """
    collection, _ = with_all_splits(open_collection(arguments.on), seed=0)
    fusion = fused_on_dev(model, collection)
    model.contract = replace(model.contract, fusion=fusion.weights)
    save_encoder(model, folder / "fused", name=FUSED)
    split = collection.split("test")
    systems = [
        *model_systems(load(folder / "fused"), split, name=FUSED),
        bm25_system(split),
    ]
    systems += model_systems(
        load(model_path(arguments.model)),
        split,
        name=f"{Path(arguments.model).name} before",
    )
    comparison = compare(systems, split)
    rows = [
        {
            "system": row.name,
            "mean": row.estimate,
            "bytes_per_document": row.bytes_per_document,
            "query_ms": row.query_milliseconds,
        }
        for row in comparison.rows
    ]
    differences = [
        {"a": pair.a, "b": pair.b, "difference": pair.difference, "p": pair.p}
        for pair in comparison.pairs
        if FUSED in (pair.a, pair.b)
    ]
    facts = {
        "measure": comparison.measure,
        "queries": len(split.query_ids),
        "documents": comparison.documents,
        "notes": comparison.notes,
    }
    found = {
        "fusion": fusion,
        "fused_minus_best_head": fused_minus_best(comparison),
        "rows": rows,
        "differences": differences,
    }
    return facts | found


def fused_on_dev(model: TextModel, collection: Collection) -> Fusion:
    """The weights of the fused score that the dev queries like best, among their judged documents
    and those that BM25 takes for them.
    """
    split, ids, texts = collection.split("dev"), collection.document_ids, collection.document_texts
    judged = {at for row in relevance_by_position(collection, split) for at in row}
    near = bm25(texts).find(split.query_texts, 50).documents
    rows = [int(at) for at in pooled_documents(judged, [near], range(len(ids)), ids, POOL)]
    chosen = [ids[row] for row in rows], [texts[row] for row in rows]
    pool = Pool(split.query_ids, split.query_texts, *chosen, split.relevance, "nDCG@10")
    queries, documents = pool.embedded(TextEncoder(model.folder, TorchRuntime(model)))
    assert isinstance(queries, Fused)
    return fit_fusion(queries.parts, documents.by_part, queries.weights, pool)


def trained(model: TextModel, data: TrainingData, recipe: Recipe) -> dict[str, Any]:
    """Train `model` on all steps of the recipe; how many they were and the loss of the first and
    the last tenth of them.
    """
    steps = total_steps(data.pairs, recipe)
    trainer, losses = Trainer(model, recipe, steps), []
    with closing(prepared_steps(data, recipe, model, after=0)) as prepared:
        for number, step in enumerate(prepared, 1):
            losses.append(trainer.step(number, step))
    tenth = max(1, steps // 10)
    return {
        "pairs": len(data.pairs),
        "steps": steps,
        "loss": [round(float(np.mean(part)), 4) for part in (losses[:tenth], losses[-tenth:])],
    }


def titles(encoder: TextEncoder[Any], count: int, recipe: Recipe) -> TrainingData:
    """`count` titles, at equal steps through the data, each with its abstract."""
    pairs = open_pairs(TITLES)
    chosen = np.linspace(0, len(pairs.queries) - 1, min(count, len(pairs.queries))).astype(np.int64)
    texts = [[str(side[int(at)]) for at in chosen] for side in (pairs.queries, pairs.positives)]
    own = np.arange(len(chosen))
    return _data(
        encoder,
        texts[0],
        texts[1],
        TrainingPairs(own, own, np.empty((len(own), 0), np.int64)),
        [{int(at)} for at in own],
        recipe,
    )


def judged(encoder: TextEncoder[Any], collection: Collection, recipe: Recipe) -> TrainingData:
    """The train split's pairs, each with the best document by BM25 that no judgement of any split
    names for any query of it.
    """
    split, texts = collection.split("train"), collection.document_texts
    relevant = [dict(row) for row in relevance_by_position(collection, split)]
    query, positive = training_pairs_of(relevant)
    named = {
        at
        for name in collection.splits
        for row in relevance_by_position(collection, collection.split(name))
        for at in row
    }
    found = bm25(texts).find(split.query_texts, 30).documents
    near = np.zeros(found.shape, np.float32)  # none is refused for its similarity
    excluded = [named] * len(query)
    negatives = hard_negatives(
        {"bm25": found[query]},
        {"bm25": near[query]},
        np.zeros(len(query), np.float32),
        excluded,
        asked=Negatives(per_query=1, margin=1.0),
    )
    pairs = TrainingPairs(query, positive, negatives)
    return _data(encoder, split.query_texts, texts, pairs, [set(row) for row in relevant], recipe)


def _data(
    encoder: TextEncoder[Any],
    queries: Sequence[str],
    documents: Sequence[str],
    pairs: TrainingPairs,
    relevant: list[set[int]],
    recipe: Recipe,
) -> TrainingData:
    limit = recipe.schedule.max_tokens
    sources = [
        TokenSource(
            texts, lambda chosen, role=role: encoder.tokenise(chosen, role, max_tokens=limit)
        )
        for texts, role in ((queries, "query"), (documents, "document"))
    ]
    return TrainingData(sources[0], sources[1], pairs, np.arange(len(documents)), relevant)


def fused_minus_best(comparison: Comparison) -> dict[str, Any]:
    """The paired difference of the fused score and the best of the three heads."""
    best = next(row.name for row in comparison.rows if row.name.startswith(f"{FUSED} "))
    pair = next(pair for pair in comparison.pairs if {pair.a, pair.b} == {FUSED, best})
    sign = 1.0 if pair.a == FUSED else -1.0
    low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
    return {
        "best": best,
        "difference": replace(
            pair.difference, mean=sign * pair.difference.mean, low=low, high=high
        ),
        "p": pair.p,
    }


def _estimate(found: Estimate) -> str:
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _shown(result: dict[str, Any]) -> str:
    lines = []
    for runtime in ("native", "torch") if "speed" in result else ():
        found = result["speed"][runtime]["times_as_fast_as_dense"]
        cost = 1 / found["ratio"]
        lines.append(
            f"{runtime}: a pass of all three takes {cost:.3f} of the dense pass "
            f"[{1 / found['greatest']:.3f}, {1 / found['least']:.3f}]"
        )
    if "quality" in result:
        lines += [
            f"{row['system']:28} {_estimate(row['mean'])}" for row in result["quality"]["rows"]
        ]
        found = result["quality"]["fused_minus_best_head"]
        lines.append(
            f"fused minus {found['best']}: {_estimate(found['difference'])}, p = {found['p']:.3f}"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", default="minilm", help="a dense model: of the catalog or a folder"
    )
    parser.add_argument("--what", default="speed,quality", type=lambda words: words.split(","))
    parser.add_argument(
        "--on",
        default=str(SCIFACT),
        help="the collection whose train split is trained on and test split measured",
    )
    parser.add_argument(
        "--pairs", type=int, default=4000, help="titles with abstracts that are trained on first"
    )
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument(
        "--max-tokens", type=int, default=160, help="to which texts are cut in training"
    )
    parser.add_argument("--dim", type=int, default=None, help="dimensions of a token's vector")
    parser.add_argument("--texts", type=int, default=400, help="paragraphs that are timed")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--trained", metavar="FOLDER", help="train none; measure the FOLDER/fused of an earlier run"
    )
    parser.add_argument("--to", default=None, help="a folder that keeps the models")
    parser.add_argument("--save", action="store_true", help="keep the result in benchmarks/results")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
