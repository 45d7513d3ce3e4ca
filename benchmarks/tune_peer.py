"""A whole tune beside sentence-transformers' documented recipe: the same pairs, epochs, batch and
rate, both measured on the test split.

    python benchmarks/tune_peer.py DATA [--model minilm-l3] [--epochs 2] [--folder runs/peer]
        [--save] [--json]

Theirs: `mine_hard_negatives` with the settings that its documentation recommends
(relative_margin=0.05, sampling_strategy="top"), one negative per query, and
MultipleNegativesRankingLoss in SentenceTransformerTrainer, without duplicates in a batch. Ours: the
default recipe. Each is a process of its own. Of theirs the seconds of mining and of training are
told, of ours those of each stage; the stage that trains measures dev, too. The splits are those of
`nearfield tune`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from results import circumstances, parsed, save

from nearfield import compare, open_collection
from nearfield.data.kept_split import with_all_splits, with_enough_dev
from nearfield.models.find import model_path
from nearfield.train.data.leakage import relevance_by_position
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.types.numbers import changed, estimated, p_value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="minilm-l3")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--folder", type=Path, default=Path("runs/peer"))
    parser.add_argument("--side", choices=("ours", "theirs"), help="what a process of its own does")
    arguments = parsed(parser)
    if arguments.side:
        {"ours": ours, "theirs": theirs}[arguments.side](arguments)
        return
    facts = circumstances()
    folder = arguments.folder
    for side, made in (("ours", "ours/run.json"), ("theirs", "theirs.json")):
        if not (folder / made).exists():  # what was finished before is read
            subprocess.run([sys.executable, *sys.argv, "--side", side], check=True)
    facts["theirs_seconds"] = json.loads((folder / "theirs.json").read_text(encoding="utf-8"))
    run = json.loads((folder / "ours" / "run.json").read_text(encoding="utf-8"))
    facts["ours_seconds"] = run["seconds"]
    models = [arguments.model, str(folder / "ours" / "model"), str(folder / "theirs")]
    found = compare(models, open_collection(arguments.data).split("test"))
    facts["rows"] = {row.name: estimated(row.estimate) for row in found.rows}
    facts["pairs"] = [
        f"{pair.a} - {pair.b}: {changed(pair.difference)}, Holm {p_value(pair.p_holm)}"
        for pair in found.pairs
    ]
    if arguments.save:
        print(save("tune-peer", facts))
    print(json.dumps(facts, indent=1))


def ours(arguments: argparse.Namespace) -> None:
    facts = {"epochs": arguments.epochs, "max_tokens": arguments.max_tokens}
    recipe = Recipe.of({"schedule": facts})
    tune(arguments.model, arguments.data, to=arguments.folder / "ours", recipe=recipe)


def theirs(arguments: argparse.Namespace) -> None:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.util import mine_hard_negatives

    whole, _ = with_enough_dev(*with_all_splits(open_collection(arguments.data), seed=0), seed=0)
    split, texts = whole.split("train"), whole.document_texts
    rows: dict[str, list[str]] = {"query": [], "positive": []}
    for query, relevant in zip(split.query_texts, relevance_by_position(whole, split), strict=True):
        for document in relevant:
            rows["query"].append(query)
            rows["positive"].append(texts[document])
    model = SentenceTransformer(str(model_path(arguments.model)), device="cpu")
    model.max_seq_length = arguments.max_tokens
    asked: dict[str, Any] = {"relative_margin": 0.05, "sampling_strategy": "top"}
    asked |= {"num_negatives": 1, "output_format": "n-tuple", "verbose": False}
    started = time.perf_counter()
    mined = mine_hard_negatives(Dataset.from_dict(rows), model, corpus=list(texts), **asked)
    seconds = {"mine": time.perf_counter() - started}
    how = SentenceTransformerTrainingArguments(
        output_dir=str(arguments.folder / "work"),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=64,
        learning_rate=5e-5,
        warmup_steps=0.1,
        batch_sampler="no_duplicates",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    loss = losses.MultipleNegativesRankingLoss(model)
    started = time.perf_counter()
    SentenceTransformerTrainer(model=model, args=how, train_dataset=mined, loss=loss).train()
    seconds["train"] = time.perf_counter() - started
    told = json.dumps({part: round(taken, 1) for part, taken in seconds.items()})
    (arguments.folder / "theirs.json").write_text(told, encoding="utf-8")
    model.save(str(arguments.folder / "theirs"))


if __name__ == "__main__":
    main()
