"""Images and texts in one space."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfield.data.readers.image import is_image_url, open_image
from nearfield.encoders.collect import warn_of_truncation
from nearfield.encoders.encoder import Encoder, refuse_one_text
from nearfield.errors import InputError, ModelError
from nearfield.formats.towers.find import read_towers
from nearfield.models.two_tower import TwoTower
from nearfield.runtimes.options import AUTO, OpenOptions
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.store.fingerprint import model_hash
from nearfield.types.arrays import Floats, Integers
from nearfield.types.item import Item
from nearfield.types.progress import Progress, silent
from nearfield.types.role import IMAGE, Role
from nearfield.types.usage import Usage

BATCH = 32  # items of one call


class TwoTowerEncoder(Encoder[Dense]):
    """A model of images and text.

    A string is a text, but for the data URL of an image; a path, the bytes of a file, a PIL image
    and an array are images. In the role image a string is a path.
    """

    kind_of_model = "torch"

    def __init__(self, model: TwoTower) -> None:
        self.model = model
        self.contract = model.folder.contract

    @classmethod
    def open(cls, path: Path, options: OpenOptions) -> TwoTowerEncoder:
        """The encoder in a folder. Raises ModelError where it cannot be opened, and for another
        runtime than torch or precision than float32.
        """
        if options.runtime not in (AUTO, "torch") or options.precision not in (AUTO, "float32"):
            raise ModelError(
                f"{path}: models of images and text run with torch in float32, not "
                f"{options.runtime} {options.precision}"
            )
        model = TwoTower(read_towers(path))
        device = options.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device))

    @cached_property
    def identity(self) -> dict[str, str]:
        """Of the folder's files as they are when this is first asked for."""
        files = model_hash(self.model.folder.path)
        return {"files": files, "runtime": "torch", "precision": "float32"}

    def logits(self, scores: Floats) -> Floats:
        """What the model's loss sees of cosines: times its scale, plus its bias."""
        return scores * np.float32(self.model.logit_scale) + np.float32(self.model.logit_bias)

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        """Images and texts in batches of 32 each; images are decoded on another thread.

        Raises InputError, naming the item, for an image that cannot be read.
        """
        refuse_one_text(items)
        self.contract.prompt(role)
        started = time.perf_counter()
        shown = [at for at, item in enumerate(items) if role == IMAGE or _is_image(item)]
        drawn = set(shown)
        written = [at for at in range(len(items)) if at not in drawn]
        counts = np.zeros((len(items), 2), np.int64)
        vectors = np.empty((len(items), self.contract.dim), np.float32)
        done = 0
        for at, made in self._made(items, shown, written, counts):
            vectors[at] = made
            done += len(at)
            progress(done, len(items))
        checked_finite(vectors, self.contract.name)
        read, lost = counts.sum(0).tolist()
        usage = Usage(
            len(items),
            read,
            truncated=int((counts[:, 1] > 0).sum()),
            tokens_lost=lost,
            seconds=time.perf_counter() - started,
        )
        embeddings = Dense.under(self.contract, vectors, usage=usage, counts=counts)
        warn_of_truncation(usage, self.contract, "texts")
        return embeddings

    def _made(
        self, items: Sequence[Item], shown: list[int], written: list[int], counts: Integers
    ) -> Iterator[tuple[list[int], Any]]:
        """The places of each batch with its vectors of unit length; `counts` are filled in."""
        for at in _batches(written):
            texts = [str(items[place]) for place in at]
            lengths = np.array(self.model.count(texts))
            counts[at, 0] = np.minimum(lengths, self.contract.max_tokens)
            counts[at, 1] = lengths - counts[at, 0]
            with torch.inference_mode():
                yield at, _unit(self.model.texts(texts))

        def prepared(at: list[int]) -> dict[str, torch.Tensor]:
            return self.model.prepared([_opened(items[place], place) for place in at])

        batches = list(_batches(shown))
        with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
            coming = pool.submit(prepared, batches[0]) if batches else None
            for number, at in enumerate(batches, 1):
                assert coming is not None
                given = coming.result()
                if number < len(batches):
                    coming = pool.submit(prepared, batches[number])
                with torch.inference_mode():
                    yield at, _unit(self.model.images(given))


def _batches(places: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(places), BATCH):
        yield places[start : start + BATCH]


def _is_image(item: Item) -> bool:
    return not isinstance(item, str) or is_image_url(item)


def _opened(item: Item, place: int) -> Any:
    try:
        return open_image(item)
    except InputError as error:
        raise InputError(f"item {place}: {error}") from error


def _unit(vectors: torch.Tensor) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
