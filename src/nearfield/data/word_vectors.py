"""Words and their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearfield.data.arrow import open_table, positions, write_table
from nearfield.data.cache import files_key
from nearfield.data.readers.lines import reading
from nearfield.data.readers.word_vectors import word_vector_blocks
from nearfield.data.texts import Texts
from nearfield.errors import InputError
from nearfield.formats.model_folder import contract_json
from nearfield.formats.static_folder import (
    UNKNOWN,
    UNLIMITED,
    read_table,
    write_static_config,
    write_word_tokeniser,
)
from nearfield.store.atomic import write_json
from nearfield.store.home import home
from nearfield.store.kept import kept_folder
from nearfield.store.mapped import map_tensors, write_rows
from nearfield.types.arrays import Floats, Positions
from nearfield.types.contract import Contract

_BLOCK = 8192  # words made into Python strings at a time


@dataclass(frozen=True)
class WordVectors:
    """n words, no two alike, in the order of their file (most files have the most frequent first),
    and their vectors.

    `words`: (n,) Arrow strings; `vectors`: (n, dim) floats, both memory-mapped where they lie on
    disk.
    """

    name: str
    words: pa.ChunkedArray
    vectors: Floats

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def open(cls, path: str | Path) -> WordVectors:
        """The words of a file or folder that `word_vector_blocks` reads (converted once, in the
        cache), or of a static model's folder.

        Raises InputError for what is neither, and as `word_vector_blocks` does.
        """
        path = Path(path)
        static = (path / "config.json").exists() or (path / "tokenizer.json").exists()
        folder = path if static else word_folder(path)
        table = read_table(folder)
        if (folder / "words.arrow").exists():
            words = open_table(folder / "words.arrow")["word"]
        else:
            words = _tokens(folder)
        # behind the words' rows may be one for the unknown word
        return cls(_name_of(path), words, table[: len(words)])

    def first(self, count: int) -> WordVectors:
        """The first `count` words."""
        return WordVectors(self.name, self.words.slice(0, count), self.vectors[:count])

    def positions(self, words: Sequence[str]) -> Positions:
        """(len(words),) places of `words`, -1 for those that are not there."""
        return positions(pa.array(words, pa.string()), self.words)

    def folded(self) -> pa.ChunkedArray:
        """(n,) the words in upper case, by Python's rules. Of words that are then alike, the first
        is the one that counts.
        """
        chunks = []
        for start in range(0, len(self.words), _BLOCK):
            block = self.words.slice(start, _BLOCK).to_pylist()
            chunks.append(pa.array([word.upper() for word in block], pa.string()))
        return pa.chunked_array(chunks, pa.string())

    def word(self, position: int) -> str:
        """The word at a place."""
        text: str = self.words[int(position)].as_py()
        return text


def word_folder(path: Path) -> Path:
    """The folder of the static model that the word vectors at `path` make, in the cache; made when
    it is not there.

    A text is split at white space and around punctuation, in lower case where no word has an
    upper-case letter. Words that come again are left out after the first. Raises InputError as
    `word_vector_blocks` does, StorageError where the cache cannot be written.
    """
    if not path.exists():
        raise InputError("does not exist; check the path", path=path)
    with reading(path):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        key = files_key("words", [file for file in files if file.is_file()])

    def make(stage: Path) -> None:
        write_word_folder(stage, word_vector_blocks(path), name=_name_of(path))

    return kept_folder(home() / "words" / key, make)


def _name_of(path: Path) -> str:
    return path.stem if path.is_file() else path.name


def write_word_folder(
    stage: Path, blocks: Iterable[tuple[list[str], Floats]], *, name: str
) -> None:
    """Write the static model of words and vectors into the staged folder: a mean of word vectors,
    not normalised, under cosine.
    """
    chunks: list[pa.Array] = []
    file = stage / "model.safetensors"

    # the words are collected as the vectors pass, which are never all in memory
    def vectors() -> Iterator[Floats]:
        block = np.empty((0, 0), np.float32)
        for texts, block in blocks:
            chunks.append(pa.array(texts, pa.string()))
            yield block
        yield np.zeros((1, block.shape[1]), np.float32)  # the unknown word's

    write_rows(file, "embeddings", vectors())
    words = _once(pa.chunked_array(chunks, pa.string()), file)
    unknown = UNKNOWN  # under a name that no word of the file has
    while pc.is_in(pa.scalar(unknown), value_set=words).as_py():
        unknown += "_"
    lower = bool(pc.all(pc.equal(pc.utf8_lower(words), words)).as_py())
    write_word_tokeniser(stage / "tokenizer.json", Texts(words), lower_case=lower, unknown=unknown)
    write_table(stage / "words.arrow", pa.table({"word": words}))
    contract = Contract(name, map_tensors(file)["embeddings"].shape[1], UNLIMITED, normalise=False)
    write_static_config(stage, contract, made_from=name)
    write_json(stage / "nearfield.json", contract_json(contract))


def _once(words: pa.ChunkedArray, file: Path) -> pa.ChunkedArray:
    """`words` without those that came before, whose rows are taken out of the file; its last row
    stays.
    """
    # each word's first place is its own place, but for one that came before
    kept = pc.index_in(words, value_set=words).to_numpy() == np.arange(len(words))
    if kept.all():
        return words
    table = map_tensors(file)["embeddings"]
    rows = np.append(np.flatnonzero(kept), len(words))
    again = file.with_suffix(".again")
    blocks = (table[rows[start : start + _BLOCK]] for start in range(0, len(rows), _BLOCK))
    write_rows(again, "embeddings", blocks)
    again.replace(file)
    return words.filter(pa.array(kept))


def _tokens(folder: Path) -> pa.ChunkedArray:
    """The tokens of a static model's tokeniser in the order of their ids."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    return pa.chunked_array([pa.array(by_id, pa.string())])
