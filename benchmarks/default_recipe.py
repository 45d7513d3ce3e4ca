"""The default recipe on data sets of different size and kind, each against its base.

    python benchmarks/default_recipe.py ../shared/data [--model minilm-l3] [--only NAME ...]
        [--folder RUNS] [--save] [--json]

Each set is tuned by `nearfield.tune` without a recipe and with the built-in guard, and measured on
its test split as any run is. What is no collection is made pairs of: an intent's text and name, an
emoji's tags and label, the two sentences of a paraphrase.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from results import circumstances, parsed, save

from nearfield.train.runs.tune import tune

Rows = Iterator[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="minilm-l3")
    parser.add_argument("--only", action="append", choices=SETS)
    parser.add_argument("--folder", type=Path, default=Path("runs/default"))
    arguments = parsed(parser)
    facts = circumstances() | {"model": Path(arguments.model).name, "sets": {}}
    for name in arguments.only or SETS:
        facts["sets"][name] = row = measured(name, arguments)
        if not arguments.json:
            print(f"{name:12}", "  ".join(f"{key} {value}" for key, value in row.items()))
    if arguments.save:
        print(save("default-recipe", facts))
    if arguments.json:
        print(json.dumps(facts, indent=1))


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The verdict on one set."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data: Path | str = name
    if SETS[name] is not None:
        data = arguments.folder / f"{name}.jsonl"
        if not data.exists():
            rows = SETS[name](arguments.data)
            lines = (json.dumps({"query": query, "positive": text}) for query, text in rows)
            data.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    elif name != "stdlib":
        data = arguments.data / name
    started = time.perf_counter()
    # a published split may hold a query twice; the run leaves it out of train
    allowed = ("leaked-queries",)
    verdict = tune(arguments.model, data, to=arguments.folder / name, allow=allowed)
    found = verdict.difference
    guards = [f"{lost.guard} {lost.after - lost.before:+.3f}" for lost in verdict.forgotten]
    return {
        "before": round(verdict.baseline.mean, 3),
        "after": round(verdict.tuned.mean, 3),
        "difference": f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]",
        "outcome": verdict.outcome,
        "queries": verdict.queries,
        "guards": ", ".join(guards),
        "seconds": round(time.perf_counter() - started),
    }


def read(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        yield from map(json.loads, file)


def intents(data: Path) -> Rows:
    for row in read(data / "banking77" / "train.jsonl"):
        yield row["text"], row["label"].replace("_", " ")


def emoji(data: Path) -> Rows:
    for row in read(data / "emoji" / "captions.jsonl"):
        if row["tags"]:
            yield ", ".join(row["tags"]), row["label"]


def paraphrases(data: Path) -> Rows:
    for part in ("train", "val", "test"):
        for row in read(data / "mrpc" / f"{part}.jsonl"):
            if row["label"] == 1:
                yield row["sentence1"], row["sentence2"]


def translations(data: Path) -> Rows:
    for row in read(data / "tatoeba" / "deu-eng.jsonl"):
        yield tuple(row.values())[:2]


def few_answers(data: Path) -> Rows:
    for number, row in enumerate(read(data / "medquad" / "pairs.jsonl")):
        if number % 50 == 0:
            yield tuple(row.values())[:2]


SETS: dict[str, Callable[[Path], Rows] | None] = {
    "few-answers": few_answers,
    "wikiqa": None,
    "scifact": None,
    "translations": translations,
    "emoji": emoji,
    "stdlib": None,
    "paraphrases": paraphrases,
    "intents": intents,
}


if __name__ == "__main__":
    main()
