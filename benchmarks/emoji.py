"""Recall of emoji never trained on, by their labels and back: an image tower, ImageNet's and locked
or a small one from scratch, beside a model of texts, locked or with a low-rank adapter, by
CLIP's loss and by SigLIP's at several batches.

    python benchmarks/emoji.py --work FOLDER [--emoji FOLDER] [--text minilm-l3] [--other FOLDER]
        [--towers imagenet,scratch] [--losses CLIP,SigLIP] [--batches 32,128,512]
        [--ranks 0,8] [--epochs 40] [--languages de,fr,es,ja] [--pages scifact]

FOLDER of --emoji holds captions.jsonl and images, that of --other the same emoji by another vendor,
named by their code points (the npm package emoji-datasource-twitter has some in img/twitter/64).
Labels are split into train, dev and test by what they say without "man", "woman" and the like, so
that variants of one picture stay together. What is made of the images, and each row of the table,
is kept in --work: a run that was stopped goes on. An interval is the bootstrap's of 95 % over
queries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import ConvNextConfig, ConvNextModel, ViTImageProcessorPil

from nearfield.data.chunk.chunking import Chunking
from nearfield.data.open import open_collection
from nearfield.data.readers.image import image_url
from nearfield.encoders.chunked import Chunked
from nearfield.encoders.image.centred import Centred
from nearfield.formats.towers.joined import LAYOUT, JoinedFolder
from nearfield.models.surgery.join import join
from nearfield.retrieval.bm25 import bm25
from nearfield.statistics.bootstrap import mean_interval
from nearfield.store.atomic import write_json
from nearfield.store.run import RunFolder
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.engine.loop import train
from nearfield.train.fits.blend import put_weights
from nearfield.train.images.joined import begin
from nearfield.train.images.sources import image_data
from nearfield.train.images.vectors import AsItStands
from nearfield.train.recipe import Lora, Negatives, ObjectiveChoice, Recipe, Schedule
from nearfield.types.figures import Figure, with_figures
from nearfield.types.progress import silent
from nearfield.types.role import QUERY

SHARED = Path(__file__).parents[2] / "shared" / "data" / "emoji"
MODELS = Path.home() / ".cache" / "nearfield-models"
TOWER = MODELS / "efficientnet-lite0"
PEOPLE = re.compile(r"^(man|woman|person|men|women|people|boy|girl) ")
K, SIDE = 10, 48
OBJECTIVES = {"CLIP": "symmetric", "SigLIP": "sigmoid"}


def split_of(label: str) -> str:
    """Six in ten are learned from, and two each choose and measure."""
    stem = label.partition(":")[0]
    same = label if stem in ("flag", "keycap") else PEOPLE.sub("", stem)
    place = hashlib.sha256(same.encode()).digest()[0] % 10
    return "train" if place < 6 else "dev" if place < 8 else "test"


def recall(queries: Any, documents: Any) -> Any:
    """(n,) whether document i is among the first K of query i."""
    return found(np.asarray(queries) @ np.asarray(documents).T)


def found(scores: Any) -> Any:
    """The same of the scores (n, n) of all queries with all documents."""
    return ((scores > np.diag(scores)[:, None]).sum(1) < K).astype(float)


def shown(values: Any) -> str:
    interval = mean_interval(np.asarray(values, float), bounds=(0.0, 1.0))
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def more(values: Any) -> str:
    interval = mean_interval(np.asarray(values, float), bounds=(-1.0, 1.0))
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def from_scratch(folder: Path) -> None:
    """Write the folder of a small ConvNeXt with new weights, for images of 48 x 48 pixels."""
    torch.manual_seed(0)
    sizes = ConvNextConfig(hidden_sizes=[48, 96, 192], depths=[1, 1, 1], num_stages=3)
    ConvNextModel(sizes).save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    ViTImageProcessorPil(size=square).save_pretrained(folder)


def learn(
    encoder: AsItStands,
    captions: list[str],
    images: list[str],
    recipe: Recipe,
    work: Path,
    measure: Callable[[], Any] | None,
) -> None:
    """Train the encoder's model on each image with its caption; it ends with the weights that were
    the best by `measure`, or the last.
    """
    own = np.arange(len(captions))
    # documents of one label are no negatives of each other
    same = np.unique(captions, return_inverse=True)[1]
    data = image_data(
        encoder,
        recipe,
        captions,
        images,
        TrainingPairs(own, own, np.empty((len(own), 0), np.int64)),
        same,
        [set(np.flatnonzero(same == label).tolist()) for label in same],
    )
    with RunFolder(work).locked() as run:
        kept = train(encoder.model, data, recipe, run=run, measure=measure, progress=silent)
    put_weights(encoder.model.parameters(), kept, kept, 1.0)


class Emoji:
    """The images with what is made of them, and the two models."""

    def __init__(self, asked: argparse.Namespace) -> None:
        file = asked.emoji / "captions.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        self.rows = rows[: asked.limit or None]
        self.urls = [image_url(asked.emoji / "images" / row["file"]) for row in self.rows]
        self.labels = [row["label"] for row in self.rows]
        splits = np.array([split_of(label) for label in self.labels])
        self.places = {name: np.flatnonzero(splits == name) for name in ("train", "dev", "test")}
        self.asked = asked
        test = {_points(self.rows[at]["file"]): at for at in self.places["test"]}
        found = {} if asked.other is None else {_points(p.name): p for p in asked.other.iterdir()}
        self.drawn = {at: image_url(found[key]) for key, at in test.items() if key in found}
        self.texts = list(open_collection(asked.pages).document_texts) if asked.pages else []

    def trained(self, tower: str, recipe: Recipe, work: Path) -> AsItStands:
        """The joined model, trained on train and with the weights that dev likes best."""
        torch.manual_seed(0)
        at = self.places["train"]
        captions, seen = [self.labels[row] for row in at], [self.urls[row] for row in at]
        encoder = begin(self.joined(tower), recipe, precision="float32", device="cpu")
        encoder.made.keep(self.urls, self.asked.work / "vectors.safetensors", silent)

        def dev() -> Any:
            return recall(*self.encoded(encoder, "dev"))

        learn(encoder, captions, seen, recipe, work, dev)
        return encoder

    def joined(self, tower: str) -> JoinedFolder:
        """The model of texts with the image tower, before it is trained."""
        text, work = self.asked.text, self.asked.work
        images = self.asked.tower
        if tower == "scratch":
            images = work / "scratch"
            from_scratch(images)
        joined = work / f"{Path(text).name}-{images.name}"
        if not (joined / "joined.json").exists():
            join(text, images, to=joined)
        return LAYOUT.read(joined)

    def encoded(self, encoder: Any, split: str, texts: list[str] | None = None) -> tuple[Any, Any]:
        """The vectors of the split's labels, or of `texts`, and of its images."""
        at = self.places[split]
        labels = [self.labels[row] for row in at] if texts is None else texts
        images = encoder.encode([self.urls[row] for row in at], "document")
        return encoder.encode(labels, QUERY).floats(), images.floats()

    def row(self, encoder: Any, languages: list[str]) -> dict[str, Any]:
        """What is measured on test."""
        texts, images = self.encoded(encoder, "test")
        row = {
            "text to image": shown(recall(texts, images)),
            "image to text": shown(recall(images, texts)),
            "gap": round(float(np.linalg.norm(texts.mean(0) - images.mean(0))), 3),
        }
        for language in languages:
            other = [self.rows[at]["labels"][language] for at in self.places["test"]]
            row[language] = shown(recall(*self.encoded(encoder, "test", other)))
        row |= self.mixed(encoder)
        if self.texts:
            row |= self.pages(encoder)
        if self.drawn:
            labels = encoder.encode([self.labels[at] for at in self.drawn], QUERY)
            images = encoder.encode([*self.drawn.values()], "document")
            row[f"other vendor's {len(self.drawn)}"] = shown(recall(labels, images))
        return row

    def mixed(self, encoder: Any) -> dict[str, Any]:
        """A half of test as images and the other half as texts, their tags: what its labels find
        among both, before and after the gap is taken out.
        """
        at = self.places["test"]
        drawn = np.random.default_rng(0).permutation(len(at)) < len(at) // 2
        tags = [" ".join(self.rows[row]["tags"]) for row in at]
        shown_as = zip(at, tags, drawn, strict=True)
        documents = [self.urls[row] if image else text for row, text, image in shown_as]
        labels = [self.labels[row] for row in at]
        row, right = {}, []
        for name, model in (
            ("mixed", encoder),
            ("mixed, centred", Centred.fitted(encoder, documents)),
        ):
            asked = model.encode(labels, QUERY).floats()
            right.append(recall(asked, model.encode_document(documents).floats()))
            halves = f"images {right[-1][drawn].mean():.3f}, texts {right[-1][~drawn].mean():.3f}"
            row[name] = f"{shown(right[-1])}, {halves}"
        return row | {"centred adds": more(right[1] - right[0])}

    def pages(self, encoder: Any) -> dict[str, Any]:
        """Texts of something else, each with an image of test as its figure: what labels find by
        the text alone, by the best of text and figure, and by that with the gap taken out.
        """
        at = self.places["test"]
        labels = [self.labels[row] for row in at]
        urls = [self.urls[row] for row in at]
        texts = self.texts[: len(at)]
        pairs = zip(texts, urls, strict=True)
        pages = [with_figures(text, [Figure(url, "")]) for text, url in pairs]
        right = []
        for model, documents in (
            (encoder, texts),
            (encoder, pages),
            (Centred.fitted(encoder, [*texts, *urls]), pages),
        ):
            parts = Chunked(model, Chunking())
            right.append(found(parts.encode_query(labels).scores(parts.encode_document(documents))))
        return {
            "text alone": shown(right[0]),
            "text and figure": shown(right[1]),
            "text and figure, centred": shown(right[2]),
            "centred adds to pages": more(right[2] - right[1]),
        }


