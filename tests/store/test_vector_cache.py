"""Vectors by their texts' hashes: what is given back is what was put in, and what was not used for
longest goes first.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import InputError, NearfieldWarning, StorageError
from nearfield.store.vector_cache import Found, VectorCache, kept_vectors, limit_bytes, remove_file

DIM = 64
FACTS = {
    "files": "f" * 64,
    "runtime": "native",
    "precision": "float32",
    "prompt": "",
    "dim": str(DIM),
}


def opened(folder: Path, files: str, *, used: float | None = None) -> VectorCache:
    cache = VectorCache.open(FACTS | {"files": files}, model=f"model {files}", folder=folder)
    assert cache is not None
    if used is not None:
        os.utime(cache.path, (used, used))
    return cache


def filled(cache: VectorCache, count: int, *, seed: int = 0) -> tuple[list[bytes], np.ndarray]:
    hashes = [f"{seed}-{number}".encode().ljust(16) for number in range(count)]
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    cache.add(
        hashes, [vector.tobytes() for vector in vectors], np.tile(np.arange(count)[:, None], 3)
    )
    return hashes, vectors


def read(found: Found) -> np.ndarray:
    return np.frombuffer(b"".join(found.records), np.float32).reshape(-1, DIM)


def test_what_was_put_in_is_given_back_in_the_order_asked_for(tmp_path: Path) -> None:
    cache = opened(tmp_path, "a")
    hashes, vectors = filled(cache, 1200)
    found = cache.find([*reversed(hashes), b"absent".ljust(16)])
    np.testing.assert_array_equal(found.items, np.arange(1200))
    np.testing.assert_array_equal(read(found), vectors[::-1])
    np.testing.assert_array_equal(found.counts[:, 0], np.arange(1200)[::-1])
    # the first that came stays
    cache.add(hashes[:1], [vectors[1].tobytes()], np.zeros((1, 3), np.int64))
    np.testing.assert_array_equal(read(cache.find(hashes[:1])), vectors[:1])
    assert not len(cache.find([]).items)
    cache.close()
    again = opened(tmp_path, "a")
    np.testing.assert_array_equal(read(again.find(hashes[5:6])), vectors[5:6])
    again.close()
    (kept,) = kept_vectors(tmp_path)
    assert kept.facts() | {"model": "model a", "vectors": "1200", "dim": "64"} == kept.facts()


def test_what_was_not_used_for_longest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, older, new = (
        opened(tmp_path, name, used=used)
        for name, used in (("old", 2e9), ("older", 1e9), ("new", 3e9))
    )
    for cache in (old, older):
        filled(cache, 400)
        cache.close()
    os.utime(old.path, (2e9, 2e9))
    os.utime(older.path, (1e9, 1e9))
    sizes = {kept.path: kept.size for kept in kept_vectors(tmp_path)}
    monkeypatch.setenv("NEARFIELD_CACHE_GB", str((sum(sizes.values()) + 20_000) / 1e9))
    hashes, vectors = filled(new, 300)
    assert {kept.path for kept in kept_vectors(tmp_path)} == {old.path, new.path}, (
        "the one that was not used for longest is gone"
    )
    np.testing.assert_array_equal(read(new.find(hashes)), vectors)
    assert not new.full
    new.close()


def test_what_has_no_room_even_alone_is_not_kept_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, small = opened(tmp_path, "other"), opened(tmp_path, "small")
    filled(other, 10)
    monkeypatch.setenv("NEARFIELD_CACHE_GB", "0.0001")
    hashes, _ = filled(small, 2000)
    assert small.full
    assert not len(small.find(hashes).items)
    assert len(kept_vectors(tmp_path)) == 2
    filled(small, 1, seed=1)  # once full, nothing is tried again
    assert small.full
    for cache in (other, small):
        cache.close()


def test_no_cache_and_a_bad_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_CACHE_GB", "0")
    assert VectorCache.open(FACTS, folder=tmp_path) is None
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("NEARFIELD_CACHE_GB", wrong)
        with pytest.raises(InputError, match="wanted a number of gigabytes"):
            limit_bytes()


def test_a_file_that_is_no_database_is_begun_again(tmp_path: Path) -> None:
    cache = opened(tmp_path, "a")
    cache.close()
    cache.path.write_bytes(b"no database" * 100)
    (kept,) = kept_vectors(tmp_path)
    with pytest.raises(StorageError, match="could not be used"):
        kept.facts()
    with pytest.warns(
        NearfieldWarning, match="the cache of vectors is damaged .* it is made again"
    ):
        cache = opened(tmp_path, "a")
    hashes, vectors = filled(cache, 3)
    np.testing.assert_array_equal(read(cache.find(hashes)), vectors)
    cache.close()


def test_a_file_of_another_models_vectors_is_begun_again(tmp_path: Path) -> None:
    one, other = opened(tmp_path, "one"), opened(tmp_path, "other")
    hashes, _ = filled(one, 3)
    for cache in (one, other):
        cache.close()
    os.replace(one.path, other.path)
    with pytest.warns(NearfieldWarning, match="it is of other vectors"):
        cache = opened(tmp_path, "other")
    assert not len(cache.find(hashes).items)
    cache.close()


def test_a_flipped_bit_is_never_given_back(tmp_path: Path) -> None:
    cache = opened(tmp_path, "a")
    hashes, vectors = filled(cache, 40)
    cache.close()
    whole = cache.path.read_bytes()
    random = np.random.default_rng(0)
    dropped = begun_again = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[random.integers(len(damaged))] ^= 1 << int(random.integers(8))
        for kept in kept_vectors(tmp_path):
            remove_file(kept.path)
        cache.path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cache = opened(tmp_path, "a")
            found = cache.find(hashes)
            filled(cache, 40)  # what was dropped is kept again
        np.testing.assert_array_equal(read(found), vectors[found.items])
        np.testing.assert_array_equal(found.counts[:, 0], found.items)
        dropped += any("with a wrong checksum" in str(each.message) for each in said)
        begun_again += any("the cache of vectors is damaged" in str(each.message) for each in said)
        np.testing.assert_array_equal(read(cache.find(hashes)), vectors)
        cache.close()
    assert dropped > 20, "most of the file is vectors"
    assert begun_again
