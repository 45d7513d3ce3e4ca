"""Published scores beside measured ones: each model on each set that has a published figure.

    python benchmarks/published.py minilm bge-small --sets stsb,banking77,scifact

prints the table of docs/guides/tasks.md, with a 95 % interval of each measured value. A model may
be a spec, such as mpnet@bfloat16. Published are the main scores of `../shared/data/mteb_published`.
With --tatoeba it prints instead the bitext F1 of each language's file, and the test of the first
model against each other one.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.catalog.card import card
from nearfield.encoders.spec import ModelSpec
from nearfield.evaluate.compare import compare
from nearfield.evaluate.task import DEFAULT, Options
from nearfield.types.numbers import changed, estimated, p_value, score

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
GAP = 0.01  # one that is larger is marked
# the package at hand does not say which version it holds; STSBenchmark's .864 is the first's
WEIGHTS = {"e5-small": "intfloat/e5-small"}


@dataclass(frozen=True)
class Published:
    """A set at hand: where it lies, the task and measure, and what MTEB calls it."""

    place: str
    task: str
    measure: str
    name: str
    options: Options = DEFAULT


SETS = {
    "stsb": Published("stsb/test.jsonl", "similarity", "spearman", "STSBenchmark"),
    "banking77": Published("banking77", "classification", "accuracy", "Banking77Classification"),
    "scifact": Published("scifact", "retrieval", "nDCG@10", "SciFact", Options(bm25=False)),
}


def published_scores(data: Path) -> dict[tuple[str, str], float]:
    """The published main score by the model's name on the hub and the task's in MTEB."""
    with gzip.open(data / "mteb_published" / "all_main_scores.csv.gz", "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    return {(row["model"], row["task"]): float(row["mean_main_score"]) for row in rows}


def table(models: Sequence[str], sets: Sequence[str], data: Path) -> Iterator[str]:
    """The rows of the table as they are measured."""
    known = published_scores(data)
    yield "| model | set | measure | published | measured | gap |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name in sets:
        each = SETS[name]
        for model in models:
            own = ModelSpec.parse(model).name
            stated = known.get((WEIGHTS.get(own) or card(own).hub or "", each.name))
            if stated is None:
                continue
            found = compare(
                [model],
                str(data / each.place),
                task=each.task,
                measure=each.measure,
                measures=[each.measure],
                options=each.options,
            ).rows[0]
            gap = found.estimate.mean - stated
            mark = " *" if abs(gap) > GAP else ""
            cells = (model, each.name, each.measure, score(stated), estimated(found.estimate))
            yield f"| {' | '.join(cells)} | {gap:+.4f}{mark} |"


def bitext(models: Sequence[str], data: Path) -> Iterator[str]:
    """F1 of each language's sentences and their English ones, and which of two models is ahead."""
    yield f"| languages | {' | '.join(models)} | ahead |"
    yield "| --- |" + " --- |" * (len(models) + 1)
    for file in sorted((data / "tatoeba").glob("*.jsonl")):
        found = compare(models, str(file), task="bitext", measures=["F1"])
        rows = {row.model: estimated(row.estimate) for row in found.rows}
        ahead = "; ".join(
            f"{pair.a} by {changed(pair.difference)}, Holm {p_value(pair.p_holm)}"
            for pair in found.pairs
            if models[0] in (pair.a, pair.b)
        )
        yield f"| {file.stem} | {' | '.join(rows[model] for model in models)} | {ahead} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--tatoeba", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args()
    lines = table(asked.models, asked.sets.split(","), asked.data)
    if asked.tatoeba:
        lines = bitext(asked.models, asked.data)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
