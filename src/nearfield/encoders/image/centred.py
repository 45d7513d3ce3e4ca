"""A model of images and texts without the gap between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.wrapped import Wrapped
from nearfield.errors import InputError, ModelError
from nearfield.formats.other_folder import CENTRED
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.store.atomic import check_replaceable, staged_folder
from nearfield.store.tensors import noted_tensors, whole_tensors
from nearfield.types.arrays import Floats
from nearfield.types.item import Item, is_image
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY, Role

_SAMPLE = 1_000  # documents of a kind that are compared with one another


class Centred(Wrapped[Dense]):
    """`encoder`, each of whose documents loses the mean of its kind, texts' or images', and gets
    its kind's length. Queries stay.

    The two kinds lie in two cones (Liang et al. 2022, arXiv 2203.02053), so that a query of texts
    ranks most texts before most images. Without its mean neither kind is closer to a query on
    average, and with the lengths neither kind's similarities are spread wider, so that both are
    among the first. `means` are (2, dim) float32, of texts and of images, `lengths` (2,); `files`
    is the hash of the folder that they were read from.
    """

    def __init__(
        self, encoder: Encoder[Any], means: Floats, lengths: Floats, files: str = ""
    ) -> None:
        name = f"{encoder.contract.name} centred"
        # lengths count, so that only the dot product compares them
        contract = replace(encoder.contract, name=name, similarity="dot", normalise=False)
        super().__init__(encoder, contract)
        self.means = means
        self.lengths = lengths
        self.files = files

    @classmethod
    def fitted(
        cls, encoder: Encoder[Any], documents: Sequence[Item], *, progress: Progress = silent
    ) -> Centred:
        """With the means of these documents, and the lengths at which the similarities of their
        texts to texts vary as much as those to images. Raises InputError where there are not two
        of either kind.
        """
        drawn = _images(DOCUMENT, documents)
        if drawn.sum() < 2 or (~drawn).sum() < 2:
            count = int(drawn.sum())
            said = f"got {len(drawn) - count} texts and {count} images; wanted two of each or more"
            raise InputError(said)
        made = encoder.encode_document(documents, progress=progress).as_dense("a mean")
        vectors = unit(made.floats())
        texts = vectors[~drawn]
        images = vectors[drawn]
        means = np.stack([texts.mean(0), images.mean(0)])
        # texts stand in for queries, which are texts, too
        asked = _some(texts)
        to_texts = asked @ unit(asked - means[0]).T
        to_images = asked @ unit(_some(images) - means[1]).T
        # a text is no query for itself
        others = to_texts[~np.eye(len(asked), dtype=bool)]
        length = float(others.std()) / max(float(to_images.std()), 1e-6)
        return cls(encoder, means, np.array([1, length], np.float32))

    def save(self, folder: str | Path, source: str) -> None:
        """Write the means to a folder that `open` opens with the model `source`, whole or not at
        all. Raises ModelError for a model that was changed since it was opened, InputError where
        something else is at `folder`.
        """
        identity = self.encoder.identity
        if identity is None:
            raise ModelError(f"{source}: is not the model that its files hold; save it first")
        check_replaceable(folder, marker=CENTRED, what="a centred model")
        tensors = {"means": torch.tensor(self.means), "lengths": torch.tensor(self.lengths)}
        with staged_folder(folder) as stage:
            noted_tensors(stage / CENTRED, tensors, {"source": source, "files": identity["files"]})

    @property
    def gap(self) -> float:
        """The distance between the two means."""
        return float(np.linalg.norm(self.means[0] - self.means[1]))

    @property
    def identity(self) -> dict[str, str] | None:
        own = self.encoder.identity
        if own is None or not self.files:
            return None
        # documents of the model alone must not be taken for these
        return own | {"files": self.files}

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        made = self.encoder.encode_as(role, items, progress=progress).as_dense("a mean")
        vectors = unit(made.floats())
        if role != QUERY:
            # docs/log.md (The gap between texts and images) has what each of the two steps brings
            kinds = _images(role, items).astype(np.int64)
            vectors = unit(vectors - self.means[kinds]) * self.lengths[kinds, None]
        return Dense.under(self.contract, vectors, usage=made.usage, counts=made.counts)


def _images(role: Role, items: Sequence[Item]) -> Any:
    """(n,) bool, which of the items are images."""
    return np.array([is_image(item, role) for item in items], bool)


def _some(vectors: Floats) -> Floats:
    """At most so many of them, evenly apart."""
    count = min(len(vectors), _SAMPLE)
    return vectors[np.linspace(0, len(vectors) - 1, count).astype(np.int64)]


def read_centred(path: str | Path) -> tuple[Floats, Floats, Mapping[str, str]]:
    """The means and the lengths in a folder; and its facts: the `source` that opens the model that
    they are of, and the hash of that model's `files`. Raises InputError where it is damaged.
    """
    tensors, facts = whole_tensors(Path(path) / CENTRED)
    return tensors["means"].numpy(), tensors["lengths"].numpy(), facts
