"""Texts to embeddings, none of which is encoded twice on this machine: the one place where search,
evaluation, training runs and mining read and fill the vector cache.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from nearfield.encoders.collect import warn_of_truncation
from nearfield.encoders.encoder import Encoder, refuse_one_text
from nearfield.encoders.pace import Pace
from nearfield.errors import NearfieldWarning, StorageError, TruncationWarning
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.vector_cache import Found, VectorCache, text_hash
from nearfield.types.arrays import Doubles, Integers
from nearfield.types.progress import Progress, after, silent
from nearfield.types.role import Role
from nearfield.types.usage import Usage

T = TypeVar("T")
# texts of the first piece: those of a small collection share their batches, and of a model that
# takes .2 s for one, as a large one on a processor, a kill still costs half a minute at most
FIRST = 128


def encoded(
    encoder: Encoder[Any], texts: Sequence[str], role: Role, *, progress: Progress = silent
) -> Embeddings:
    """The embeddings of n texts in `role`, in their order, as `encoder.encode` makes them; those
    that the same model made before in this use, of any data, come from the vector cache, bit for
    bit.

    Each different text is encoded once, and what is made is kept every half a minute.
    `usage.seconds` is what making all of them took on this machine, whenever that was, 0 where
    that is not known. An encoder without `facts`, or not worth caching, encodes all. Warns and
    raises as `Encoder.encode` does; a cache that fails is done without, with a warning.
    """
    refuse_one_text(texts)
    texts = list(texts)
    facts = None
    # images that are no data URLs have no hash
    if encoder.worth_caching and all(isinstance(text, str) for text in texts):
        facts = encoder.facts(role)
    with closing(Remembered(facts, encoder.contract.name)) as remembered:
        if remembered.cache is not None:
            made = _encoded(encoder, texts, role, remembered, progress)
            warn_of_truncation(made.usage, encoder.contract, "texts", stacklevel=3)
            return made
    started = time.perf_counter()
    plain: Any = encoder.encode(texts, role, progress=progress)
    if encoder.worth_caching and not plain.usage.seconds:
        usage = replace(plain.usage, seconds=time.perf_counter() - started)
        plain = replace(plain, usage=usage)
    whole: Embeddings = plain
    return whole


def seconds_alone(encoder: Encoder[Any], texts: Sequence[str], role: Role) -> Doubles:
    """(n,) seconds that each of a few texts takes when it is encoded by itself. What was measured
    before on this machine is not measured again. NaN for a text that a vendor has been paid for
    before it was timed: asking again would tell how fast the cache is.
    """
    keys = [text_hash(text) for text in texts]
    with closing(Remembered(encoder.facts(role), encoder.contract.name)) as remembered:
        known = remembered.seconds(keys, alone=True)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given for all of them together
            made = _timed(encoder, missing, role)
        remembered.safely(lambda cache: cache.add_seconds(made, alone=True))
    known |= made
    return np.array([known.get(key, np.nan) for key in keys])


def nothing(encoder: Encoder[Any], role: Role) -> Embeddings:
    """The embeddings of no text, as the encoder makes them."""
    if EMBEDDINGS[encoder.contract.kind].one_vector:
        return Dense.under(encoder.contract, np.empty((0, encoder.contract.dim), np.float32))
    empty: Embeddings = encoder.encode([], role)
    return empty


class Remembered:
    """What the vector cache holds of one use of a model, which `facts` tell from all others; `name`
    is for people.

    `cache` is None where nothing is kept: the facts are None, the cache is off, or it cannot be
    used, such as on a full disk. NearfieldWarning warns of that and says what is done `instead`:
    what is made is worth more than keeping it.
    """

    def __init__(
        self,
        facts: Mapping[str, str] | None,
        name: str,
        *,
        instead: str = "this run goes on without it",
    ) -> None:
        self.instead = instead
        self.cache: VectorCache | None = None
        if facts is not None:
            try:
                self.cache = VectorCache.open(facts, model=name)
            except StorageError as error:
                self._do_without(error)

    def find(self, keys: Sequence[bytes]) -> Found:
        """What there is of the texts with the hashes `keys`."""
        found = self.safely(lambda cache: cache.find(keys))
        if found is None:
            return Found(np.empty(0, np.int64), [], np.empty((0, 3), np.int64))
        return found

    def keep(
        self, keys: Sequence[bytes], made: Embeddings, counts: Integers, seconds: float
    ) -> None:
        """Keep the embeddings `made` of the texts with the hashes `keys`; see `VectorCache.add`."""
        if keys:
            self.safely(lambda cache: cache.add(keys, made.records(), counts, seconds=seconds))

    def seconds(self, keys: Sequence[bytes], *, alone: bool = False) -> dict[bytes, float]:
        """The seconds that each of the texts took, where they are known; see `VectorCache`."""
        return self.safely(lambda cache: cache.seconds(keys, alone=alone)) or {}

    def safely(self, use: Callable[[VectorCache], T]) -> T | None:
        """What `use` makes of the cache; None where there is none, or where it fails and is done
        without from here on.
        """
        if self.cache is None:
            return None
        try:
            return use(self.cache)
        except StorageError as error:
            self._do_without(error)
            return None

    def _do_without(self, error: StorageError) -> None:
        warnings.warn(f"{error}; {self.instead}", NearfieldWarning, stacklevel=5)
        self.close()

    def close(self) -> None:
        """Let go of the cache's file."""
        if self.cache is not None:
            self.cache.close()
        self.cache = None


