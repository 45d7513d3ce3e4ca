"""Texts that are encoded once as long as the weights stay the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfield.encoders.encoder import Encoder
from nearfield.similarity.embeddings import Embeddings
from nearfield.store.vector_cache import text_hash
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, Role
from nearfield.types.usage import Usage


class EncodedOnce(Encoder[Any]):
    """`encoder`, of which each document is encoded once until `forget` says that its weights are
    others now: what `encoded` is for weights that no file has.

    Queries are few and are encoded whenever they are asked for, so that the time of a query can be
    measured.
    """

    def __init__(self, encoder: Encoder[Any]) -> None:
        self.encoder = encoder
        self.contract = encoder.contract
        self._handed = False
        self.forget()

    @property
    def identity(self) -> dict[str, str] | None:
        """None where some documents were made by another encoder of the same weights, maybe of
        another runtime.
        """
        return None if self._handed else self.encoder.identity

    def forget(self) -> None:
        """Hold no document: the weights have changed, or are about to."""
        self._places: dict[bytes, int] = {}
        self._held: Embeddings | None = None
        self._counts = np.empty((0, 2), np.int64)
        self._read = np.zeros(len(dataclasses.fields(Usage)))

    def handed_to(self, encoder: Encoder[Any]) -> EncodedOnce:
        """The documents so far, with `encoder`, which has the same weights, for those to come."""
        # copies, as each of the two may go on to encode
        other = EncodedOnce(encoder)
        other._handed = True
        other._places = dict(self._places)
        other._held = self._held
        other._counts = self._counts
        other._read = self._read.copy()
        return other

    @property
    def roles_differ(self) -> bool:
        """See Encoder.roles_differ."""
        return self.encoder.roles_differ

    def encode_as(
        self, role: Role, items: Sequence[str], *, progress: Progress = silent
    ) -> Embeddings:
        """See Encoder.encode_as. `usage.seconds` is what the encoding took, whenever it was."""
        if role != DOCUMENT:
            found: Embeddings = self.encoder.encode(items, role, progress=progress)
            return found
        hashes = [text_hash(item) for item in items]
        missing = {known: at for at, known in enumerate(hashes) if known not in self._places}
        if missing or self._held is None:
            self._add(list(missing), [items[at] for at in missing.values()], progress)
        places = np.array([self._places[known] for known in hashes], np.int64)
        assert self._held is not None
        chosen: Any = self._held
        # a corpus that is encoded again is not copied
        if not np.array_equal(places, np.arange(len(self._held))):
            chosen = self._held[places]
        counts = self._counts[places]
        kept: Embeddings = dataclasses.replace(chosen, counts=counts, usage=self._usage_of(counts))
        return kept

    def _add(self, hashes: list[bytes], texts: list[str], progress: Progress) -> None:
        made: Embeddings = self.encoder.encode(texts, DOCUMENT, progress=progress)
        self._places |= {known: at for at, known in enumerate(hashes, len(self._places))}
        if self._held is None:
            self._held = made
        else:
            self._held = type(made).join([self._held, made])
        counts = made.counts
        if counts is None:
            counts = np.zeros((len(texts), 2), np.int64)
        self._counts = np.concatenate([self._counts, counts])
        self._read += np.array(dataclasses.astuple(made.usage))

    def _usage_of(self, counts: Positions) -> Usage:
        """What was read of documents with these `counts`; what is not counted for each document is
        shared out evenly.
        """
        added: Any = self._read.tolist()
        read = Usage(*added)
        share = len(counts) / max(1, read.items)
        tokens, lost = counts.sum(0).tolist()
        return Usage(
            items=len(counts),
            tokens=tokens,
            truncated=int((counts[:, 1] > 0).sum()),
            tokens_lost=lost,
            prompt_tokens=round(share * read.prompt_tokens),
            seconds=share * read.seconds,
            unknown_tokens=round(share * read.unknown_tokens),
            nothing_known=round(share * read.nothing_known),
            images=round(share * read.images),
        )
