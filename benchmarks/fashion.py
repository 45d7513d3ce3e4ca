"""Fashion-MNIST: classes never trained on, told apart by their names, and few-shot probes of an
image tower's vectors against raw pixels.

    python benchmarks/fashion.py --work FOLDER [--data FOLDER] [--text minilm-l3] [--tower FOLDER]

Debian's package dataset-fashion-mnist has the data. For each of five pairs of classes a projection
into the texts' space is trained on images of the other eight with the caption "a photo of a NAME";
then the pair's test images are asked for their name among the two and among all ten. The probes are
scikit-learn's logistic regressions. The images' vectors are made once and kept in --work. An
interval is the bootstrap's of 95 % over test images; a probe's value of an image is its mean over
the draws of the shots.
"""

from __future__ import annotations

import argparse
import gzip
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emoji import MODELS, TOWER, learn, shown
from PIL import Image
from sklearn.linear_model import LogisticRegression

from nearfield.data.readers.image import image_url
from nearfield.encoders.image.images import ImageEncoder
from nearfield.formats.towers.joined import LAYOUT
from nearfield.models.image.tower import ImageTower
from nearfield.models.surgery.join import join
from nearfield.statistics.bootstrap import mean_interval
from nearfield.train.images.joined import DEFAULT, begin
from nearfield.train.images.vectors import ImageVectors
from nearfield.train.recipe import Negatives, Recipe, Schedule
from nearfield.types.progress import silent
from nearfield.types.role import QUERY

DATA = Path("/usr/share/datasets/fashion-mnist")
NAMES = (
    *("t-shirt", "pair of trousers", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
PAIRS = ((0, 1), (2, 5), (3, 9), (4, 7), (6, 8))  # each class once
TRAIN, TEST = 100, 200  # images per class
SHOTS, DRAWS = (1, 5, 20, 100), 10


def read(folder: Path, part: str, per_class: int) -> tuple[Any, Any]:
    """The first images of each class (n, 28, 28) uint8, and their labels (n,)."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == at)[:per_class] for at in range(10)]))
    return images[kept], labels[kept]


def urls(images: Any) -> list[str]:
    made = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
        made.append(image_url(file.getvalue()))
    return made


def probe(train: Any, labels: Any, test: Any, gold: Any, shots: int) -> Any:
    """(n,) each test image's share of draws in which its class is told."""
    right = np.zeros(len(gold))
    for seed in range(DRAWS if shots < TRAIN else 1):  # of all, there is one draw
        draw = np.random.default_rng(seed)
        kept = np.concatenate(
            [draw.permutation(np.flatnonzero(labels == at))[:shots] for at in range(10)]
        )
        model = LogisticRegression(max_iter=300).fit(train[kept], labels[kept])
        right += model.predict(test) == gold
    return right / (seed + 1)


class Fashion:
    """The images with their vectors, and the two models."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.work = asked.work
        self.images, self.labels = read(asked.data, "train", TRAIN)
        self.test, self.gold = read(asked.data, "t10k", TEST)
        if not (self.work / "joined" / "joined.json").exists():
            join(asked.text, asked.tower, to=self.work / "joined")
        self.folder = LAYOUT.read(self.work / "joined")
        self.made = ImageVectors(ImageEncoder(ImageTower(self.folder.image)))
        self.seen, self.asked = urls(self.images), urls(self.test)
        self.made.keep([*self.seen, *self.asked], self.work / "vectors.safetensors", silent)

    def unseen(self, pair: tuple[int, int]) -> tuple[Any, Any]:
        """Whether the pair's test images are told from each other, and from all ten."""
        torch.manual_seed(0)
        kept = np.flatnonzero(~np.isin(self.labels, pair))
        captions = [f"a photo of a {NAMES[self.labels[at]]}" for at in kept]
        recipe = Recipe(
            objective=DEFAULT.objective,
            negatives=Negatives(per_query=0),
            schedule=Schedule(epochs=20, batch=128, evaluations=1),
        )
        run = self.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        encoder = begin(self.folder, recipe, precision="float32", device="cpu")
        encoder.made = self.made
        learn(encoder, captions, [self.seen[at] for at in kept], recipe, run, None)
        names = encoder.encode([f"a photo of a {name}" for name in NAMES], QUERY).floats()
        own = np.flatnonzero(np.isin(self.gold, pair))
        scores = encoder.encode([self.asked[at] for at in own], "document").floats() @ names.T
        two = np.asarray(pair)[scores[:, pair].argmax(1)] == self.gold[own]
        return two, scores.argmax(1) == self.gold[own]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--text", default=str(MODELS / "minilm-l3"))
    parser.add_argument("--tower", type=Path, default=TOWER)
    fashion = Fashion(parser.parse_args())
    found = []
    for pair in PAIRS:
        found.append(fashion.unseen(pair))
        names = " and ".join(NAMES[at] for at in pair)
        print(
            f"{names}: of two {shown(found[-1][0])}, of ten {shown(found[-1][1])}",
            flush=True,
        )
    two, ten = (np.concatenate(each) for each in zip(*found, strict=True))
    print(f"all pairs: of two {shown(two)} (chance .5), of ten {shown(ten)} (chance .1)")
    vectors = [fashion.made.of(each) for each in (fashion.seen, fashion.asked)]
    pixels = [each.reshape(len(each), -1) / 255 for each in (fashion.images, fashion.test)]
    for shots in SHOTS:
        row = {}
        for name, (train, test) in {"vectors": vectors, "pixels": pixels}.items():
            row[name] = probe(train, fashion.labels, test, fashion.gold, shots)
        gain = mean_interval(row["vectors"] - row["pixels"], bounds=(-1.0, 1.0))
        print(
            f"{shots} per class: vectors {shown(row['vectors'])}, pixels {shown(row['pixels'])}, "
            f"difference {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main()
