"""A model of English taught to other languages by parallel sentences: does the student's vector of
a foreign sentence find the teacher's vector of the English one?

    python benchmarks/multilingual.py ../shared/data/tatoeba [--languages deu,spa,hin,cmn]
        [--student multilingual-e5-small] [--teacher minilm] [--folder runs/multilingual]
        [--moved] [--epochs 4] [--rate 5e-5] [--save] [--json]

The student is tuned by recipes/multilingual.toml. Every fifth English sentence, with all of its
translations, is for the test; every tenth of the rest is dev. A query is a foreign sentence of the
test, asked among the English ones of its own language's test.

A tune goes back to the student as it was where its own vectors find no more. With --moved all that
was learned is kept: a student that knows the languages only moves into the teacher's space.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from results import circumstances, parsed, save

import nearfield as nf
from nearfield.data.collection import Collection
from nearfield.statistics.bootstrap import mean_interval
from nearfield.train.recipe import Recipe
from nearfield.train.runs.run import data_of, locked_run
from nearfield.train.runs.tune import tune, tuning_recipe
from nearfield.train.setting import UNWATCHED
from nearfield.train.tuning.tuning_run import TuningRun
from nearfield.types.numbers import estimated
from nearfield.types.verdict import Verdict

RECIPE = Path(__file__).parents[1] / "recipes" / "multilingual.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--languages", default="deu,spa,hin,cmn")
    parser.add_argument("--student", default="multilingual-e5-small")
    parser.add_argument("--teacher", default="minilm")
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--folder", type=Path, default=Path("runs/multilingual"))
    asked = parsed(parser)
    languages = asked.languages.split(",")
    parts = split_of({each: pairs(asked.data / f"{each}-eng.jsonl") for each in languages})
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = asked.folder / "pairs.jsonl"
    with open(rows, "w", encoding="utf-8") as file:
        for split, found in parts.items():
            for _, foreign, english in found:
                row = {"query": foreign, "positive": english, "split": split}
                print(json.dumps(row, ensure_ascii=False), file=file)
    schedule = {"epochs": asked.epochs, "rate": asked.rate}
    recipe = Recipe.of({"schedule": schedule}, start=tuning_recipe(asked.student, RECIPE))
    to = asked.folder / "run"
    if asked.moved:
        verdict = moved(asked.student, rows, to, recipe)
    else:
        verdict = tune(asked.student, rows, to=to, recipe=recipe)
    facts = circumstances() | {"verdict": str(verdict), "rows": {}}
    models = {
        "teacher": nf.load(asked.teacher),
        "student": nf.load(asked.student),
        "taught": nf.load(to / "model"),
    }
    for language in languages:
        test = [row for row in parts["test"] if row[0] == language]
        facts["rows"][language] = found_of(models, test)
    print(json.dumps({key: facts[key] for key in ("verdict", "rows")}, indent=1))
    if asked.save:
        print(save("multilingual", facts))


class MovedRun(TuningRun):
    """A tune that keeps all that was learned, whatever dev says on the way."""

    backs_off = False

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        super().begin(collection, guards)
        self.folds = 1  # what is measured elsewhere: dev is not, after any step

    def known_dev(self) -> dict[float, float]:
        return {**super().known_dev(), 1.0: self._dev(1.0)}


def moved(student: str, rows: Path, to: Path, recipe: Recipe) -> Verdict:
    """The verdict on the student's own vectors after it has moved."""
    with locked_run(to, student) as place:
        run = MovedRun(student, place, recipe, UNWATCHED)
        run.begin(data_of(rows))
        return run.verdict(f"move {run.encoder.contract.name}", ())


def pairs(path: Path) -> list[tuple[str, str]]:
    """A foreign sentence and its English one per line."""
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["sentence1"], row["sentence2"]) for row in rows]


def split_of(
    files: dict[str, list[tuple[str, str]]],
) -> dict[str, list[tuple[str, str, str]]]:
    """(language, foreign, English) by split; an English sentence is in one split alone."""
    sentences = sorted({english for found in files.values() for _, english in found})
    of = {}
    for number, english in enumerate(sentences):
        if number % 5 == 0:
            of[english] = "test"
        else:
            of[english] = "dev" if number % 10 == 1 else "train"
    parts: dict[str, list[tuple[str, str, str]]] = {"train": [], "dev": [], "test": []}
    for language, found in files.items():
        for foreign, english in found:
            parts[of[english]].append((language, foreign, english))
    return parts


def found_of(models: dict[str, Any], test: list[tuple[str, str, str]]) -> dict[str, str]:
    """The share of foreign sentences whose English one is nearest, by whose vectors are compared:
    the model's own of both, or its of the foreign one with the teacher's of the English one.
    """
    english = sorted({row[2] for row in test})
    wanted = np.array([english.index(row[2]) for row in test])
    foreign = [row[1] for row in test]
    teacher = np.asarray(models["teacher"].encode_document(english))
    shares = {"sentences": str(len(test))}
    for name, model in models.items():
        asked = np.asarray(model.encode_query(foreign))
        own = np.asarray(model.encode_document(english))
        shares[f"{name}, own vectors"] = share(asked @ own.T, wanted)
        if name != "teacher":
            shares[f"{name}, the teacher's"] = share(asked @ teacher.T, wanted)
    return shares


def share(similarities: Any, wanted: Any) -> str:
    """How many of `similarities` (n, d) are greatest at `wanted` (n,), with the interval."""
    return estimated(mean_interval(similarities.argmax(1) == wanted, bounds=(0.0, 1.0)))


if __name__ == "__main__":
    main()
