"""What a model behind an API has said before, in the vector cache."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from nearfield.encoders.remote.answer import Got
from nearfield.encoders.remote.client import Client, Wanted
from nearfield.errors import NearfieldWarning, StorageError
from nearfield.store.vector_cache import VectorCache
from nearfield.types.arrays import Floats, Integers

Value = tuple[Floats, Integers]
"""What is recorded about an item, and its tokens: billed, lost, and of the prompt."""


class Kept:
    """The answers of `client` in one use, which `facts` tell from others; `name` is for people.

    Where the cache cannot be used, such as on a full disk, answers are not kept, with a warning:
    they were paid for, and whoever asked gets them.
    """

    def __init__(self, client: Client, facts: Mapping[str, str], name: str) -> None:
        self.client = client
        self.name = name
        self.facts = client.identity | dict(facts)

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Value]:
        """What there is of the items with these keys."""
        with self._cache() as cache:
            if cache is None:
                return {}
            try:
                found = cache.find(keys)
            except StorageError as error:
                _do_without(error)
                return {}
        held = {}
        for at, record, counts in zip(found.items, found.records, found.counts, strict=True):
            held[keys[at]] = (np.frombuffer(record, np.float32), counts)
        return held

    def seconds(self, keys: Sequence[bytes]) -> float:
        """What it took to be told of the items with these keys; 0 where that is not known."""
        with self._cache() as cache:
            if cache is None:
                return 0.0
            return sum(cache.seconds(keys).values())

    def fetch(
        self,
        wanted: Wanted,
        parts: Sequence[Sequence[int]],
        keys: Sequence[bytes],
        told: Callable[[int], None],
    ) -> dict[bytes, Value]:
        """What the vendor says of all items, each of which is in the cache as soon as it has come;
        `told` is called with how many are done. Raises as `Client.fetch` does.
        """
        made: dict[bytes, Value] = {}
        last = time.perf_counter()
        with self._cache() as cache:

            def keep(got: Got) -> None:
                nonlocal cache, last
                now = time.perf_counter()
                seconds = now - last
                last = now
                some = [keys[place] for place in got.places]
                pairs = zip(got.tokens, got.places, strict=True)
                counts = np.array([(count, *wanted.beside(at)) for count, at in pairs], np.int64)
                for key, value, own in zip(some, got.values, counts, strict=True):
                    made[key] = (value, own)
                try:
                    if cache is not None:
                        records = [value.tobytes() for value in got.values]
                        cache.add(some, records, counts, seconds=seconds)
                except StorageError as error:
                    _do_without(error)
                    cache = None
                told(len(made))

            self.client.fetch(wanted, parts, keep)
        return made

    @contextmanager
    def _cache(self) -> Iterator[VectorCache | None]:
        cache = None
        try:
            cache = VectorCache.open(self.facts, model=self.name)
        except StorageError as error:
            _do_without(error)
        try:
            yield cache
        finally:
            if cache is not None:
                cache.close()


def _do_without(error: StorageError) -> None:
    warnings.warn(f"{error}; answers are not kept", NearfieldWarning, stacklevel=3)
