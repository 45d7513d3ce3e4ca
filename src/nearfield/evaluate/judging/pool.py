"""What several systems find, to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfield.data.open import open_collection, open_queries
from nearfield.errors import InputError
from nearfield.retrieval.searchable import index
from nearfield.types.figures import worded
from nearfield.types.item import is_image_url
from nearfield.types.progress import Bars, no_bars


@dataclass(frozen=True)
class Pooled:
    """A document that a system found for a query; `query` and `document` are their ids."""

    query: str
    query_text: str
    document: str
    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text of the document."""
        return f"{self.title} {self.text}".strip()


def pool(
    models: Sequence[Any],
    data: object,
    *,
    queries: object = None,
    k: int = 10,
    most: int = 0,
    seed: int = 0,
    bars: Bars = no_bars,
) -> list[Pooled]:
    """The `k` best documents of each of the models for each query, each once, as TREC pools them.

    Queries are those of the data, or of the source `queries`; `most` of them, drawn, where that is
    above 0. They come in a shuffled order, and so do the documents of each, so that nothing shows
    which system found one, or where. Raises InputError where there is no query and for images.
    """
    collection = open_collection(data)
    if queries is None:
        asked = dict(zip(collection.query_ids, collection.query_texts, strict=True))
    else:
        asked = {row.key: row.text for row in open_queries(queries).rows()}
    if not asked:
        raise InputError(f"{collection.name}: has no queries; name a file of them")
    random = np.random.default_rng(seed)
    names = [list(asked)[at] for at in random.permutation(len(asked))[: most or None]]
    found: dict[str, dict[str, Pooled]] = {name: {} for name in names}
    for model in models:
        searched = index(model, collection, bars=bars)
        texts = [asked[name] for name in names]
        for name, hits in zip(names, searched.search_each(texts, k, bars=bars), strict=True):
            for hit in hits:
                if is_image_url(hit.text):
                    raise InputError(f"{collection.name}: document {hit.id!r} is an image")
                one = Pooled(name, asked[name], hit.id, hit.title, worded(hit.text))
                found[name].setdefault(hit.id, one)
    items = []
    for name in names:
        # by their ids first, so that the shuffled order does not tell the order of the models
        own = [found[name][key] for key in sorted(found[name])]
        items += [own[at] for at in random.permutation(len(own))]
    return items
