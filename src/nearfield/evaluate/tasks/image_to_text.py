"""Image to text: does an image find one of its captions among all of them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.evaluate.judged_split import judged_split
from nearfield.evaluate.task import Options
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Doubles
from nearfield.types.contract import Contract
from nearfield.types.role import DOCUMENT, QUERY, Role

_ROWS = 256  # images that are compared with all captions at a time


class ImageToText(EncodedTask):
    """The other way of the task retrieval: each document of a split, an image, searches the split's
    queries, its captions.

    Success@k is 1 where one of an image's own captions is among the first k, as recall@k of
    Flickr30k and COCO counts it. A row's note has the modality gap, the distance between the means
    of the images' and of the captions' unit vectors (Liang et al. 2022, arXiv 2203.02053).
    """

    name = "image-to-text"
    takes = "rows of an image and a text"
    item = "image"
    measures = ("Success@10", "Success@1", "Success@5")
    options = EncodedTask.options | {"split"}

    def __init__(self, split: Split) -> None:
        collection = split.collection
        self.collection = collection.name
        self.split = split.name
        self.where = f"{self.collection} / {self.split}"
        own: dict[str, list[int]] = {}
        for row, relevant in enumerate(split.relevant):
            for document in relevant:
                own.setdefault(document, []).append(row)
        # a judged document may not be in the collection
        keys = list(own)
        places = collection.document_positions(keys)
        here = np.flatnonzero(places >= 0)
        self.item_ids = tuple(keys[at] for at in here)
        self.own = [own[key] for key in self.item_ids]
        self.queries = split.query_texts
        self.documents = len(self.queries)
        self.parts = (collection.document_texts[places[here]], self.queries)

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> ImageToText | None:
        """On a collection's judged split, or on a split itself."""
        if isinstance(data, Collection):
            data = judged_split(data, options.split, source or data.name, models=models)
        return cls(data) if isinstance(data, Split) else None

    def role_of(self, part: int, contract: Contract) -> Role:
        """As in a search."""
        return (DOCUMENT, QUERY)[part]

    def noted(self, parts: Sequence[Embeddings]) -> tuple[str, ...]:
        """See EncodedTask.noted."""
        if not all(part.one_vector for part in parts):
            return ()
        images, captions = (unit(part.as_dense("a gap").floats()).mean(0) for part in parts)
        return (f"modality gap {np.linalg.norm(images - captions):.3f}",)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """Whether the best of each image's own captions is among the first k."""
        images, captions = parts
        ranks: list[int] = []
        for start in range(0, len(self.own), _ROWS):
            rows = images[start : start + _ROWS].scores(captions)
            for row, own in zip(rows, self.own[start : start + _ROWS], strict=True):
                # how many captions are nearer than the best of its own; those as near do not count
                ranks.append(int((row > row[own].max()).sum()))
        found = np.array(ranks)
        return {name: (found < int(name.partition("@")[2])).astype(float) for name in measures}