def _points(name: str) -> str:
    """The code points of a file's name, without what only asks for a picture."""
    return name.partition(".")[0].upper().replace("-FE0F", "").lstrip("0")


def main() -> None:
    asked = _arguments()
    emoji = Emoji(asked)
    test = emoji.places["test"]
    sizes = {name: len(rows) for name, rows in emoji.places.items()}
    print(f"{sizes}; chance {K / len(test):.3f}")
    tags = [" ".join(emoji.rows[row]["tags"]) for row in test]
    best = bm25(tags).find([emoji.labels[row] for row in test], K).documents
    right = (best == np.arange(len(test))[:, None]).any(1)
    print("BM25 on tags", shown(right.astype(float)))
    for rank, tower, loss, batch in product(asked.ranks, asked.towers, asked.losses, asked.batches):
        name = f"{Path(asked.text).name}-{tower}-{rank}-{loss}-{batch}"
        file, run = asked.work / f"{name}.json", asked.work / "run"
        if not file.exists():
            towers = []
            if rank:
                towers.append("text")
            if tower == "scratch":
                towers.append("image")
            schedule = Schedule(
                epochs=asked.epochs,
                batch=batch,
                evaluations=8,
                towers=tuple(towers),
                image_rate=1e-3,  # of new weights
            )
            recipe = Recipe(
                objective=ObjectiveChoice(OBJECTIVES[loss], 0.07, learn_temperature=True),
                negatives=Negatives(per_query=0),
                schedule=schedule,
                lora=Lora(rank=rank),
            )
            shutil.rmtree(run, ignore_errors=True)
            started = time.process_time()
            encoder = emoji.trained(tower, recipe, run)
            row = emoji.row(encoder, asked.languages)
            write_json(file, row | {"cpu seconds": round(time.process_time() - started)})
        print(name, file.read_text(encoding="utf-8").replace("\n", ""), flush=True)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--emoji", type=Path, default=SHARED)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--text", default=str(MODELS / "minilm-l3"))
    parser.add_argument("--tower", type=Path, default=TOWER)
    parser.add_argument("--towers", type=_names, default=["imagenet", "scratch"])
    parser.add_argument("--losses", type=_names, default=[*OBJECTIVES])
    parser.add_argument("--batches", type=_numbers, default=[32, 128, 512])
    parser.add_argument("--ranks", type=_numbers, default=[0, 8])
    parser.add_argument("--epochs", type=float, default=40)
    parser.add_argument("--languages", type=_names, default=[])
    parser.add_argument("--pages", help="texts that images of test are figures of")
    parser.add_argument("--limit", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