@dataclass
class _Fresh:
    """What the model made of n texts: embeddings in `parts`, and `counts` (n, 3), the tokens read,
    lost, and of the prompt, of each text.
    """

    parts: list[Embeddings]
    counts: Integers
    seconds: float = 0.0
    unknown: int = 0


def _encoded(
    encoder: Encoder[Any],
    texts: Sequence[str],
    role: Role,
    remembered: Remembered,
    progress: Progress,
) -> Embeddings:
    keys = [text_hash(text) for text in texts]
    by_key = dict(zip(keys, texts, strict=True))
    distinct = list(by_key)
    found = remembered.find(distinct)
    missing = np.setdiff1d(np.arange(len(distinct)), found.items)
    new = {distinct[at]: by_key[distinct[at]] for at in missing}
    made = _fresh(encoder, new, role, remembered, progress)
    parts = made.parts
    if found.records or not parts:
        kept = nothing(encoder, role)
        if found.records:
            kept = kept.of_records(found.records)
        parts = [kept, *parts]
    held: Any = parts[0]
    if len(parts) > 1:
        held = type(held).join(parts)
    # what the cache has comes first in `held`, then what was made: where each text's lies
    row = {distinct[at]: row for row, at in enumerate([*found.items, *missing])}
    wanted = np.array([row[key] for key in keys], np.int64)
    if not np.array_equal(wanted, np.arange(len(held))):  # else nothing is copied
        held = held[wanted]
    counts = np.concatenate([found.counts, made.counts])[wanted]
    before = [distinct[at] for at in found.items]
    usage = replace(
        Usage.counted(counts),
        seconds=_seconds(remembered, before, made.seconds),
        unknown_tokens=made.unknown,
        nothing_known=int((counts[:, 0] == 0).sum()),
    )
    result: Embeddings = replace(held, usage=usage, counts=counts[:, :2])
    return result


def _seconds(remembered: Remembered, before: Sequence[bytes], now: float) -> float:
    """What it took to make the texts with the hashes `before`, and those that took `now`; 0 where
    that is not known.
    """
    known = remembered.seconds(before)
    if known:  # those without a time are taken for the mean of the others
        return now + sum(known.values()) * len(before) / len(known)
    if before:  # a part of the time would be taken for all of it
        return 0.0
    return now


def _fresh(
    encoder: Encoder[Any],
    texts: dict[bytes, str],
    role: Role,
    remembered: Remembered,
    progress: Progress,
) -> _Fresh:
    """The embeddings of different texts by their hashes, made and kept piece by piece."""
    made = _Fresh([], np.zeros((len(texts), 3), np.int64))
    # what a piece has made is in the cache before the next one begins: that is all that a kill
    # costs
    pace = Pace(FIRST)
    start = 0
    keys = list(texts)
    items = list(texts.values())
    while start < len(items):
        piece = slice(start, min(len(items), start + pace.rows))
        told = after(progress, start, len(items))
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given once, for all texts
            part = encoder.encode(items[piece], role, progress=told)
        seconds = part.usage.seconds or time.perf_counter() - started
        if part.counts is not None:
            made.counts[piece, :2] = part.counts
        # every text of a role has the same prompt
        made.counts[piece, 2] = part.usage.prompt_tokens // len(part)
        remembered.keep(keys[piece], part, made.counts[piece], seconds)
        made.parts.append(part)
        made.seconds += seconds
        made.unknown += part.usage.unknown_tokens
        pace.took(len(part), len(part), seconds)
        start = piece.stop
    return made


def _timed(encoder: Encoder[Any], texts: dict[bytes, str], role: Role) -> dict[bytes, float]:
    """The seconds of each text alone, by its hash; of those that a vendor would be asked for."""
    seconds = {}
    if texts and encoder.forecast([], role) is None:
        # not timed: what is only done once is done here
        encoder.encode(list(texts.values())[:1], role)
    for key, text in texts.items():
        forecast = encoder.forecast([text], role)
        if forecast is None or forecast.items:
            started = time.perf_counter()
            encoder.encode([text], role)
            seconds[key] = time.perf_counter() - started
    return seconds
