"""What reading a corpus is worth, before any tuning and after it: each pre-training objective on a
part of a collection's documents, measured beside the base on the collection's test queries.

    python benchmarks/pretrain.py minilm-l3 ../shared/data/scifact --to runs/pretrain

With --tune the base and each model are then tuned by the default recipe, and measured as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nearfield as nf
from nearfield.data.doctor.subject import sample
from nearfield.data.open import open_collection
from nearfield.train.recipe import Recipe
from nearfield.train.runs.pretrain import pretrain
from nearfield.train.runs.tune import tune


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--objectives", default="simcse,tsdae,retromae")
    parser.add_argument("--texts", type=int, default=1500, help="documents that are read")
    parser.add_argument("--rate", type=float, default=3e-5)
    parser.add_argument("--tune", action="store_true")
    asked = parser.parse_args()
    collection = open_collection(asked.data)
    documents = collection.document_texts
    texts = list(documents[sample(len(documents), asked.texts)])
    schedule = {"epochs": 1, "batch": 32, "rate": asked.rate, "max_tokens": 96, "evaluations": 1}
    made = [
        pretrain(
            asked.model,
            texts,
            objective=objective,
            to=asked.to / objective,
            recipe=Recipe.of({"schedule": schedule}),
        )
        for objective in asked.objectives.split(",")
    ]
    models = [asked.model, *map(str, made)]
    if asked.tune:
        names = ["base", *asked.objectives.split(",")]
        for name, model in zip(names, tuple(models), strict=True):
            to = asked.to / f"tuned-{name}"
            print(tune(model, asked.data, to=to), flush=True)
            models.append(str(to / "model"))
    print(nf.compare(models, collection.split("test")))


if __name__ == "__main__":
    main()
