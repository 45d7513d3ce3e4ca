"""Recall of emoji never trained on, by their labels and back: a locked model of texts, a locked
ImageNet tower and a projection between them, by CLIP's loss and by SigLIP's at several batches.

    python benchmarks/emoji.py [--emoji FOLDER] [--text minilm] [--tower FOLDER] [--work FOLDER]
        [--batches 32,128,512] [--epochs 60] [--lora 0] [--languages de,fr,es,ja]

FOLDER holds captions.jsonl and images. Labels are split into train, dev and test by what they say
without "man", "woman" and the like, so that variants of one picture stay together. The images'
vectors are made once and kept in --work. An interval is the bootstrap's of 95 % over queries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfield.data.readers.image import image_url
from nearfield.encoders.image.images import ImageEncoder
from nearfield.encoders.text import TextEncoder
from nearfield.formats.towers.joined import LAYOUT
from nearfield.models.image.tower import ImageTower
from nearfield.models.image.trainable import TrainableJoined
from nearfield.models.surgery.join import join
from nearfield.retrieval.bm25 import bm25
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.statistics.bootstrap import mean_interval
from nearfield.store.run import RunFolder
from nearfield.train.data.image_vectors import AsItStands, ImageVectors, MadeSource, made_batches
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.loop import train
from nearfield.train.engine.lora import add_lora
from nearfield.train.recipe import Lora, Negatives, ObjectiveChoice, Recipe, Schedule
from nearfield.types.progress import silent
from nearfield.types.role import QUERY

SHARED = Path(__file__).parents[2] / "shared" / "data" / "emoji"
TOWER = Path.home() / ".cache" / "nearfield-models" / "efficientnet-lite0"
PEOPLE = re.compile(r"^(man|woman|person|men|women|people|boy|girl) ")
K = 10
OBJECTIVES = {"CLIP": "symmetric", "SigLIP": "sigmoid"}


def split_of(label: str) -> str:
    """Six in ten are learned from, and two each choose and measure."""
    stem = label.partition(":")[0]
    same = label if stem in ("flag", "keycap") else PEOPLE.sub("", stem)
    place = hashlib.sha256(same.encode()).digest()[0] % 10
    return "train" if place < 6 else "dev" if place < 8 else "test"


def recall(queries: Any, documents: Any) -> Any:
    """(n,) whether document i is among the first K of query i."""
    scores = np.asarray(queries) @ np.asarray(documents).T
    return ((scores > np.diag(scores)[:, None]).sum(1) < K).astype(float)


def shown(values: Any) -> str:
    found = mean_interval(values, bounds=(0.0, 1.0))
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


class Emoji:
    """The images with their vectors, and the two models."""

    def __init__(self, asked: argparse.Namespace, work: Path) -> None:
        file = asked.emoji / "captions.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        self.rows = rows[: asked.limit or None]
        self.urls = [image_url(asked.emoji / "images" / row["file"]) for row in self.rows]
        self.labels = [row["label"] for row in self.rows]
        splits = np.array([split_of(label) for label in self.labels])
        self.places = {name: np.flatnonzero(splits == name) for name in ("train", "dev", "test")}
        if not (work / "joined" / "joined.json").exists():
            join(asked.text, asked.tower, to=work / "joined")
        self.folder = LAYOUT.read(work / "joined")
        self.images = ImageVectors(ImageEncoder(ImageTower(self.folder.image)))
        self.images.keep(self.urls, work / "vectors.safetensors", silent)

    def trained(self, recipe: Recipe, work: Path) -> AsItStands:
        """The joined model, trained on train and with the weights that dev likes best."""
        torch.manual_seed(0)
        model = TrainableJoined(self.folder, precision="float32", device="cpu")
        add_lora(model.text, recipe)
        text = TextEncoder(self.folder.text, TorchRuntime(model.text))
        encoder = AsItStands(model, text, self.images)
        at = self.places["train"]
        captions, seen = [self.labels[row] for row in at], [self.urls[row] for row in at]
        queries: Any = TokenSource.of(text, captions, QUERY, 64)
        if not recipe.lora.rank:
            queries = MadeSource(captions, text.encode(captions, QUERY).floats(), image=False)
        own = np.arange(len(at))
        # documents of one label are no negatives of each other
        same = np.unique(captions, return_inverse=True)[1]
        data = TrainingData(
            queries,
            MadeSource(seen, self.images.of(seen), image=True),
            TrainingPairs(own, own, np.empty((len(at), 0), np.int64)),
            same,
            [{place} for place in own.tolist()],
            cut=made_batches,
        )
        with RunFolder(work).locked() as run:
            kept = train(
                model,
                data,
                recipe,
                run=run,
                measure=lambda: recall(*self.encoded(encoder, "dev")),
                progress=silent,
            )
        with torch.no_grad():
            for name, weight in model.parameters().items():
                weight.copy_(kept[name])
        return encoder

    def encoded(self, encoder: Any, split: str, texts: list[str] | None = None) -> tuple[Any, Any]:
        """The vectors of the split's labels, or of `texts`, and of its images."""
        at = self.places[split]
        labels = [self.labels[row] for row in at] if texts is None else texts
        images = encoder.encode([self.urls[row] for row in at], "document")
        return encoder.encode(labels, QUERY).floats(), images.floats()


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory() as passing:
        work = asked.work or Path(passing)
        emoji, table = Emoji(asked, work), []
        test = emoji.places["test"]
        sizes = {name: len(rows) for name, rows in emoji.places.items()}
        print(f"{sizes}; chance {K / len(test):.3f}")
        tags = [" ".join(emoji.rows[row]["tags"]) for row in test]
        found = bm25(tags).find([emoji.labels[row] for row in test], K).documents
        right = (found == np.arange(len(test))[:, None]).any(1)
        print("BM25 on tags", shown(right.astype(float)))
        for name, objective in OBJECTIVES.items():
            for batch in asked.batches:
                recipe = Recipe(
                    objective=ObjectiveChoice(objective, 0.07, learn_temperature=True),
                    negatives=Negatives(per_query=0),
                    schedule=Schedule(epochs=asked.epochs, batch=batch, evaluations=10),
                    lora=Lora(rank=asked.lora),
                )
                place = work / f"run-{name}-{batch}-{asked.lora}"
                shutil.rmtree(place, ignore_errors=True)
                encoder = emoji.trained(recipe, place)
                texts, images = emoji.encoded(encoder, "test")
                row = {
                    "loss": name,
                    "batch": batch,
                    "text to image": shown(recall(texts, images)),
                    "image to text": shown(recall(images, texts)),
                    "gap": round(float(np.linalg.norm(texts.mean(0) - images.mean(0))), 3),
                }
                for language in asked.languages:
                    other = [emoji.rows[at]["labels"][language] for at in test]
                    row[language] = shown(recall(*emoji.encoded(encoder, "test", other)))
                table.append(row)
                print(row, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emoji", type=Path, default=SHARED)
    parser.add_argument("--text", default="minilm")
    parser.add_argument("--tower", type=Path, default=TOWER)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--batches", default="32,128,512")
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--lora", type=int, default=0)
    parser.add_argument("--languages", default="")
    parser.add_argument("--limit", type=int, default=0)
    asked = parser.parse_args()
    asked.batches = [int(size) for size in asked.batches.split(",")]
    asked.languages = [name for name in asked.languages.split(",") if name]
    return asked


if __name__ == "__main__":
    main()
