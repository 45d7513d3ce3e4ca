"""What the package computes on tiny seeded models, recorded before a rebuild and compared after it,
bit for bit.

    python tests/goldens.py record FILE      write the values of this tree
    python tests/goldens.py check FILE       compute them again; exit 1 and name each that differs

A value is a digest of the exact bytes with a few numbers to read. They hold on one machine only:
another processor adds in another order. So this is a tool for refactoring and no test.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from decoders import decoder_model
from late_models import tiny_late
from nearfield.encoders.load import load
from nearfield.encoders.reranker import Reranker
from nearfield.evaluate.systems import bm25_system, fused_system, model_systems
from nearfield.indexes import INDEXES
from nearfield.models.vector_map import VectorMap
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.retrieve import retrieve
from nearfield.similarity.dense import Dense
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.fits.adapter import AdapterRecipe
from nearfield.train.fits.bridge import BridgeRecipe, fit_bridge
from nearfield.train.recipe import Recipe, default_recipe
from nearfield.train.runs.adapt import adapt
from nearfield.train.runs.reranker import tune_reranker
from nearfield.train.runs.static import DistilRecipe, distil
from nearfield.train.runs.tune import tune
from sparse_models import tiny_splade
from static_models import model2vec_folder
from three_head_models import tiny_three_heads
from tiny import CONFIGS, tiny_model
from tiny_cross import pair_tokenizer, tiny_cross
from tiny_data import tiny_collection

TEXTS = [
    "",
    "a cat",
    "the dog, the sun and the rain",
    "how to sort a list of numbers in a file " * 4,
    "Ünïcode tree: 樹",
]
SCHEDULE = {
    "epochs": 1,
    "batch": 16,
    "rate": 1e-3,
    "evaluations": 2,
    "precision": "float32",
    "max_tokens": 48,
}


def main(action: str, file: str) -> int:
    """Record or check; the exit status."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dict(values(Path(folder)))
    if action == "record":
        Path(file).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{len(found)} values in {file}")
        return 0
    wanted = json.loads(Path(file).read_text(encoding="utf-8"))
    differing = [name for name in sorted(wanted | found) if wanted.get(name) != found.get(name)]
    for name in differing:
        print(f"{name}\n  was {wanted.get(name)}\n  is  {found.get(name)}")
    print(f"{len(wanted) - len(differing)} of {len(wanted)} values are equal")
    return 1 if differing else 0


