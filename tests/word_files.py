"""Small files of word vectors in every format, of the same words and numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = [
    "the",
    "king",
    "queen",
    "man",
    "woman",
    "king's",
    "naïve",
    "東京",
    "1,000",
    "cat",
    "dog",
    ".",
]


def some_vectors(
    count: int = len(WORDS), dim: int = 4, *, seed: int = 0
) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def write_text(
    path: Path,
    words: list[str],
    vectors: npt.NDArray[np.float32],
    *,
    header: bool = False,
    tail: str = "",
) -> Path:
    lines = [
        f"{word} {' '.join(repr(float(value)) for value in row)}{tail}"
        for word, row in zip(words, vectors, strict=True)
    ]
    head = [f"{len(words)} {vectors.shape[1]}"] if header else []
    path.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return path


def write_binary(
    path: Path, words: list[str], vectors: npt.NDArray[np.float32], *, breaks: bool = True
) -> Path:
    rows = [
        word.encode() + b" " + row.tobytes() + (b"\n" if breaks else b"")
        for word, row in zip(words, vectors, strict=True)
    ]
    path.write_bytes(f"{len(words)} {vectors.shape[1]}\n".encode() + b"".join(rows))
    return path


def write_every_format(
    folder: Path, words: list[str], vectors: npt.NDArray[np.float32]
) -> dict[str, Path]:
    """GloVe, word2vec, fastText (blanks at the ends of lines), binary with and without line breaks,
    gzip, array and table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "glove": write_text(folder / "glove.txt", words, vectors),
        "word2vec": write_text(folder / "w2v.txt", words, vectors, header=True),
        "fasttext": write_text(folder / "ft.vec", words, vectors, header=True, tail=" "),
        "binary": write_binary(folder / "w2v.bin", words, vectors),
        "unbroken": write_binary(folder / "unbroken.bin", words, vectors, breaks=False),
    }
    for name in ("fasttext", "binary"):
        packed = made[name].with_name(made[name].name + ".gz")
        packed.write_bytes(gzip.compress(made[name].read_bytes()))
        made[f"{name} gzip"] = packed
    pair = folder / "pair"
    pair.mkdir()
    np.save(pair / "vectors.npy", np.asfortranarray(vectors))
    pq.write_table(pa.table({"index": words}), pair / "words.parquet")
    return made | {"pair": pair}
