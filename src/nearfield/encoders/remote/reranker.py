"""A vendor's reranker as a judge of pairs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from nearfield.encoders.pair_scorer import PairScorer, Scores
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import read_vector
from nearfield.encoders.remote.client import Client, Wanted
from nearfield.encoders.remote.kept import Kept
from nearfield.encoders.remote.known import limits_of, price_of
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
        self.client = Client(address, price=price_of(address), limits=limits_of(address))
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
        texts = [
            (queries[int(at)], worded(documents[int(of)])) for at, of in zip(*pairs, strict=True)
        ]
        by_key = {_key(pair): pair for pair in texts}
        kept = Kept(self.client, {"kind": "relevance"}, self.name)
        held = kept.find(list(by_key))
        missing = {key: pair for key, pair in by_key.items() if key not in held}
        if missing:
            wanted, parts = self._wanted(list(missing.values()))
            log.info("%s", self.client.forecast(wanted.tokens, len(parts)))
            held |= kept.fetch(
                wanted, parts, list(missing), lambda done: progress(done, len(missing))
            )
        progress(len(texts), len(texts))
        return np.array([held[_key(pair)][0][0] for pair in texts], np.float32)

    def _wanted(self, pairs: Sequence[Pair]) -> tuple[Wanted, list[list[int]]]:
        """How the pairs are asked for, and which of them in each request."""
        vendor = self.client.vendor
        model = self.client.address.model
        of_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            of_query.setdefault(query, []).append(place)
        counter = self.client.counter
        queries = dict(zip(of_query, counter.count(list(of_query)), strict=True))
        own = counter.count([document for _, document in pairs])
        # a query counts once for each document that it is read with
        tokens = [count + queries[query] for count, (query, _) in zip(own, pairs, strict=True)]

        def request(part: Sequence[int]) -> tuple[str, dict[str, object]]:
            return vendor.reranking(model, pairs[part[0]][0], [pairs[at][1] for at in part])

        parts = [
            [places[at] for at in part]
            for places in of_query.values()
            for part in self.client.parts([tokens[place] for place in places])
        ]
        return Wanted("rerank", tokens, request, vendor.relevance, _ONE), parts


def _key(pair: Pair) -> bytes:
    query, document = pair
    return text_hash(f"{len(query)}\0{query}{document}")
