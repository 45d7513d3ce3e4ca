"""A shard's vectors: from the cache where they are there, each distinct text encoded once else."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearfield.encoders.bulk.account import FAULTS, Account
from nearfield.encoders.bulk.isolate import Isolated, encode_each
from nearfield.encoders.bulk.job import Part
from nearfield.encoders.bulk.manifest import DONE, FAILED, SCHEMA, TRUNCATED
from nearfield.encoders.bulk.request import Request
from nearfield.encoders.bulk.shards import Shard
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, NearfieldWarning, StorageError, TruncationWarning
from nearfield.similarity.dense import Dense
from nearfield.store.vector_cache import Found, VectorCache
from nearfield.types.progress import Progress, silent
from nearfield.types.usage import Usage


class PartMaker:
    """Makes parts of shards with one encoder for one request. A `cache` that fails is done without, with a warning."""

    def __init__(self, encoder: Encoder, request: Request, cache: VectorCache | None) -> None:
        self.encoder, self.request, self.cache = encoder, request, cache

    def make(self, shard: Shard, first: int, *, progress: Progress = silent) -> Part:
        """What is written of `shard`, whose first vector is number `first`.

        The vectors that the model made are in the cache when this returns. Raises InputError for a row that fails where the
        request is strict.
        """
        started = time.perf_counter()
        self._refuse(next((row.fault for row in shard.rows if row.fault), ""))
        distinct = {key: at for at, key in enumerate(dict.fromkeys(key for key in shard.hashes if key))}
        made, cached = self._vectors(shard, list(distinct), progress)
        stored, bounds = self._stored(made)
        self._refuse(next(iter(made.faults.values()), ""))
        places = np.array([distinct.get(key, -1) for key in shard.hashes], np.int64)
        faults = [row.fault or made.faults.get(int(at), "") for row, at in zip(shard.rows, places, strict=True)]
        good = np.array([not fault for fault in faults], bool)
        counts = np.zeros((len(shard.rows), 3), np.int64)
        counts[good] = made.counts[places[good]]
        account = _account(shard, faults, counts, int(cached.sum()), made.unknown, time.perf_counter() - started)
        manifest = _manifest(shard, faults, counts, first)
        ids = [row.key for row, fault in zip(shard.rows, faults, strict=True) if not fault]
        return Part(manifest, stored.vectors[places[good]], ids, account, bounds)

    def _refuse(self, fault: str) -> None:
        if fault and self.request.strict:
            raise InputError(f"{fault} (a strict run ends at the first row that cannot be encoded)")

    def _vectors(self, shard: Shard, keys: list[bytes], progress: Progress) -> tuple[Isolated, npt.NDArray[np.bool_]]:
        """The vectors of the texts with the hashes `keys`, and which of them came from the cache."""
        texts = {key: row.text for key, row in zip(reversed(shard.hashes), reversed(shard.rows), strict=True)}
        found = self._found(keys)
        cached = np.zeros(len(keys), bool)
        cached[found.items] = True
        missing = np.flatnonzero(~cached)
        fresh = self._encode([texts[keys[at]] for at in missing], progress)
        good = np.array([at for at in range(len(missing)) if at not in fresh.faults], np.int64)
        self._keep([keys[missing[at]] for at in good], fresh.vectors[good], fresh.counts[good])
        vectors = np.zeros((len(keys), self.encoder.contract.dim), np.float32)
        counts = np.zeros((len(keys), 3), np.int64)
        for items, new, numbers in ((found.items, found.vectors, found.counts), (missing, fresh.vectors, fresh.counts)):
            vectors[items], counts[items] = new, numbers
        return Isolated(vectors, counts, {int(missing[at]): why for at, why in fresh.faults.items()}, fresh.unknown), cached

    def _found(self, keys: list[bytes]) -> Found:
        try:
            if self.cache is not None:
                return self.cache.find(keys)
        except StorageError as error:
            self._do_without(error)
        none = np.empty(0, np.int64)
        return Found(none, np.empty((0, self.encoder.contract.dim), np.float32), none.reshape(0, 3))

    def _keep(self, keys: list[bytes], vectors: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]) -> None:
        try:
            if self.cache is not None and keys:
                self.cache.add(keys, vectors, counts)
        except StorageError as error:
            self._do_without(error)

    def _do_without(self, error: StorageError) -> None:
        warnings.warn(f"{error}; this run goes on without it", NearfieldWarning, stacklevel=4)
        self.cache = None

    def _encode(self, texts: list[str], progress: Progress) -> Isolated:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)  # given once, for the whole run
            return encode_each(self.encoder, texts, self.request.role, progress=progress)

    def _stored(self, made: Isolated) -> tuple[Dense, npt.NDArray[np.float32]]:
        """The vectors as they are stored (float32 for int8, whose ranges are known at the end), and the bounds of each dimension.

        A vector that the storage type cannot hold is one more fault.
        """
        cut = self.request.cut(Dense.under(self.encoder.contract, made.vectors))
        storage = self.request.first_storage
        if storage == "float16":
            greatest = np.finfo(np.float16).max
            for at in np.flatnonzero(np.abs(cut.vectors).max(1, initial=0.0) > greatest).tolist():
                made.faults.setdefault(at, f"its vector has values that float16 cannot hold (up to {greatest:g}); keep float32")
            cut = replace(cut, vectors=np.clip(cut.vectors, -greatest, greatest))
        held = np.delete(cut.vectors, list(made.faults), axis=0) if made.faults else cut.vectors
        low, high = held.min(0, initial=np.inf), held.max(0, initial=-np.inf)
        return cut.quantise(storage), np.stack([low, high]).astype(np.float32)


def _account(shard: Shard, faults: list[str], counts: npt.NDArray[np.int64], cached: int, unknown: int, seconds: float) -> Account:
    failed = [fault if row.fault else f"{row.key}: {fault}" for row, fault in zip(shard.rows, faults, strict=True) if fault]
    empty = [row.key for row, fault in zip(shard.rows, faults, strict=True) if not fault and not row.text.strip()]
    good = len(shard.rows) - len(failed)
    distinct = len({key for key, fault in zip(shard.hashes, faults, strict=True) if not fault})
    read, lost, prompted = counts.sum(0).tolist()
    return Account(
        rows=len(shard.rows),
        failed=len(failed),
        empty=len(empty),
        cached=cached,
        repeated=good - distinct,
        usage=Usage(
            good,
            read,
            int((counts[:, 1] > 0).sum()),
            lost,
            prompted,
            seconds,
            unknown,
            sum(not fault for fault, read in zip(faults, counts[:, 0].tolist(), strict=True) if not read),
        ),
        faults=tuple(failed[:FAULTS]),
        first_empty=empty[0] if empty else "",
    )


def _manifest(shard: Shard, faults: list[str], counts: npt.NDArray[np.int64], first: int) -> pa.Table:
    good = np.array([not fault for fault in faults], bool)
    lost = counts[:, 1]
    columns = {
        "row": [row.number for row in shard.rows],
        "id": [row.key for row in shard.rows],
        "state": [FAILED if fault else TRUNCATED if cut else DONE for fault, cut in zip(faults, (lost > 0).tolist(), strict=True)],
        "vector": pa.array(first + np.cumsum(good) - 1, mask=~good),
        "tokens": pa.array(counts[:, 0], mask=~good),
        "tokens_lost": pa.array(lost, mask=~good),
        "hash": [key or None for key in shard.hashes],
        "reason": [fault or None for fault in faults],
    }
    arrays = [
        pa.array(columns[field.name], field.type) if isinstance(columns[field.name], list) else columns[field.name] for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, names=SCHEMA.names).cast(SCHEMA)
