"""What several systems find, to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.data.collection import JUDGEMENTS, QUERIES, Collection
from nearfield.data.open import open_collection, open_queries
from nearfield.data.stream import whole
from nearfield.data.writer import made_id
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


def with_queries(collection: Collection, queries: object = None) -> Collection:
    """The collection with the queries of a source in place of its own, where one is given; those
    without ids of their own have ids made of their texts, so that no other line takes their place.
    Raises InputError for a query that cannot be read, CollectionError where two have one id.
    """
    if queries is None:
        return collection
    asked = dict[tuple[str, str], None]()  # a line that is there twice is one query
    for row in whole(open_queries(queries).rows()):
        asked[made_id(row.text) if row.key == str(row.number) else row.key, row.text] = None
    rows = [{"id": key, "text": text, "group": ""} for key, text in asked]
    table = pa.Table.from_pylist(rows, schema=QUERIES)
    # judgements are of the queries that were there before
    return replace(
        collection, queries=table, judgements=JUDGEMENTS.empty_table(), documents_only=not rows
    )


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
    collection = with_queries(open_collection(data), queries)
    asked = dict(zip(collection.query_ids, collection.query_texts, strict=True))
    if not asked:
        raise InputError(f"{collection.name}: has no queries; name a file of some")
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
