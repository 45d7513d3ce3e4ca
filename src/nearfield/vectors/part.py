"""A shard's vectors: from the cache where they are there, each distinct text encoded once else."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield.encoders.encoded import Remembered
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, TruncationWarning
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers
from nearfield.types.progress import Progress, silent
from nearfield.types.usage import Usage
from nearfield.vectors.account import FAULTS, Account
from nearfield.vectors.isolate import Isolated, encode_each
from nearfield.vectors.job import Part
from nearfield.vectors.manifest import DONE, FAILED, SCHEMA, TRUNCATED
from nearfield.vectors.request import Request
from nearfield.vectors.shards import Shard


class PartMaker:
    """Makes parts of shards with one encoder, and what is `remembered` of it, for one request.

    `empty` is the embeddings of no text, as the encoder makes them.
    """

    def __init__(
        self,
        encoder: Encoder[Any],
        remembered: Remembered,
        request: Request,
        *,
        empty: Embeddings,
    ) -> None:
        self.encoder = encoder
        self.remembered = remembered
        self.request = request
        self.empty = empty

    def make(self, shard: Shard, first: int, *, progress: Progress = silent) -> Part:
        """What is written of `shard`, whose first vector is number `first`.

        The vectors that the model made are in the cache when this returns. Raises InputError for a
        row that fails where the request is strict.
        """
        started = time.perf_counter()
        # before the model runs: for a row that cannot be read, a strict run encodes no others
        self._refuse([row.fault for row in shard.rows if row.fault])
        # the number of each different text, by its hash
        distinct: dict[bytes, int] = {}
        for row, key in zip(shard.rows, shard.hashes, strict=True):
            if not row.fault:
                distinct.setdefault(key, len(distinct))
        held = self._held(shard, list(distinct), progress)
        self._refuse([held.faults[at] for at in sorted(held.faults)])
        # (rows,) which text each row has, -1 for a row without one
        text = np.array([distinct.get(key, -1) for key in shard.hashes], np.int64)
        faults = []
        for row, at in zip(shard.rows, text.tolist(), strict=True):
            faults.append(row.fault or held.faults.get(at, ""))
        good = np.array([not fault for fault in faults], bool)
        counts = np.zeros((len(shard.rows), 3), np.int64)
        counts[good] = held.counts[text[good]]
        stored = held.embeddings[held.places[text[good]]].quantise(self.request.first_storage)
        account = _account(shard, faults, counts)
        usage = replace(
            account.usage,
            seconds=time.perf_counter() - started,
            unknown_tokens=held.unknown,
        )
        account = replace(account, cached=held.cached, usage=usage)
        return Part(_manifest(shard, faults, counts, first), stored, account)

    def _refuse(self, faults: list[str]) -> None:
        """Raise InputError with the first of the faults, if any, where the request is strict."""
        if faults and self.request.strict:
            raise InputError(
                f"{faults[0]} (a strict run ends at the first row that cannot be encoded)"
            )

    def _held(self, shard: Shard, keys: list[bytes], progress: Progress) -> _Held:
        """The embeddings of the texts with the hashes `keys`, from the cache where they are
        there.
        """
        texts = {}
        for key, row in zip(shard.hashes, shard.rows, strict=True):
            texts[key] = row.text
        found = self.remembered.find(keys)
        missing = np.setdiff1d(np.arange(len(keys)), found.items)
        started = time.perf_counter()
        fresh = self._encode([texts[keys[at]] for at in missing], progress)
        seconds = time.perf_counter() - started
        good = np.ones(len(missing), bool)
        good[list(fresh.faults)] = False
        made = [keys[at] for at in missing[good]]
        # whole and as float32: the same texts at another dim or storage type are found there, too
        self.remembered.keep(made, fresh.made, fresh.counts[good], seconds)
        counts = np.zeros((len(keys), 3), np.int64)
        counts[found.items] = found.counts
        counts[missing] = fresh.counts
        # the embeddings from the cache come first, and then those that were made
        ordered = np.concatenate([found.items, missing[good]])
        places = np.full(len(keys), -1, np.int64)
        places[ordered] = np.arange(len(ordered))
        whole = fresh.made
        if found.records:
            kept = self.empty.of_records(found.records)
            whole = type(kept).join([kept, whole])
        cut = self.request.cut(whole)
        faults = {int(missing[at]): why for at, why in fresh.faults.items()}
        # looked for here, text by text: `quantise` would refuse the whole shard for one of them
        faults |= self._misfits(cut, ordered)
        return _Held(cut, places, counts, faults, len(found.records), fresh.unknown)

    def _misfits(self, cut: Embeddings, texts: Integers) -> dict[int, str]:
        """Which of the `texts` whose embeddings these are have some that the storage type cannot
        hold, and why.
        """
        if self.request.storage != "float16":
            return {}
        greatest = np.finfo(np.float16).max
        why = f"its vector has values that float16 cannot hold (up to {greatest:g}); keep float32"
        return {int(texts[at]): why for at in np.flatnonzero(cut.peaks() > greatest)}

    def _encode(self, texts: list[str], progress: Progress) -> Isolated:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given once, for the whole run
            return encode_each(
                self.encoder,
                texts,
                self.request.role,
                empty=self.empty,
                progress=progress,
            )


@dataclass(frozen=True)
class _Held:
    """The `embeddings` of n texts: text i's are number `places[i]` of them, -1 where it has none,
    and then `faults` says why.

    `counts`: (n, 3) int64. `cached` of them came from the cache; `unknown` tokens were left out of
    the others.
    """

    embeddings: Embeddings
    places: Integers
    counts: Integers
    faults: dict[int, str]
    cached: int
    unknown: int


def _account(shard: Shard, faults: list[str], counts: Integers) -> Account:
    """What became of the rows, by the fault of each ("" for none) and its (n, 3) counts."""
    failed: list[str] = []
    empty: list[str] = []
    distinct: set[bytes] = set()
    nothing = 0
    every = zip(shard.rows, shard.hashes, faults, counts[:, 0].tolist(), strict=True)
    for row, key, fault, known in every:
        if fault:
            failed.append(fault if row.fault else f"{row.key}: {fault}")
            continue
        distinct.add(key)
        nothing += not known
        if not row.text.strip():
            empty.append(row.key)
    good = len(shard.rows) - len(failed)
    return Account(
        rows=len(shard.rows),
        failed=len(failed),
        empty=len(empty),
        repeated=good - len(distinct),
        usage=replace(Usage.counted(counts), items=good, nothing_known=nothing),
        faults=tuple(failed[:FAULTS]),
        first_empty=empty[0] if empty else "",
    )


def _manifest(shard: Shard, faults: list[str], counts: Integers, first: int) -> pa.Table:
    good = np.array([not fault for fault in faults], bool)
    lost = counts[:, 1]
    state = np.select([~good, lost > 0], [FAILED, TRUNCATED], DONE)
    columns = {
        "row": [row.number for row in shard.rows],
        "id": [row.key for row in shard.rows],
        "state": state.tolist(),
        # vectors are numbered through the run, and a failed row takes no number
        "vector": pa.array(first + np.cumsum(good) - 1, mask=~good),
        "tokens": pa.array(counts[:, 0], mask=~good),
        "tokens_lost": pa.array(lost, mask=~good),
        "hash": [key or None for key in shard.hashes],
        "reason": [fault or None for fault in faults],
    }
    return pa.table(columns, SCHEMA)
