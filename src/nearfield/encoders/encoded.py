"""Texts to embeddings, none of which is encoded twice on this machine: the one place where search,
evaluation, training runs and mining read and fill the vector cache.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
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
from nearfield.types.progress import Progress, silent
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
    remembered = Remembered.of(encoder, role) if encoder.worth_caching else None
    if not remembered or not remembered.cache or not all(isinstance(text, str) for text in texts):
        started = time.perf_counter()
        plain: Any = encoder.encode(texts, role, progress=progress)
        if encoder.worth_caching and not plain.usage.seconds:
            usage = replace(plain.usage, seconds=time.perf_counter() - started)
            plain = replace(plain, usage=usage)
        whole: Embeddings = plain
        return whole
    try:
        made = _encoded(remembered, texts, progress)
    finally:
        remembered.close()
    warn_of_truncation(made.usage, encoder.contract, "texts", stacklevel=3)
    return made


def seconds_alone(encoder: Encoder[Any], texts: Sequence[str], role: Role) -> Doubles:
    """(n,) seconds that each of a few texts takes when it is encoded by itself. What was measured
    before on this machine is not measured again. NaN for a text that a vendor has been paid for
    before it was timed: asking again would tell how fast the cache is.
    """
    remembered = Remembered.of(encoder, role)
    keys = [text_hash(text) for text in texts]
    try:
        known = remembered.safely(lambda cache: cache.seconds(keys, alone=True)) or {}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given for all of them together
            made = _timed(encoder, missing, role)
        remembered.safely(lambda cache: cache.add_seconds(made, alone=True))
    finally:
        remembered.close()
    known |= made
    return np.array([known.get(key, np.nan) for key in keys])


def nothing(encoder: Encoder[Any], role: Role) -> Embeddings:
    """The embeddings of no text, as the encoder makes them."""
    if EMBEDDINGS[encoder.contract.kind].one_vector:
        return Dense.under(encoder.contract, np.empty((0, encoder.contract.dim), np.float32))
    empty: Embeddings = encoder.encode([], role)
    return empty


@dataclass
class Remembered:
    """What the vector cache holds of an encoder's embeddings in one role.

    `cache` is None where nothing is kept: the encoder's facts are not known, the cache is off, or
    it cannot be used, of which NearfieldWarning warns.
    """

    encoder: Encoder[Any]
    role: Role
    cache: VectorCache | None = None

    @classmethod
    def of(cls, encoder: Encoder[Any], role: Role) -> Remembered:
        """Raises ContractError for a role that the encoder does not know."""
        remembered = cls(encoder, role)
        facts = encoder.facts(role)
        if facts is not None:
            try:
                remembered.cache = VectorCache.open(facts, model=encoder.contract.name)
            except StorageError as error:
                remembered.do_without(error)
        return remembered

    def find(self, keys: Sequence[bytes]) -> Found:
        """What there is of the texts with the hashes `keys`."""
        none = np.empty(0, np.int64)
        return self.safely(lambda cache: cache.find(keys)) or Found(none, [], none.reshape(0, 3))

    def keep(
        self, keys: Sequence[bytes], made: Embeddings, counts: Integers, seconds: float
    ) -> None:
        """Keep the embeddings `made` of the texts with the hashes `keys`; see `VectorCache.add`."""
        if keys:
            self.safely(lambda cache: cache.add(keys, made.records(), counts, seconds=seconds))

    def safely(self, use: Callable[[VectorCache], T]) -> T | None:
        """What `use` makes of the cache; None where there is none, or where it fails and is done
        without from here on.
        """
        try:
            return None if self.cache is None else use(self.cache)
        except StorageError as error:
            self.do_without(error)
            return None

    def do_without(self, error: StorageError) -> None:
        """Go on without the cache, and say so."""
        warnings.warn(f"{error}; this run goes on without it", NearfieldWarning, stacklevel=5)
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


def _encoded(remembered: Remembered, texts: Sequence[str], progress: Progress) -> Embeddings:
    keys = [text_hash(text) for text in texts]
    by_key = dict(zip(keys, texts, strict=True))
    distinct = list(by_key)
    found = remembered.find(distinct)
    missing = np.setdiff1d(np.arange(len(distinct)), found.items)
    made = _fresh(remembered, {distinct[at]: by_key[distinct[at]] for at in missing}, progress)
    parts = made.parts
    if found.records or not parts:
        empty = nothing(remembered.encoder, remembered.role)
        parts = [empty.of_records(found.records) if found.records else empty, *parts]
    held: Any = parts[0] if len(parts) == 1 else type(parts[0]).join(parts)
    # where each distinct text lies in `held`, and by that each text
    row = {distinct[at]: row for row, at in enumerate([*found.items, *missing])}
    wanted = np.array([row[key] for key in keys], np.int64)
    if not np.array_equal(wanted, np.arange(len(held))):
        held = held[wanted]
    counts = np.concatenate([found.counts, made.counts])[wanted]
    before = _seconds_before(remembered, [distinct[at] for at in found.items])
    seconds = 0.0 if before is None else before + made.seconds
    usage = replace(
        Usage.counted(counts),
        seconds=seconds,
        unknown_tokens=made.unknown,
        nothing_known=int((counts[:, 0] == 0).sum()),
    )
    result: Embeddings = replace(held, usage=usage, counts=counts[:, :2])
    return result


def _fresh(remembered: Remembered, texts: dict[bytes, str], progress: Progress) -> _Fresh:
    """The embeddings of different texts by their hashes, made and kept piece by piece."""
    made = _Fresh([], np.zeros((len(texts), 3), np.int64))
    pace = Pace(FIRST)
    start = 0
    keys = list(texts)
    items = list(texts.values())
    while start < len(items):
        piece = slice(start, min(len(items), start + pace.rows))
        told = _after(progress, start, len(items))
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given once, for all texts
            part = remembered.encoder.encode(items[piece], remembered.role, progress=told)
        seconds = part.usage.seconds or time.perf_counter() - started
        if part.counts is not None:
            made.counts[piece, :2] = part.counts
        made.counts[piece, 2] = part.usage.prompt_tokens // len(part)
        remembered.keep(keys[piece], part, made.counts[piece], seconds)
        made.parts.append(part)
        made.seconds += seconds
        made.unknown += part.usage.unknown_tokens
        pace.took(len(part), len(part), seconds)
        start = piece.stop
    return made


def _after(progress: Progress, before: int, whole: int) -> Progress:
    """The progress of a piece that comes after `before` of the `whole`."""

    def told(done: int, total: int, note: str = "") -> None:
        progress(before + done, whole, note)

    return told


def _seconds_before(remembered: Remembered, keys: Sequence[bytes]) -> float | None:
    """What it took to make the texts with these hashes, those without a time taken for the mean of
    the others; None where none has one.
    """
    known = remembered.safely(lambda cache: cache.seconds(keys)) or {}
    if not known:
        return None if keys else 0.0
    return sum(known.values()) * len(keys) / len(known)


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
