"""Bags of words as sparse vectors: BM25 and TF-IDF, fitted on documents."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from nearfield.batch.words import Numbered, Words
from nearfield.encoders.encoder import Encoder, refuse_one_text
from nearfield.errors import InputError, ModelError, nearest
from nearfield.formats.other_folder import LEXICAL as FILE
from nearfield.formats.other_folder import LEXICAL_FORMAT as FORMAT
from nearfield.formats.other_folder import is_lexical
from nearfield.formats.static_folder import UNLIMITED
from nearfield.similarity.sparse import Sparse
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import Fields, read_fields, read_json
from nearfield.store.fingerprint import model_hash
from nearfield.store.foreign import foreign
from nearfield.store.regular import read_bytes
from nearfield.types.arrays import Doubles, Floats, Integers
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role
from nearfield.types.usage import Usage
from nearfield.types.word_rule import RULE

WEIGHTINGS = ("bm25", "tfidf")
_TEXTS = 65_536  # whose terms are counted and weighted at a time


@dataclass(frozen=True)
class BagOfWords:
    """How words are cut and weighted.

    bm25, Lucene's variant (Kamphuis et al. 2020, Table 1): a document's term weighs idf * tf / (tf
    + k1 * (1 - b + b * length / mean length)) with idf = ln(1 + (N - df + .5) / (df + .5)), a
    query's as often as it is there. Its idf is above 0 for every term; Robertson's is 0 for a term
    in half of the documents, which in a small collection empties rankings. tfidf, scikit-learn's:
    tf * (ln((1 + N) / (1 + df)) + 1), a text's weights of unit length. `stemmer` and `stop_words`
    are as `Words` takes them. Raises InputError for another weighting, k1 below 0 and b that is not
    between 0 and 1.
    """

    weighting: str = "bm25"
    k1: float = 1.5
    b: float = 0.75
    stemmer: str | None = "english"
    stop_words: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            known = ", ".join(WEIGHTINGS)
            raise InputError(
                f"there is no weighting {self.weighting!r}; wanted one of "
                f"{known}.{nearest(self.weighting, WEIGHTINGS)}"
            )
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise InputError(
                f"BM25 got k1 {self.k1:g} and b {self.b:g}; wanted k1 of at least 0 "
                "and b between 0 and 1"
            )

    def idf(self, found_in: Integers, documents: int) -> Floats:
        """What each term's weight is multiplied by, from the number of `documents` that it is found
        in.
        """
        if self.weighting == "tfidf":
            idf = np.log((1 + documents) / (1 + found_in)) + 1
        else:
            idf = np.log(1 + (documents - found_in + 0.5) / (found_in + 0.5))
        return np.asarray(idf, np.float32)


def _bag(stated: Fields) -> BagOfWords:
    """What lexical.json says of a bag."""
    plain = BagOfWords()
    return BagOfWords(
        stated.text("weighting", plain.weighting),
        stemmer=stated.text("stemmer", None),
        stop_words=tuple(stated.texts("stop_words", [])),
        k1=stated.number("k1", plain.k1),
        b=stated.number("b", plain.b),
    )


class Lexical(Encoder[Sparse]):
    """A vocabulary and what its terms weigh, as `BagOfWords` says, from the documents that it was
    fitted on.

    `idf`: (terms,) float32. `mean_length` is that of the documents, in words. Use `fit`, `fitted`
    or `open`.
    """

    worth_caching = False

    def __init__(
        self,
        words: Words,
        bag: BagOfWords,
        idf: Floats,
        mean_length: float,
        *,
        folder: Path | None = None,
    ) -> None:
        self.words = words
        self.bag = bag
        self.idf = idf
        self.mean_length = mean_length
        self.folder = folder
        self.contract = Contract(
            bag.weighting if folder is None else folder.name,
            max(1, len(idf)),
            UNLIMITED,
            pooling="sum",
            normalise=bag.weighting == "tfidf",
            similarity="dot",
            kind=Sparse.kind,
        )

    @classmethod
    def fitted(cls, texts: Sequence[str], bag: BagOfWords = BagOfWords()) -> tuple[Self, Sparse]:
        """The encoder fitted on the documents `texts`, and their embeddings. Raises InputError as
        `Words` does.
        """
        words = Words(stemmer=bag.stemmer, stop_words=bag.stop_words)
        started = time.perf_counter()
        learned = words.learn(texts)
        terms = len(words.terms)
        lengths = learned.lengths
        frequencies = _frequencies(learned, max(1, terms))
        idf = bag.idf(frequencies.found_in[:terms], len(lengths))
        fitted = cls(words, bag, idf, float(lengths.sum()) / max(1, len(lengths)))
        return fitted, fitted._weighted(frequencies, learned, started, query=False)

    @classmethod
    def fit(cls, texts: Sequence[str], bag: BagOfWords = BagOfWords()) -> Self:
        """The encoder fitted on the documents `texts`. Raises InputError as `Words` does."""
        return cls.fitted(texts, bag)[0]

    @cached_property
    def identity(self) -> dict[str, str] | None:
        """None of a bag that does not lie in a folder."""
        if self.folder is None:
            return None
        return {"files": model_hash(self.folder)}

    @cached_property
    def terms(self) -> Sequence[str]:
        """The vocabulary, each term at its number."""
        return self.words.terms

    def names(self, terms: Sequence[int]) -> list[str]:
        return [self.terms[term] for term in terms]

    def rarest_first(self, terms: list[int]) -> list[int]:
        return sorted(terms, key=lambda term: -float(self.idf[term]))

    def unknown(self, text: str) -> list[str]:
        return self.words.unknown(text)

    def stopped(self, text: str) -> list[str]:
        return self.words.stopped(text)

    @property
    def roles_differ(self) -> bool:
        """BM25 weighs a query's terms by their number alone."""
        return self.bag.weighting == "bm25"

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Sparse:
        """Words that the documents lacked are left out and counted in `.usage`."""
        refuse_one_text(items)
        self.contract.prompt(role)
        started = time.perf_counter()
        read = self.words.look_up(items)
        frequencies = _frequencies(read, self.contract.dim)
        made = self._weighted(frequencies, read, started, query=role == QUERY)
        progress(len(items), len(items))
        return made

    def occurrences(self, texts: Sequence[str]) -> Sparse:
        """The known words of each text in its order, each as often as it stands there, with a
        weight of 1: what an inverted index is asked for by BM25.
        """
        read = self.words.look_up(texts)
        weights = np.ones(len(read.terms), np.float32)
        return Sparse(weights, read.terms, read.offsets, self.contract.dim)

    def _weighted(self, made: Sparse, read: Numbered, started: float, *, query: bool) -> Sparse:
        """What the terms weigh in texts that have them as often as `made` says, which is written
        over.
        """
        if self.bag.weighting == "tfidf":
            made.weights[:] *= self.idf[made.terms]
            # the lengths of the weighted rows; one without terms has nothing to divide
            made.weights[:] /= np.repeat(made.norms, made.active)
        elif not query:
            self._saturate(made, read.lengths / max(self.mean_length, 1e-12))
        if not (made.weights > 0).all():  # zeros are dropped, and what is not finite refused
            made = Sparse.of(made.matrix())
        known = np.diff(read.offsets)
        counts = np.stack([known, np.zeros_like(known)], 1)  # none is cut off
        usage = dataclasses.replace(
            Usage.counted(counts),
            seconds=time.perf_counter() - started,
            unknown_tokens=int(read.unknown.sum()),
            nothing_known=int(((known == 0) & (read.unknown > 0)).sum()),
        )
        return dataclasses.replace(made, usage=usage, counts=counts)

    def _saturate(self, made: Sparse, relative: Doubles) -> None:
        """BM25's weights in place of frequencies; `relative`: (n,) lengths over the mean length."""
        k1 = self.bag.k1
        b = self.bag.b
        for first in range(0, len(made), _TEXTS):
            offsets = made.offsets[first : first + _TEXTS + 1]
            here = slice(offsets[0], offsets[-1])
            # a document that is long by itself repeats its words: the term counts less there
            long = np.repeat(relative[first : first + _TEXTS], np.diff(offsets))
            times = made.weights[here]
            saturated = times / (k1 * (1 - b + b * long) + times)
            made.weights[here] = self.idf[made.terms[here]] * saturated

    def save(self, path: str | Path) -> None:
        """Write a folder that `open` opens: `lexical.json`, `vocabulary.json`, `idf.npy`. Whole or
        not at all.
        """
        with staged_folder(path) as stage:
            # the words themselves: None would mean the default list of the version that opens the
            # folder
            bag = dataclasses.replace(self.bag, stop_words=self.words.stop_words)
            write_json(
                stage / FILE,
                {"format": FORMAT, "word_rule": RULE, "bag": bag, "mean_length": self.mean_length},
            )
            write_json(stage / "vocabulary.json", list(self.terms))
            np.save(stage / "idf.npy", self.idf)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The encoder in a folder that `save` wrote.

        Raises ModelError where it is none or not whole, and where its terms were cut by another
        word rule than texts are now.
        """
        path = Path(path)
        if not is_lexical(path):
            raise ModelError(f"{path}: is not the folder of a bag of words: it has no {FILE}")
        facts = read_fields(path / FILE)
        _check_rule(path, facts.integer("word_rule", 1))
        terms = read_json(path / "vocabulary.json")
        if (
            not isinstance(terms, list)
            or not all(isinstance(term, str) for term in terms)
            or len(set(terms)) != len(terms)
        ):
            raise ModelError(f"{path / 'vocabulary.json'}: is not a list of different terms")
        file = path / "idf.npy"
        content = read_bytes(file)
        with foreign(file, "the weights could not be read"):
            idf = np.load(io.BytesIO(content), allow_pickle=False)
        if (
            facts.get("format") != FORMAT
            or idf.shape != (len(terms),)
            or idf.dtype != np.float32
            or not np.isfinite(idf).all()
        ):
            raise ModelError(
                f"{path}: {len(terms):,} terms and weights of shape {idf.shape} do "
                "not belong together; save it again"
            )
        bag = _bag(facts.object("bag"))
        words = Words(stemmer=bag.stemmer, stop_words=bag.stop_words, terms=terms)
        mean_length = facts.number("mean_length", low=0)
        return cls(words, bag, idf, mean_length, folder=path)


def _frequencies(read: Numbered, dim: int) -> Sparse:
    """How often each text has each of its terms."""
    from scipy.sparse import csr_array

    parts = []
    for first in range(0, max(1, len(read.unknown)), _TEXTS):
        offsets = read.offsets[first : first + _TEXTS + 1]
        # a copy, as the rows are sorted in place
        terms = read.terms[offsets[0] : offsets[-1]].copy()
        ones = np.ones(len(terms), np.float32)  # which are summed up where a term repeats
        counted = (ones, terms, offsets - offsets[0])
        parts.append(Sparse.of(csr_array(counted, shape=(len(offsets) - 1, dim))))
    return Sparse.join(parts)


def _check_rule(path: Path, rule: int) -> None:
    if rule != RULE:
        raise ModelError(
            f"{path}: its terms were cut by word rule {rule}, and this version of nearfield cuts "
            f"texts by rule {RULE}, so that they would "
            "not match; fit it on its documents again (nearfield models lexical)"
        )