def values(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every value by its name."""
    makers = models()
    for name, make in makers.items():
        make(folder / name)
        for runtime in ("native", "torch"):
            yield from vectors(folder / name, f"vectors {name} {runtime}", runtime)
    for name in ("bert", "splade", "late", "three", "static"):
        yield from rankings(folder / name, f"ranking {name}")
    for name in ("bert", "modernbert", "splade", "late", "three", "static"):
        # tuned models are called MODEL-COLLECTION, and splade-tiny is one of the catalog
        model = shutil.copytree(folder / name, folder / f"{name}-model")
        yield from tuned(model, folder / f"run-{name}", f"tune {name}")
    yield from trained_otherwise(folder)


def models() -> dict[str, Callable[[Path], Path]]:
    """What makes each model, by its name."""
    made: dict[str, Callable[[Path], Path]] = {}
    for kind in CONFIGS:
        made[kind] = lambda path, kind=kind: tiny_model(path, kind=kind)
    for pooling in ("cls", "max", "weightedmean"):
        made[f"bert-{pooling}"] = lambda path, pooling=pooling: tiny_model(path, pooling=pooling)
    made["splade"] = tiny_splade
    made["late"] = tiny_late
    made["three"] = lambda path: tiny_three_heads(path, dim=8)
    made["static"] = model2vec_folder
    made["qwen3"] = lambda path: decoder_model(path, "qwen3")
    return made


def vectors(model: Path, name: str, runtime: str) -> Iterator[tuple[str, Any]]:
    """The vectors of TEXTS in both roles, and of the documents at each storage type of
    their kind.
    """
    try:
        encoder = load(model, runtime=runtime)
    except Exception as error:  # which runtime runs which model is a value, too
        yield name, type(error).__name__
        return
    for role in ("query", "document"):
        made = encoder.encode(TEXTS, role)
        yield f"{name} {role}", digest(made.arrays())
    for storage in ("float16", "int8", "binary"):
        try:
            yield f"{name} {storage}", digest(made.quantise(storage).arrays())
        except Exception as error:
            yield f"{name} {storage}", type(error).__name__


def rankings(model: Path, name: str) -> Iterator[tuple[str, Any]]:
    """What each index finds for the queries of the tiny collection's test split."""
    collection = tiny_collection()
    split = collection.split("test")
    encoder = load(model)
    lexical = bm25_system(split)
    systems = [lexical, *model_systems(encoder, split, name="model")]
    systems.append(fused_system(systems[0], systems[1]))
    for system in systems:
        yield f"{name} {system.name}", ranking_digest(system.ranking)
    documents = encoder.encode(collection.document_texts, "document")
    if not isinstance(documents, Dense):
        return
    query = encoder.encode(split.query_texts, "query")
    for kind in ("funnel", "binary"):
        index = INDEXES[kind].of(documents)
        found = retrieve(query, index, Queries.of(split), collection.document_ids, k=10)
        yield f"{name} {kind}", ranking_digest(found)


def tuned(model: Path, run: Path, name: str) -> Iterator[tuple[str, Any]]:
    """The loss curve, the verdict and the vectors of a whole tuning run."""
    kind = load(model).contract.kind
    facts = {"schedule": SCHEDULE, "pool": 60, "merge": {"ratios": [0.5, 1.0]}}
    recipe = Recipe.of(facts, start=default_recipe(kind))
    verdict = tune(str(model), tiny_collection(), to=run, recipe=recipe, guards=())
    yield f"{name} losses", losses(run)
    yield (
        f"{name} verdict",
        [verdict.outcome, verdict.difference.mean, verdict.difference.low, verdict.p],
    )
    yield f"{name} vectors", digest(load(run / "model").encode(TEXTS, "document").arrays())


def trained_otherwise(folder: Path) -> Iterator[tuple[str, Any]]:
    """Cross-encoders, adapters, bridges and static models by distillation."""
    pair_tokenizer().save(str(folder / "bert" / "tokenizer.json"))
    cross = tiny_cross(folder / "cross", max_tokens=96)
    pairs = (np.arange(5), np.arange(5))
    collection = tiny_collection()
    texts = (collection.query_texts, collection.document_texts)
    yield "cross-encoder scores", numbers(Reranker.open(cross).score_at(*texts, pairs))
    recipe = Recipe.of({"schedule": {**SCHEDULE, "max_tokens": 64}})
    bert, run = str(folder / "bert"), folder / "reranker"
    verdict = tune_reranker(bert, collection, to=run, recipe=recipe, guards=())
    yield "reranker losses", losses(run)
    yield "reranker verdict", [verdict.outcome, verdict.difference.mean, verdict.p]
    frozen = FrozenVectors.of(load(folder / "bert"), collection)
    rule = AdapterRecipe(kind="linear", epochs=3, batch=32, rate=1e-2)
    adapt(bert, collection, to=folder / "adapted", recipe=rule, guards=())
    share = json.loads((folder / "adapted/adapter/adapter.json").read_text())["share"]
    adapted = VectorMap.open(folder / "adapted/adapter/map")
    yield "adapt", [share, numbers(adapted.apply_to(frozen.queries.floats()))]
    other = load(folder / "roberta").encode(collection.document_texts, "document")
    fit = fit_bridge(frozen.documents.floats(), other.floats(), BridgeRecipe(width=8, epochs=2))
    bridge = fit.at(max((0.0, 1.0), key=fit.closeness))
    yield "bridge", numbers(bridge.apply_to(frozen.documents.floats()))
    distil(folder / "bert", to=folder / "distilled", recipe=DistilRecipe(dim=8))
    yield "distil", digest(load(folder / "distilled" / "model").encode(TEXTS, "document").arrays())


def losses(run: Path) -> list[Any]:
    """The loss of each step and the measure of each evaluation, as the run wrote them."""
    lines = (run / "training.jsonl").read_text(encoding="utf-8").splitlines()
    return [row.get("loss", row.get("dev")) for row in map(json.loads, lines)]


def ranking_digest(ranking: Any) -> Any:
    """Positions and scores of a ranking."""
    return digest({"documents": ranking.documents, "scores": ranking.scores})


def digest(arrays: dict[str, Any]) -> dict[str, Any]:
    """Each array by its name."""
    return {name: numbers(array) for name, array in sorted(arrays.items())}


def numbers(array: Any) -> list[Any]:
    """Type, shape, digest and the first values of an array."""
    array = np.ascontiguousarray(array)
    exact = hashlib.sha256(array.tobytes()).hexdigest()[:16]
    return [
        str(array.dtype),
        list(array.shape),
        exact,
        array.reshape(-1)[:4].astype(float).tolist(),
    ]


if __name__ == "__main__":
    torch.set_num_threads(2)
    os.environ["NEARFIELD_CACHE_GB"] = "0"  # each value is computed, not one of before
    if len(sys.argv) != 3 or sys.argv[1] not in ("record", "check"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
