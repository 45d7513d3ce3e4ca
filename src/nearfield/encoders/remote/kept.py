"""What a model behind an API has said before, in the vector cache."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing

import numpy as np

from nearfield.encoders.encoded import Remembered
from nearfield.encoders.remote.answer import Got
from nearfield.encoders.remote.client import Client, Wanted
from nearfield.types.arrays import Floats, Integers
from nearfield.types.progress import Progress

Value = tuple[Floats, Integers]
"""What is recorded about an item, and its tokens: billed, lost, and of the prompt."""


class Kept:
    """The answers of `client` in one use, which `facts` tell from others; `name` is for people.

    Where the cache cannot be used, answers are not kept, with a warning: they were paid for, and
    whoever asked gets them.
    """

    def __init__(self, client: Client, facts: Mapping[str, str], name: str) -> None:
        self.client = client
        self.name = name
        self.facts = client.identity | dict(facts)

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Value]:
        """What there is of the items with these keys."""
        with closing(self._remembered()) as remembered:
            found = remembered.find(keys)
        held = {}
        for at, record, counts in zip(found.items, found.records, found.counts, strict=True):
            held[keys[at]] = (np.frombuffer(record, np.float32), counts)
        return held

    def seconds(self, keys: Sequence[bytes]) -> float:
        """What it took to be told of the items with these keys; 0 where that is not known."""
        with closing(self._remembered()) as remembered:
            return sum(remembered.seconds(keys).values())

    def fetch(
        self,
        wanted: Wanted,
        parts: Sequence[Sequence[int]],
        keys: Sequence[bytes],
        progress: Progress,
    ) -> dict[bytes, Value]:
        """What the vendor says of all items, each of which is in the cache as soon as it has come.
        Raises as `Client.fetch` does.
        """
        made: dict[bytes, Value] = {}
        last = time.perf_counter()
        with closing(self._remembered()) as remembered:

            def keep(got: Got) -> None:
                nonlocal last
                # answers come several at a time: each takes what has passed since the one before
                now = time.perf_counter()
                seconds = now - last
                last = now
                some = [keys[place] for place in got.places]
                pairs = zip(got.tokens, got.places, strict=True)
                counts = np.array([(count, *wanted.beside(at)) for count, at in pairs], np.int64)
                for key, value, own in zip(some, got.values, counts, strict=True):
                    made[key] = (value, own)
                records = [value.tobytes() for value in got.values]
                # answer by answer, before the next is waited for: what is paid for outlives a kill
                remembered.safely(lambda cache: cache.add(some, records, counts, seconds=seconds))
                progress(len(made), len(keys))

            self.client.fetch(wanted, parts, keep)
        return made

    def _remembered(self) -> Remembered:
        return Remembered(self.facts, self.name, instead="answers are not kept")
