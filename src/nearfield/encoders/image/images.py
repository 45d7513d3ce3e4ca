"""Images to vectors: what all encoders of images share, and one of images alone."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nearfield.data.readers.image import open_image
from nearfield.encoders.encoder import Encoder, refuse_figures, refuse_one_text
from nearfield.errors import InputError, ModelError
from nearfield.formats.towers.towers import Logits
from nearfield.models.image.tower import ImageTower
from nearfield.models.weight_sums import weight_sums
from nearfield.runtimes.options import AUTO, OpenOptions
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.store.fingerprint import OpenedFiles
from nearfield.types.arrays import Floats
from nearfield.types.item import Item, is_image
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role
from nearfield.types.usage import Usage

BATCH = 8  # images of one call; with more, what a layer leaves does not stay in the cache
PATCH = 16  # pixels on a side, for so many


class SeesImages(Protocol):
    """A network with what prepares images for it."""

    def prepared(self, images: Sequence[Any]) -> dict[str, Tensor]:
        """What `images` takes."""

    def images(self, prepared: dict[str, Tensor]) -> Tensor:
        """(n, dim) float32, of any length."""


class Opened(Encoder[Dense]):
    """An encoder of images, and of texts where it can, that a folder of `files` holds. `logits`
    tells how sure the model's loss is of a cosine between an image and a text.
    """

    kind_of_model = "torch"
    reads_images = True
    files: Path
    opened: OpenedFiles
    logits = Logits()

    def remember(self, files: Path, network: torch.nn.Module) -> None:
        """Note the folder and the network's weights as they are now, which `identity` is of."""
        self.files = files
        self.opened = OpenedFiles(files)
        self._network = network
        self._weights = weight_sums(network.parameters())

    @classmethod
    @abstractmethod
    def open(cls, folder: Any, options: OpenOptions) -> Opened:
        """The encoder of what the folder's layout read."""

    @property
    def identity(self) -> dict[str, str] | None:
        """None where the weights are others than the folder's: they were trained, or the folder was
        written to since it was opened.
        """
        files = self.opened.hash
        if files is None or weight_sums(self._network.parameters()) != self._weights:
            return None
        return {"files": files, "runtime": "torch", "precision": "float32"}

    @abstractmethod
    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        """The texts' vectors, with their counts. Raises InputError where images alone are taken."""

    @abstractmethod
    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        """The vectors (m, dim) of the images at `places` among the items, batch by batch, with the
        places of each.
        """

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        """Texts first, then images in small batches, which are decoded on several threads.

        Raises InputError, naming the item, for an image that cannot be read.
        """
        refuse_one_text(items)
        refuse_figures(items, self.contract.name)
        self.contract.prompt(role)
        started = time.perf_counter()
        drawn = np.array([is_image(item, role) for item in items], bool)
        written = np.flatnonzero(~drawn)
        shown = np.flatnonzero(drawn)
        vectors = np.empty((len(items), self.contract.dim), np.float32)
        counts = np.zeros((len(items), 2), np.int64)
        if len(written):
            made = self.texts_as(role, [str(items[at]) for at in written.tolist()])
            vectors[written] = made.floats()
            assert made.counts is not None
            counts[written] = made.counts
            progress(len(written), len(items))
        done = len(written)
        for at, seen in self.images_as_vectors(items, shown.tolist()):
            vectors[at] = seen
            done += len(at)
            progress(done, len(items))
        checked_finite(vectors, self.contract.name)
        usage = replace(Usage.counted(counts), seconds=time.perf_counter() - started)
        return Dense.under(self.contract, vectors, usage=usage, counts=counts)


Vectors = Iterator[tuple[list[int], Floats]]


class ImageEncoder(Opened):
    """A model of images alone: a string is a path or a data URL, and texts are refused."""

    def __init__(self, tower: ImageTower) -> None:
        self.tower = tower
        self.contract = tower.folder.contract
        self.remember(tower.folder.path, tower)

    @classmethod
    def open(cls, folder: Any, options: OpenOptions) -> ImageEncoder:
        """Raises ModelError where it cannot be opened, and for another runtime than torch."""
        return cls(ImageTower(folder).to(torch_device(folder.path, options)))

    def texts_as(self, role: Role, texts: Sequence[str]) -> Dense:
        raise InputError(
            f"{self.contract.name} is a model of images alone; join it with a model of texts: "
            "nearfield models join"
        )

    def images_as_vectors(self, items: Sequence[Item], places: Sequence[int]) -> Vectors:
        return seen(self.tower, items, places)


def torch_device(path: Path, options: OpenOptions) -> str:
    """Where torch runs. Raises ModelError for another runtime than torch or precision than
    float32.
    """
    if options.runtime not in (AUTO, "torch") or options.precision not in (AUTO, "float32"):
        raise ModelError(
            f"{path}: models of images run with torch in float32, not "
            f"{options.runtime} {options.precision}"
        )
    if options.device == AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return options.device


def seen(tower: SeesImages, items: Sequence[Item], places: Sequence[int]) -> Vectors:
    """The vectors of unit length of the images at `places`, in batches, each with its places.

    Images are decoded and resized on as many threads as torch computes with, between the batches:
    beside a batch they would take its cores. A graphics processor computes meanwhile. Raises
    InputError, naming the item, for an image that cannot be read.
    """

    def prepared(place: int) -> dict[str, Tensor]:
        return tower.prepared([_opened(items[place], place)])

    size = _at_once(tower)
    batches = [list(places[start : start + size]) for start in range(0, len(places), size)]
    if not batches:
        return
    with ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="decode") as pool:
        coming = [pool.submit(prepared, place) for place in batches[0]]
        for at, following in zip(batches, [*batches[1:], []], strict=True):
            each = [image.result() for image in coming]
            # each image was prepared as a batch of one
            given = {name: torch.cat([one[name] for one in each]) for name in each[0]}
            with torch.inference_mode():
                made = tower.images(given)
                # a GPU is still at work here: only `unit` waits for it
                coming = [pool.submit(prepared, place) for place in following]
                vectors = unit(made)
            yield at, vectors


def _at_once(tower: Any) -> int:
    """Images of one call: more where larger patches make fewer tokens of an image."""
    steps = [layer.stride[0] for layer in tower.modules() if isinstance(layer, torch.nn.Conv2d)]
    return int(BATCH * max(1, max(steps, default=PATCH) // PATCH) ** 2)


def unit(vectors: Tensor) -> Any:
    """The rows at length 1, as a numpy array."""
    return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()


def _opened(item: Item, place: int) -> Any:
    try:
        return open_image(item)
    except InputError as error:
        raise InputError(f"item {place}: {error}") from error
