"""A vendor's reranker as a judge of pairs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from nearfield.encoders.pair_scorer import PairScorer, Scores
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import read_vector
from nearfield.encoders.remote.client import Wanted
from nearfield.encoders.remote.kept import Kept
from nearfield.encoders.remote.known import client_of
from nearfield.errors import ModelError
from nearfield.store.vector_cache import text_hash
from nearfield.types.arrays import Positions
from nearfield.types.figures import worded
from nearfield.types.progress import Progress, silent

log = logging.getLogger(__name__)
Pair = tuple[str, str]
_ONE = partial(read_vector, width=1)


class RemoteReranker(PairScorer):
    """Each request holds one query with its documents. A score is in the cache as soon as it has
    come, so that no pair is paid for twice.
    """

    def __init__(self, address: Address) -> None:
        self.client = client_of(address)
        self.name = self.client.name
        if not self.client.vendor.reranks:
            raise ModelError(f"{self.name}: {self.client.vendor.title} has no rerankers")

    @property
    def identity(self) -> dict[str, str]:
        return self.client.identity

    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        """The vendor's relevance scores; raises as `Client.fetch` does."""
        keys = []
        texts: dict[bytes, Pair] = {}
        for query, document in zip(*pairs, strict=True):
            pair = queries[int(query)], worded(documents[int(document)])
            keys.append(_key(pair))
            texts[keys[-1]] = pair
        kept = Kept(self.client, {"kind": "relevance"}, self.name)
        held = kept.find(list(texts))
        missing = [key for key in texts if key not in held]
        if missing:
            wanted, parts = self._wanted([texts[key] for key in missing])
            log.info("%s", self.client.forecast(wanted.tokens, len(parts)))
            held |= kept.fetch(wanted, parts, missing, progress)
        progress(len(keys), len(keys))
        return np.array([held[key][0][0] for key in keys], np.float32)

    def _wanted(self, pairs: Sequence[Pair]) -> tuple[Wanted, list[list[int]]]:
        """How the pairs are asked for, and which of them in each request."""
        vendor = self.client.vendor
        model = self.client.address.model
        # a request holds one query: its pairs go together, wherever they stand
        of_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            of_query.setdefault(query, []).append(place)
        counter = self.client.counter
        tokens = counter.count([document for _, document in pairs])
        asked = zip(of_query.values(), counter.count(list(of_query)), strict=True)
        parts = []
        for places, count in asked:
            for place in places:
                tokens[place] += count  # once for each document that the query is read with
            for part in self.client.parts([tokens[place] for place in places]):
                parts.append([places[at] for at in part])

        def request(part: Sequence[int]) -> tuple[str, dict[str, object]]:
            return vendor.reranking(model, pairs[part[0]][0], [pairs[at][1] for at in part])

        return Wanted("rerank", tokens, request, vendor.relevance, _ONE), parts


def _key(pair: Pair) -> bytes:
    query, document = pair
    # with the length, as two pairs may be the same text when their halves are joined
    return text_hash(f"{len(query)}\0{query}{document}")
