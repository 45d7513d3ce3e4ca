"""The manifest of a vector folder: what became of each row of the input, in the rows' order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.encoders.bulk.shards import text_hash
from nearfield.store.atomic import staged_file

FILE = "manifest.parquet"
_BATCH = 8192  # rows of a manifest that are looked at together
DONE, TRUNCATED, FAILED = "done", "truncated", "failed"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),  # 1-based line or row of the input
        ("id", pa.string()),
        ("state", pa.string()),  # done, truncated (encoded without its last tokens), or failed
        ("vector", pa.int64()),  # which of the vectors is its own; null where it failed
        ("tokens", pa.int32()),
        ("tokens_lost", pa.int32()),
        ("hash", pa.binary()),  # BLAKE2b of the text's UTF-8, 16 bytes; null where there is no text
        ("reason", pa.string()),  # why it failed
    ]
)


def write_manifest(parts: Iterable[pa.Table], path: Path) -> None:
    """Write the parts, in their order, as one Parquet file, whole or not at all; one part is held at a time."""
    with staged_file(path) as stage, pq.ParquetWriter(stage, SCHEMA, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part)


def texts_in(folder: Path) -> npt.NDArray[np.uint64] | None:
    """(n,) the first 8 bytes of the hash of each vector's text in `folder`, which tell it from others; None without a whole manifest."""
    parts = [np.empty(0, np.uint64)]
    try:
        with pq.ParquetFile(folder / FILE, pre_buffer=False, buffer_size=1 << 20) as file:  # else all row groups stay in memory
            for batch in file.iter_batches(_BATCH, columns=["vector", "hash"]):
                hashes = batch.column("hash").filter(batch.column("vector").is_valid()).drop_null()
                parts.append(short_hashes(hashes.to_pylist()))
    except (pa.ArrowException, OSError, KeyError):
        return None
    return np.concatenate(parts)


def short_hashes(hashes: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """(n,) the first 8 bytes of each."""
    return np.frombuffer(b"".join(each[:8] for each in hashes), np.uint64)


def changed_texts(folder: Path, texts: Sequence[str]) -> list[int]:
    """The positions of those of `texts`, one for each vector, that are others than the vectors in `folder` were made of.

    None where the folder has no manifest, or vectors without a hash.
    """
    if not (folder / FILE).is_file():
        return []
    rows = pq.read_table(folder / FILE, columns=["vector", "hash"])
    made = {vector: known for vector, known in zip(rows["vector"].to_pylist(), rows["hash"].to_pylist(), strict=True) if known}
    return [at for at, text in enumerate(texts) if made.get(at) not in (None, text_hash(text.encode("utf-8", "surrogatepass")))]
