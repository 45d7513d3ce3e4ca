"""Damaged vector folders of every kind and storage type, opened and searched by each kind of index.

    python tests/fuzz/vectors.py --count 2000

Each must work or be refused by an error of ours. What works must hold the very values that were
written, unless what would have told the damage (checksums.json, which older folders lack) is
missing, too.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa

from fuzz.count import main
from fuzz.mutate import damage_folder
from fuzz.worker import Canary

N, DIM, TERMS = 40, 20, 50
STORAGES = ("float32", "float16", "int8", "binary")
TASK = "fuzz.vectors:attempt"


def kinds() -> dict[str, Any]:
    """Embeddings of every kind, by kind and storage."""
    from nearfield.similarity.dense import Dense
    from nearfield.similarity.fused import Fused
    from nearfield.similarity.multi_vector import MultiVector
    from nearfield.similarity.sparse import Sparse

    generator = np.random.default_rng(0)
    plain = Dense(generator.standard_normal((N, DIM)).astype(np.float32), DIM)
    weights = generator.random((N, TERMS)) * (generator.random((N, TERMS)) < 0.1)
    terms = Sparse.of(weights.astype(np.float32))
    lengths = generator.integers(0, 4, N)
    tokens = Dense(generator.standard_normal((int(lengths.sum()), DIM)).astype(np.float32), DIM)
    late = MultiVector(tokens, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    made: dict[str, Any] = {f"dense-{storage}": plain.quantise(storage) for storage in STORAGES}
    made["dense-cut"] = replace(plain, layer_norm=True).truncate(DIM // 2)
    made["dense-euclidean"] = replace(plain, similarity="euclidean")
    made |= {f"sparse-{storage}": terms.quantise(storage) for storage in STORAGES[:2]}
    made |= {f"multi-vector-{storage}": late.quantise(storage) for storage in STORAGES}
    made |= {
        f"several-{storage}": Fused(
            {"dense": plain, "sparse": terms, "multi-vector": late}
        ).quantise(storage)
        for storage in STORAGES[:2]
    }
    return made


@cache
def whole_folders() -> Path:
    """A folder with a whole vector folder of each kind and storage; indexes lie in those of dense
    vectors.
    """
    from nearfield.indexes.funnel import Funnel
    from nearfield.indexes.signs import Signs
    from nearfield.similarity.dense import Dense
    from nearfield.store.made_by import MadeBy
    from nearfield.store.vector_cache import text_hash
    from nearfield.vectors.manifest import FILE, SCHEMA, write_manifest

    root = Path(tempfile.mkdtemp(prefix="nearfield-fuzz-"))
    rows = [
        {
            "row": at + 1,
            "id": str(at),
            "state": "done",
            "vector": at,
            "tokens": 3,
            "tokens_lost": 0,
            "hash": text_hash(str(at)),
        }
        for at in range(N)
    ]
    for name, made in kinds().items():
        made.save(root / name, ids=[str(at) for at in range(N)])
        write_manifest([pa.Table.from_pylist(rows, SCHEMA)], root / name / FILE)
        MadeBy("model", "model", "0" * 64, "document").save(root / name)
        if isinstance(made, Dense):
            for kind in (Funnel, Signs):
                kind.of(made).save(root / name / f"index-{kind.kind}")
    return root


def make(number: int, random: Random, place: Path) -> tuple[Any, str]:
    """A damaged folder at `place`, as `fuzz.count` wants it."""
    names = sorted(kinds_by_name())
    name = names[number % len(names)]
    folder = place / "vectors"
    shutil.copytree(whole_folders() / name, folder)
    older = random.random() < 0.5
    if older:  # what is checked only then is checked without them, too
        (folder / "checksums.json").unlink()
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    outside = place.parents[1] / "outside"
    what = damage_folder(folder, random, elsewhere=elsewhere, outside=outside)
    told = (folder / "checksums.json").exists() and "checksums.json" not in what
    return [str(folder), name if told else ""], (
        f"{name}{' without checksums' if older else ''}: {what}"
    )


@cache
def kinds_by_name() -> dict[str, Any]:
    """`kinds`, made once."""
    return kinds()


def attempt(value: list[str]) -> None:
    """Open the folder and search it by all that can search it; where the damage must be told,
    compare with what was written.
    """
    from nearfield.errors import NearfieldError
    from nearfield.indexes.exact import Exact
    from nearfield.indexes.index import exact_index
    from nearfield.retrieval.indexed import indexed
    from nearfield.retrieval.vector_folder import check_maker
    from nearfield.similarity.dense import Dense
    from nearfield.similarity.open import open_embeddings
    from nearfield.similarity.stored import read_ids, stored_size
    from nearfield.vectors.manifest import changed_texts, texts_in

    folder, name = Path(value[0]), value[1]
    stored = open_embeddings(folder)
    if name:
        written = kinds_by_name()[name]
        for part, array in stored.arrays().items():
            np.testing.assert_array_equal(array, written.arrays()[part])
    refused: NearfieldError | None = None
    index = exact_index(stored)
    for asked in (stored[:2], kinds_by_name()["dense-float32"][:2]):
        try:
            index.search(asked, 3)
        except NearfieldError as error:  # the other kind, or another dim
            refused = error
    if isinstance(stored, Dense):
        query = Dense(stored[:2].floats(), stored.dim, similarity=stored.similarity)
        Exact(stored).search(query, 3)
        for kind in ("funnel", "binary"):
            indexed(stored, kind, k=2, recall=0.01, folder=folder).search(query, 2)
    list(read_ids(folder) or ())
    texts_in(folder)
    stored_size(folder)
    changed_texts(folder, [str(at) for at in range(N)])
    check_maker(folder, "0" * 64, "model")
    if refused is not None and name and not re.search("queries are| is for ", str(refused)):
        raise refused


def canary(path: Path) -> Canary:
    """A vector folder outside, which nothing may read."""
    vectors = (whole_folders() / "dense-float32" / "vectors.npy").read_bytes()
    facts = (whole_folders() / "dense-float32" / "vectors.json").read_bytes()
    return Canary(
        path,
        {"vectors.npy": vectors, "vectors.json": facts, "codes.npy": vectors, "index.json": b"{}"},
    )


if __name__ == "__main__":
    try:
        sys.exit(main(TASK, make, canary=canary))
    finally:
        shutil.rmtree(whole_folders())
