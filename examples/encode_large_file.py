"""Encode a file of any size to vectors on disk, a shard at a time, see what became of each row, and
search the vectors where they lie.

python examples/encode_large_file.py TEXTS FOLDER QUERY [MODEL]

TEXTS holds one text per line. Started again after a kill, it continues.
"""

import json
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from nearfield import load
from nearfield.data.open import open_stream
from nearfield.indexes.exact import Exact
from nearfield.similarity.dense import Dense
from nearfield.vectors.encode_to import encode_to
from nearfield.vectors.request import Request


def main(texts: str, folder: str, query: str, model: str = "minilm") -> None:
    encoder = load(model)
    account = encode_to(encoder, open_stream(texts, "document"), folder, Request(storage="float16"))
    print(
        f"{account.rows} rows, {account.failed} failed; {account.cached} vectors came from the "
        f"cache, {account.repeated} rows repeat others"
    )

    states = pq.read_table(Path(folder) / "manifest.parquet", columns=["state"])["state"]
    print({row["values"]: row["counts"] for row in pc.value_counts(states).to_pylist()})

    documents = Dense.open(folder)  # memory-mapped
    ids = [
        json.loads(line)
        for line in (Path(folder) / "ids.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    found = Exact(documents).search(encoder.encode([query], "query"), 3)
    for line, score in found.named([query], ids).of(0):
        print(f"{score:.3f} line {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
