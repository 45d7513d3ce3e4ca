"""The manifest of a vector folder: what became of each row of the input, in the rows' order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.errors import InputError, first_line
from nearfield.store.atomic import staged_file
from nearfield.store.regular import open_regular
from nearfield.store.vector_cache import text_hash

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
    """Write the parts, in their order, as one Parquet file, whole or not at all; what the file is
    does not depend on the cuts between the parts, few of which are held at a time.
    """
    held = SCHEMA.empty_table()
    with staged_file(path) as stage, pq.ParquetWriter(stage, SCHEMA, compression="zstd") as writer:
        for part in parts:
            held = pa.concat_tables([held, part])
            # row groups of one size, wherever a run was cut into parts
            while len(held) >= _BATCH:
                writer.write_table(held.slice(0, _BATCH))
                held = held.slice(_BATCH)
        if len(held):
            writer.write_table(held.combine_chunks())


def texts_in(folder: Path) -> npt.NDArray[np.uint64] | None:
    """(n,) the first 8 bytes of the hash of each vector's text in `folder`, which tell it from
    others; None without a whole manifest.
    """
    found = [np.empty(0, np.uint64)]
    try:
        for part in _hashes(folder / FILE):
            found.append(short_hashes(part.values()))
    except InputError:
        return None
    return np.concatenate(found)


def _hashes(path: Path) -> Iterator[dict[int, bytes]]:
    """The hash of each vector's text by the vector's number, some rows at a time. Raises InputError
    where the manifest is not whole.
    """
    wanted = pa.schema([SCHEMA.field("vector"), SCHEMA.field("hash")])
    try:
        # else all row groups stay in memory
        with (
            open_regular(path) as source,
            pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file,
        ):
            for batch in file.iter_batches(_BATCH, columns=wanted.names):
                rows = pa.Table.from_batches([batch]).select(wanted.names)
                if not rows.schema.equals(wanted):
                    raise InputError(
                        "has columns of other types; encode the texts again", path=path
                    )
                pairs = zip(rows["vector"].to_pylist(), rows["hash"].to_pylist(), strict=True)
                yield {vector: known for vector, known in pairs if vector is not None and known}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(
            f"is damaged ({first_line(error)}); encode the texts again", path=path
        ) from error


def short_hashes(hashes: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """(n,) the first 8 bytes of each."""
    beginnings = [known[:8] for known in hashes]
    return np.frombuffer(b"".join(beginnings), np.uint64)


def changed_texts(folder: Path, texts: Sequence[str]) -> list[int]:
    """The positions of those of `texts`, one for each vector, that are others than the vectors in
    `folder` were made of; none of a folder without a manifest, nor of vectors without a hash.
    """
    if not os.path.lexists(folder / FILE):
        return []
    made: dict[int, bytes] = {}
    for part in _hashes(folder / FILE):
        made |= part
    # a vector without a hash counts as unchanged: nothing says of what text it is
    return [at for at, text in enumerate(texts) if made.get(at) not in (None, text_hash(text))]
