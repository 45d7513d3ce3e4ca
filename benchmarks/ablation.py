"""What each part of the default recipe is worth: each row adds one part to the row above, and is
measured on the test split beside it and beside the base.

    python benchmarks/ablation.py ../shared/data/scifact [--model minilm-l3] [--teacher gte-small]
        [--folder runs/ablation] [--save] [--json]

A row that was finished before is read from its run folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from results import circumstances, parsed, save

from nearfield import compare, open_collection
from nearfield.evaluate.task import Options
from nearfield.statistics.differences import mean_difference
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.types.numbers import changed, p_value

# what each row changes; the refresh, which begins each stage anew, is left again by the next row
ROWS: dict[str, dict[str, Any]] = {
    "in-batch negatives alone": {"negatives": {"per_query": 0}, "merge": {"ratios": [1.0]}},
    "+ BM25's negatives": {"negatives": {"per_query": 1, "sources": ["bm25"]}},
    "+ the model's own": {"negatives": {"sources": ["bm25", "model"]}},
    "+ filter (margin .95)": {"negatives": {"margin": 0.95}},
    "+ refresh (mined again for the second epoch)": {
        "stages": [{"schedule": {"epochs": 1.0}}, {"schedule": {"epochs": 1.0}}]
    },
    "+ teacher, mined once": {
        "stages": [],
        "negatives": {"per_query": 4},
        "distil": {"temperature": 0.05},
    },
    "+ Matryoshka dims": {"objective": {"dims": [384, 256, 128, 64]}},
    "+ merge": {"merge": {"ratios": [0.4, 0.6, 0.8, 1.0]}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="minilm-l3")
    parser.add_argument("--teacher", default="gte-small")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    asked = parsed(parser)
    facts = circumstances()
    facts |= {"model": Path(asked.model).name, "teacher": Path(asked.teacher).name, "rows": {}}
    base = above = values(asked.model, asked.data)
    print(f"the base: {base.mean():.4f}")
    for name, model in tuned(asked):
        own = values(model, asked.data)
        facts["rows"][name] = row = {
            "mean": round(float(own.mean()), 4),
            "over the row above": told(own - above),
            "over the base": told(own - base),
        }
        print(f"{name}: {row}", flush=True)
        above = own
    if asked.save:
        print(save("ablation", facts))
    if asked.json:
        print(json.dumps(facts, indent=1))


def values(model: str, data: str) -> Any:
    """nDCG@10 of each test query: (n,)."""
    split = open_collection(data).split("test")
    return np.array(compare([model], split, options=Options(bm25=False)).rows[0].per_query)


def told(differences: Any) -> str:
    """Their mean with its interval, and p, which is not corrected for the number of rows."""
    estimate, p = mean_difference(differences)
    return f"{changed(estimate)}, {p_value(p)}"


def tuned(asked: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Each row and its model's folder, which is made where it is not there."""
    facts: dict[str, Any] = {}
    for number, (name, part) in enumerate(ROWS.items()):
        for table, keys in part.items():
            facts[table] = keys if table == "stages" else facts.get(table, {}) | keys
        if "distil" in part:
            facts["distil"]["teacher"] = asked.teacher
        to = asked.folder / str(number)
        tune(asked.model, asked.data, to=to, recipe=Recipe.of(facts), guards=())
        yield name, str(to / "model")


if __name__ == "__main__":
    main()
