"""Which written queries are worth learning from: each gate says which it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nearfield.data.collection import Collection
from nearfield.data.doctor.words import digests, wording
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.lexical import Lexical
from nearfield.errors import InputError, nearest
from nearfield.indexes.inverted import Inverted
from nearfield.retrieval.bm25 import BM25
from nearfield.retrieval.first_stage import FirstStage
from nearfield.similarity.sparse import Sparse
from nearfield.train.data.leakage import held_out_queries
from nearfield.train.synthesis.matched import FEWEST, Features, kept_by_match
from nearfield.types.arrays import Mask, Positions
from nearfield.types.role import DOCUMENT
from nearfield.types.word_rule import words

_BLOCK = 1024  # queries at a time


@dataclass(frozen=True)
class Written:
    """n queries: `documents[i]` (n,) int64 is the position of the one that query i was written
    for.
    """

    documents: Positions
    styles: Sequence[str]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, kept: Mask) -> Written:
        """Those that are kept."""
        rows = np.flatnonzero(kept).tolist()
        styles = [self.styles[row] for row in rows]
        texts = [self.texts[row] for row in rows]
        return Written(self.documents[kept], styles, texts)


@dataclass(frozen=True)
class Standard:
    """What queries are measured by: the first `top` results of `retriever` (of BM25 where it is
    None) among the collection's documents, the share `overlap` of a query's words, and the `real`
    queries.
    """

    collection: Collection
    real: Sequence[str] = ()
    retriever: Encoder[Any] | None = None
    top: int = 10
    overlap: float = 0.5
    seed: int = 0

    @cached_property
    def lexical(self) -> tuple[Lexical, Sparse]:
        """The words of the documents, and what each weighs in them."""
        return Lexical.fitted(self.collection.document_texts)

    @cached_property
    def stage(self) -> FirstStage:
        """What finds documents."""
        if self.retriever is None:
            lexical, documents = self.lexical
            return FirstStage(BM25, lexical, Inverted.of(documents), ask=lexical.occurrences)
        vectors = self.retriever.encode(self.collection.document_texts, DOCUMENT)
        return FirstStage.exact("model", self.retriever, vectors)


def distinct(written: Written, standard: Standard) -> Mask:
    """The first of equal queries of a document; none that was written for two, which asks for
    neither alone, and none without words.
    """
    keys = digests(map(wording, written.texts))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    # for how many different documents each wording was written
    pairs = np.unique(np.stack([which, written.documents]), axis=1)
    documents = np.bincount(pairs[0], minlength=len(first))
    kept = np.zeros(len(written), bool)
    kept[first[documents == 1]] = True
    kept &= [bool(words(text)) for text in written.texts]
    return kept


def not_held_out(written: Written, standard: Standard) -> Mask:
    """Queries that no held-out split asks, nor nearly the same."""
    _, held = held_out_queries(standard.collection, written.texts)
    return ~held


def answerable(written: Written, standard: Standard) -> Mask:
    """Queries of whose words, by their idf, at least the share `overlap` is in the document. A word
    that no document has weighs as much as the rarest.
    """
    lexical, documents = standard.lexical
    asked = lexical.words.look_up(written.texts)
    rarest = float(lexical.idf.max(initial=1.0))
    kept = np.zeros(len(written), bool)
    for row, place in enumerate(written.documents.tolist()):
        terms = asked.terms[asked.offsets[row] : asked.offsets[row + 1]]
        there = documents.terms[documents.offsets[place] : documents.offsets[place + 1]]
        weights = lexical.idf[terms]
        # a word that no document has is in none of the terms
        whole = float(weights.sum()) + rarest * int(asked.unknown[row])
        found = float(weights[np.isin(terms, there)].sum())
        kept[row] = found >= standard.overlap * whole
    return kept


def round_trip(written: Written, standard: Standard) -> Mask:
    """Queries that find their document among the first `top` (consistency filtering, Alberti et al.
    2019; Promptagator, Dai et al. 2023).
    """
    found = []
    for start in range(0, len(written), _BLOCK):
        asked = written.texts[start : start + _BLOCK]
        found.append(standard.stage.find(asked, standard.top).documents)
    kept: Mask = (np.concatenate(found) == written.documents[:, None]).any(1)
    return kept


def like_real(written: Written, standard: Standard) -> Mask:
    """Queries as long as real ones and as often questions (see `matched`); all where there are too
    few real ones to tell.
    """
    if len(standard.real) < FEWEST:
        return np.ones(len(written), bool)
    real = Features.of(standard.real)
    own = Features.of(written.texts)
    return kept_by_match(own, real, written.texts, seed=standard.seed)


# what searches comes after what only counts words, and what compares the whole sample last
GATES: dict[str, Callable[[Written, Standard], Mask]] = {
    "distinct": distinct,
    "held-out": not_held_out,
    "answerable": answerable,
    "round-trip": round_trip,
    "like-real": like_real,
}
"""In the order in which queries go through them."""


@dataclass(frozen=True)
class Passed:
    """How many queries came to a gate and how many it kept."""

    gate: str
    came: int
    kept: int


def through_gates(
    written: Written, standard: Standard, without: Sequence[str] = ()
) -> tuple[Written, list[Passed]]:
    """The queries that pass all gates but those named in `without`, and what each gate did. Raises
    InputError for the name of none.
    """
    for name in without:
        if name not in GATES:
            known = ", ".join(GATES)
            raise InputError(f"there is no gate {name!r}; wanted {known}.{nearest(name, GATES)}")
    passed = []
    for name, gate in GATES.items():
        if name in without or not len(written):
            continue
        kept = written.part(gate(written, standard))
        passed.append(Passed(name, len(written), len(kept)))
        written = kept
    return written, passed
