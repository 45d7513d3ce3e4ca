"""What a new head on a dense model's backbone finds once it is trained, and what it costs, beside
the dense model and BM25.

    python benchmarks/scifact_heads.py [minilm] [--head splade] [--inference-free] [--on scifact]
        [--pairs 1000] [--epochs 2] [--save]

The head begins as `nearfield models head MODEL HEAD` makes it and is trained by the trainer of
`nearfield tune`: first on `--pairs` titles and abstracts of machine-learning papers (one epoch,
in-batch negatives), where that data is there, then on the train split of `--on` for `--epochs`,
with a BM25 negative each. Nothing is chosen on any split: the weights after the last step are what
is measured on the test split, once, with paired intervals. A query's time is the median of encoding
one alone, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import circumstances, save
from texts import SCIFACT
from three_heads import TITLES, judged, titles, trained

from nearfield import load, open_collection
from nearfield.data.collection import Collection
from nearfield.encoders.text import TextEncoder
from nearfield.evaluate.compare import compare
from nearfield.evaluate.encode_pass import seconds_each
from nearfield.evaluate.systems import bm25_system, model_systems
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.runtimes.options import OpenOptions
from nearfield.train.recipe import Recipe, default_recipe


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    result: dict[str, Any] = circumstances() | {"model": arguments.model, "head": arguments.head}
    folder = Path(arguments.to or tempfile.mkdtemp())
    collection = open_collection(arguments.on)
    options = (
        HeadOptions(inference_free=True, texts=collection.document_texts)
        if arguments.inference_free
        else HeadOptions()
    )
    kind = new_head(
        arguments.model, arguments.head, to=folder / "new", options=options
    ).contract.kind
    result |= train(folder, collection, default_recipe(kind), arguments)
    result |= measure(folder, collection, arguments)
    if arguments.save:
        free = "-inference-free" if arguments.inference_free else ""
        print(
            save(f"{collection.name}-{arguments.head}{free}-{Path(arguments.model).name}", result)
        )
    print(json.dumps(result, indent=1, default=asdict) if arguments.json else _shown(result))


def train(
    folder: Path, collection: Collection, base: Recipe, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Train the new head and its backbone, write them to `folder / "trained"`; what was trained,
    and how.
    """
    model, stages = TextModel.open(folder / "new"), []
    encoder = TextEncoder.open(folder / "new", OpenOptions(runtime="torch", device="cpu"))
    schedule = {
        "batch": arguments.batch,
        "rate": arguments.rate,
        "max_tokens": arguments.max_tokens,
        "precision": "float32",
    }
    facts: dict[str, Any] = {
        "objective": {"temperature": arguments.temperature},
        "sparsity": asdict(base.sparsity),
    }
    if arguments.pairs and TITLES.is_file():
        recipe = Recipe.of(facts | {"schedule": schedule | {"epochs": 1.0}})
        stages.append(
            {"on": TITLES.parent.name}
            | trained(model, titles(encoder, arguments.pairs, recipe), recipe)
        )
    recipe = Recipe.of(facts | {"schedule": schedule | {"epochs": arguments.epochs}})
    stages.append(
        {"on": collection.name} | trained(model, judged(encoder, collection, recipe), recipe)
    )
    save_encoder(model, folder / "trained", name=f"{arguments.model} {arguments.head}")
    return {"stages": stages, "settings": schedule | facts}


def measure(folder: Path, collection: Collection, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures on the test split: of the trained head, with --before of the new one too, of the
    dense model and of BM25.
    """
    split, name = collection.split("test"), f"{Path(arguments.model).name} {arguments.head}"
    places = {name: folder / "trained", Path(arguments.model).name: model_path(arguments.model)}
    places |= {f"{name} before": folder / "new"} if arguments.before else {}
    systems, queries = [bm25_system(split)], {}
    for called, place in places.items():
        encoder = load(place)
        systems += model_systems(encoder, split, name=called)
        alone = seconds_each(
            lambda row, encoder=encoder: encoder.encode(split.query_texts[row : row + 1], "query"),
            len(split.query_ids),
        )
        queries[called] = {
            "runtime": encoder.runtime.name,
            "encode_ms": round(1000 * float(np.median(alone)), 3),
        }
        if encoder.contract.kind == "sparse":
            queries[called]["active_terms"] = round(
                float(encoder.encode(split.query_texts, "query").active.mean()), 1
            )
    comparison = compare(systems, split)
    rows = [
        {
            "system": row.name,
            "mean": row.estimate,
            "bytes_per_document": round(row.bytes_per_document),
            "query": queries.get(row.name),
        }
        for row in comparison.rows
    ]
    differences = [
        {"a": pair.a, "b": pair.b, "difference": pair.difference, "p": pair.p}
        for pair in comparison.pairs
        if name in (pair.a, pair.b)
    ]
    facts = {
        "measure": comparison.measure,
        "queries": len(split.query_ids),
        "documents": comparison.documents,
        "notes": comparison.notes,
    }
    return facts | {"rows": rows, "differences": differences}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="minilm")
    parser.add_argument("--head", default="splade", help="splade or late-interaction")
    parser.add_argument(
        "--inference-free",
        action="store_true",
        help="splade: queries are looked up; they begin with the collection's IDF",
    )
    parser.add_argument("--on", default=str(SCIFACT))
    parser.add_argument(
        "--pairs", type=int, default=1000, help="titles and abstracts trained on first; 0 for none"
    )
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        help="what scores, which are sums here, are divided by",
    )
    parser.add_argument("--max-tokens", type=int, default=128, help="of a text in training")
    parser.add_argument("--before", action="store_true", help="measure the head as it begins, too")
    parser.add_argument("--to", help="where the models are written; a temporary folder by default")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _shown(result: dict[str, Any]) -> str:
    lines = []
    for row in result["rows"]:
        mean, query = row["mean"], row["query"] or {}
        asked = f"  query {query['encode_ms']:.2f} ms on {query['runtime']}" if query else ""
        active = f", {query['active_terms']:.0f} terms" if "active_terms" in query else ""
        interval = f"{mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
        lines.append(
            f"{row['system']:28} {interval}  {row['bytes_per_document']:,} "
            f"bytes/document{asked}{active}"
        )
    for pair in result["differences"]:
        found = pair["difference"]
        lines.append(
            f"{pair['a']} minus {pair['b']}: {found.mean:+.4f} [{found.low:+.4f}, "
            f"{found.high:+.4f}], p = {pair['p']:.3f}"
        )
    return "\n".join([*lines, *result["notes"]])


if __name__ == "__main__":
    main()
