"""A vendor's reranker as a judge of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from nearfield.encoders.pair_scorer import PairScorer, Scores
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.client import Client, Got, Wanted
from nearfield.encoders.remote.known import limits_of, price_of
from nearfield.errors import ModelError
from nearfield.store.vector_cache import VectorCache
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent


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
            (queries[int(query)], documents[int(document)])
            for query, document in zip(*pairs, strict=True)
        ]
        keys = [_key(*pair) for pair in texts]
        kept = VectorCache.open({**self.identity, "kind": "relevance"}, model=self.name)
        held: dict[bytes, np.float32] = {}
        try:
            if kept is not None:
                found = kept.find(list(dict.fromkeys(keys)))
                distinct = list(dict.fromkeys(keys))
                for at, record in zip(found.items, found.records, strict=True):
                    held[distinct[at]] = np.frombuffer(record, np.float32)[0]
            missing = {key: pair for key, pair in zip(keys, texts, strict=True) if key not in held}
            if missing:
                self._fetch(missing, held, kept, progress)
        finally:
            if kept is not None:
                kept.close()
        progress(len(texts), len(texts))
        return np.array([held[key] for key in keys], np.float32)

    def _fetch(
        self,
        missing: dict[bytes, tuple[str, str]],
        held: dict[bytes, np.float32],
        kept: VectorCache | None,
        progress: Progress,
    ) -> None:
        keys, pairs = list(missing), list(missing.values())
        vendor, model = self.client.vendor, self.client.address.model
        asked: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            asked.setdefault(query, []).append(place)
        tokens = self.client.counter.count([document for _, document in pairs])
        of_query = dict(zip(asked, self.client.counter.count(list(asked)), strict=True))
        # a query counts once for each document that it is read with
        counted = [own + of_query[query] for own, (query, _) in zip(tokens, pairs, strict=True)]

        def request(part: Sequence[int]) -> tuple[str, dict[str, object]]:
            documents = [pairs[at][1] for at in part]
            return vendor.reranking(model, pairs[part[0]][0], documents)

        def keep(got: Got) -> None:
            some = [keys[place] for place in got.places]
            held.update(zip(some, (value[0] for value in got.values), strict=True))
            if kept is not None:
                counts = np.array([(count, 0, 0) for count in got.tokens], np.int64)
                kept.add(some, [value.tobytes() for value in got.values], counts)
            progress(len(held), len(keys))

        wanted = Wanted("rerank", counted, request, vendor.relevance, 1)
        parts = [
            [places[at] for at in part]
            for places in asked.values()
            for part in self.client.parts([counted[place] for place in places])
        ]
        self.client.fetch(wanted, parts, keep)


def _key(query: str, document: str) -> bytes:
    joined = f"{len(query)}\0{query}{document}".encode("utf-8", "surrogatepass")
    return blake2b(joined, digest_size=16).digest()
