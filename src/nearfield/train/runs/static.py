"""A static model from any model: its tokens' vectors, fewer dimensions, rare tokens louder than
frequent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from nearfield.batch.tokens import Tokeniser, unknown_id
from nearfield.data.trained_on import keep_trained_on
from nearfield.encoders.load import load_text_encoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.static_folder import UNLIMITED
from nearfield.models.saving.save_static import write_static
from nearfield.models.surgery.frequency import inverse_frequency, token_counts
from nearfield.similarity.functions import unit
from nearfield.store.atomic import check_replaceable, staged_folder, write_json
from nearfield.train.engine.watcher import refuse_one
from nearfield.train.runs.ridge import fit_means
from nearfield.train.runs.token_vectors import frequent_words, static_tokeniser, token_vectors
from nearfield.types.arrays import Floats, Mask
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT

FILE = "distil.json"
SIF = 1e-4  # a of a / (a + p(token)): model2vec's sif_coefficient


@dataclass(frozen=True)
class Distilled:
    """What was made: `tokens` have a vector, `words` of them whole words that the teacher cuts into
    pieces; `texts` were fitted to.

    `before` and `after` are the mean cosine with the teacher on texts that were held out of the
    fit, 0 where there was none.
    """

    folder: Path
    dim: int
    tokens: int
    words: int
    texts: int
    before: float = 0.0
    after: float = 0.0


def distil(
    model: str | Path,
    *,
    to: str | Path,
    dim: int = 256,
    texts: Sequence[str] = (),
    words: int = 0,
    counted: bool = False,
    progress: Progress = silent,
) -> Distilled:
    """Write a static model of `dim` dimensions that takes after `model`, as a folder that model2vec
    and sentence-transformers open.

    Each token of the vocabulary goes through the model alone; the vectors are centred, cut to their
    principal components and weighted by a / (a + p), p by Zipf's law from the token's rank
    (model2vec; Arora et al. 2017) or, where `counted`, its share of the texts' tokens. With
    `texts`, the components are those of the model's vectors of the texts, and the table is fitted
    to these (see `fit_means`); the most frequent `words` of the texts that the tokeniser cuts get
    vectors of their own. Raises InputError for an impossible dim and for words or counts without
    texts, ModelError where the model is static already, and StorageError when writing fails.
    Nothing but a model that was distilled is replaced at `to`.
    """
    teacher = load_text_encoder(model)
    if teacher.folder.static:
        raise ModelError(
            f"{teacher.contract.name}: is a static model already; give the model "
            "that it should take after"
        )
    if not 0 < dim <= teacher.contract.dim:
        raise InputError(
            f"{dim} dimensions were asked for; {teacher.contract.name} has {teacher.contract.dim}"
        )
    if (words or counted) and not len(texts):
        raise InputError("words are taken from texts and counted there; give texts too")
    check_replaceable(to, marker=FILE, what="a model that was distilled")
    plain, _ = static_tokeniser(teacher, ())
    tokenizer, new = (
        static_tokeniser(teacher, frequent_words(plain, texts, words)) if words else (plain, [])
    )
    vectors, real = token_vectors(teacher, tokenizer, new, progress=progress)
    refuse_one(vectors[real], f"{teacher.contract.name} gives all tokens")
    contract = Contract(f"{teacher.contract.name}-static", dim, UNLIMITED)
    before = after = 0.0
    if len(texts):
        targets = teacher.encode(texts, DOCUMENT, progress=progress).floats()
        refuse_one(targets, f"{teacher.contract.name} gives all texts")
        basis = components(targets, dim)
        weights = (
            zipf_weights(real) if not counted else _counted_weights(tokenizer, texts, len(vectors))
        )
    else:
        basis = components(vectors[real] - vectors[real].mean(0), dim)
        weights = zipf_weights(real)
    table = starting_table(vectors, real, basis, weights)
    if len(texts):
        means = _means(tokenizer, texts, len(table))
        fit = fit_means(means, unit(targets @ basis), table, progress=progress)
        table, before, after = fit.table, fit.before, fit.after
    with staged_folder(to) as stage:
        tokenizer.save(str(stage / "tokenizer.json"))
        write_static(
            stage,
            np.where(real[:, None], table, np.float32(0)),
            contract,
            made_from=teacher.contract.name,
        )
        keep_trained_on([teacher.folder.path], stage)
        write_json(
            stage / FILE,
            {"format": 1, "model": teacher.contract.name, "texts": len(texts), "words": len(new)},
        )
    return Distilled(Path(to), dim, int(real.sum()), len(new), len(texts), before, after)


def components(vectors: Floats, dim: int) -> Floats:
    """(hidden, dim) the directions of unit length along which `vectors: (n, hidden)` have the
    greatest squares, greatest first.

    Each points to where its greatest coordinate is positive, so that the result depends on the
    vectors alone.
    """
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    top = directions[:, ::-1][:, :dim]
    signs = np.sign(top[np.abs(top).argmax(0), np.arange(dim)])
    basis: Floats = (top * signs).astype(np.float32)
    return basis


def starting_table(vectors: Floats, real: Mask, basis: Floats, weights: Floats) -> Floats:
    """(tokens, dim) the vectors of the `real` tokens, centred, in `basis`, times their `weights:
    (tokens,)`; others zeros.
    """
    table = np.zeros((len(vectors), basis.shape[1]), np.float32)
    table[real] = (vectors[real] - vectors[real].mean(0)) @ basis * weights[real, None]
    return table


def zipf_weights(real: Mask) -> Floats:
    """(tokens,) a / (a + p) of the `real` tokens, p falling as 1 / rank, their order in the
    vocabulary; others zeros.
    """
    chance = 1 / np.arange(2, int(real.sum()) + 2)
    weights = np.zeros(len(real), np.float32)
    weights[real] = SIF / (SIF + chance / chance.sum())
    return weights


def _counted_weights(tokenizer: Tokenizer, texts: Sequence[str], size: int) -> Floats:
    """(tokens,) a / (a + p), p a token's share of the texts' tokens."""
    return inverse_frequency(token_counts(_reader(tokenizer), texts, size), SIF)


def _reader(tokenizer: Tokenizer) -> Tokeniser:
    return Tokeniser(
        tokenizer, max_tokens=UNLIMITED, specials=False, left_out=unknown_id(tokenizer)
    )


def _means(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> csr_array:
    """(texts, tokens) how much of each text each token is; rows sum to 1, or 0 where nothing is
    known.
    """
    read = _reader(tokenizer).tokenise(texts)
    share = np.repeat(1 / np.maximum(read.lengths, 1).astype(np.float32), read.lengths)
    means = csr_array((share, read.ids, read.offsets), shape=(len(texts), tokens))
    means.sum_duplicates()
    return means
