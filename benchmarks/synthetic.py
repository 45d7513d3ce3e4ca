"""What written queries are worth where nobody has judged any: a collection without its train
queries, queries that each writer writes, and a tune on those alone, measured on the real queries
of the test split.

    python benchmarks/synthetic.py ../shared/data/scifact [--model minilm-l3] [--documents 1500]
        [--writers templates,smollm2-135m] [--gates] [--folder runs/synthetic] [--save] [--json]

With --gates the first writer's queries are learned from without each gate in turn, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from results import circumstances, parsed, save

from nearfield.data.export import write_beir
from nearfield.data.open import open_collection
from nearfield.train.runs.tune import tune, tuning_recipe
from nearfield.train.synthesis.gates import GATES
from nearfield.train.synthesis.synthesise import Selection, synthesise
from nearfield.train.synthesis.writer import Order
from nearfield.types.numbers import changed, estimated

RECIPE = Path(__file__).parents[1] / "recipes" / "no-labels.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="minilm-l3")
    parser.add_argument("--writers", default="templates,smollm2-135m")
    parser.add_argument("--documents", type=int, default=0, help="written for; 0 for all")
    parser.add_argument("--per-document", type=int, default=1)
    parser.add_argument("--gates", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs/synthetic"))
    asked = parsed(parser)
    facts = circumstances() | {"model": Path(asked.model).name, "rows": {}}
    bare = asked.folder / "test-alone"
    if not bare.exists():
        asked.folder.mkdir(parents=True, exist_ok=True)
        write_test_alone(asked.data, bare)
    writers = asked.writers.split(",")
    rows = [(writer, ()) for writer in writers]
    if asked.gates:
        # like-real compares with real queries, of which there are none
        rows += [(writers[0], (gate,)) for gate in GATES if gate != "like-real"]
    for writer, without in rows:
        name = "-".join([Path(writer).name, *without])
        facts["rows"][name] = row = measured(asked, bare, writer, without)
        print(f"{name}: {json.dumps(row)}", flush=True)
    if asked.save:
        print(save("synthetic", facts))
    if asked.json:
        print(json.dumps(facts, indent=1))


def write_test_alone(data: str, to: Path) -> None:
    """The collection with its test queries alone, as a BEIR folder."""
    whole = open_collection(data)
    judged = whole.judgements.filter(pc.equal(whole.judgements["split"], "test"))
    asked = whole.queries.filter(pc.is_in(whole.queries["id"], judged["query"].combine_chunks()))
    write_beir(dataclasses.replace(whole, queries=asked, judgements=judged), to)


def measured(
    asked: argparse.Namespace, bare: Path, writer: str, without: tuple[str, ...]
) -> dict[str, Any]:
    """What was written and kept, and the verdict on the model that learned from it."""
    name = "-".join([Path(writer).name, *without])
    data = asked.folder / name
    row: dict[str, Any] = {}
    if not data.exists():
        started = time.perf_counter()
        selection = Selection(documents=asked.documents, without=without)
        order = Order(per_document=asked.per_document)
        made = synthesise(bare, data, writer=writer, order=order, selection=selection)
        row = {"documents": made.documents, "written": made.written, "kept": made.kept}
        row["gates"] = {each.gate: f"{each.kept} of {each.came}" for each in made.gates}
        row["seconds to write"] = round(time.perf_counter() - started)
    recipe = tuning_recipe(asked.model, RECIPE)
    verdict = tune(asked.model, data, to=asked.folder / f"run-{name}", recipe=recipe)
    row |= {"base": estimated(verdict.baseline), "tuned": estimated(verdict.tuned)}
    row |= {"difference": changed(verdict.difference), "outcome": verdict.outcome}
    return row


if __name__ == "__main__":
    main()
