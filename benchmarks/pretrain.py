"""What reading a corpus is worth, before any tuning and after it: each pre-training objective on a
part of a collection's documents, measured beside the base on the collection's test queries.

    python benchmarks/pretrain.py minilm-l3 ../shared/data/scifact --to runs/pretrain

With --tune the base and each model are then tuned by the default recipe, and compared before and
after that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nearfield as nf
from nearfield.data.doctor.subject import sample
from nearfield.data.open import open_collection
from nearfield.report.facts import read_run
from nearfield.statistics.bootstrap import mean_interval
from nearfield.train.recipe import Recipe
from nearfield.train.runs.pretrain import pretrain
from nearfield.train.runs.tune import tune
from nearfield.types.numbers import changed, estimated


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
    if not asked.tune:
        print(nf.compare(models, collection.split("test")))
        return
    runs = []
    for name, model in zip(["base", *asked.objectives.split(",")], models, strict=True):
        runs.append(asked.to / f"tuned-{name}")
        print(tune(model, asked.data, to=runs[-1]), flush=True)
    show(runs)


def show(runs: list[Path]) -> None:
    """Each run's model before and after its tune, with the difference to those of the first run,
    query by query.
    """
    found = [read_run(run) for run in runs]
    for when, which in (("untuned", "baseline"), ("tuned", "tuned")):
        values = [values_of(facts, getattr(facts.verdict, which).name) for facts in found]
        for run, own in zip(runs, values, strict=True):
            mean = estimated(mean_interval(own, bounds=(0.0, 1.0)))
            away = changed(mean_interval(own - values[0]))
            print(f"{run.name.removeprefix('tuned-'):10} {when:8} {mean}  {away}")


def values_of(facts: Any, model: str) -> npt.NDArray[np.float64]:
    """The measure of each test query by the model of this name."""
    (row,) = [row for row in facts.comparison.rows if row.name == model]
    return np.array(row.per_query)


if __name__ == "__main__":
    main()
