"""Heads over token states in numpy: what those of torch end in, and the whole of them for what runs
a model without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.batch.special_ids import special_ids
from nearfield.formats.late_interaction import LateInteraction
from nearfield.formats.model_folder import TOKEN_HEADS, ModelFolder
from nearfield.formats.token_heads import read_token_head
from nearfield.models.heads.finish import Finish
from nearfield.models.heads.layers import Array, linear, normalised, projections
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.fused import Fused
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.offsets import joined_offsets
from nearfield.similarity.sparse import Sparse
from nearfield.types.contract import FUSION, Contract

# an old folder says of a Dense module over tokens that it is over whole texts
LATE_INPUTS = ("token_embeddings", "sentence_embedding")


def late_interaction(
    folder: ModelFolder, late: LateInteraction
) -> Callable[[Array, Packed], MultiVector]:
    """`LateInteractionHead` of the folder, of states (T, hidden). Raises ModelError as
    `DenseModule.read` does.
    """
    contract, project = folder.contract, projections(folder.projections, inputs=LATE_INPUTS)

    def represent(states: Array, batch: Packed) -> MultiVector:
        counted = batch.column("counted")
        vectors = project(states if counted is None else states[counted])
        return counted_vectors(
            normalised(vectors) if contract.normalise else vectors,
            batch,
            contract,
            average=late.average,
        )

    return represent


def three_heads(
    folder: ModelFolder, *, hidden: int, vocabulary: int
) -> Callable[[Array, Packed], Fused]:
    """`ThreeHeads` of the folder, of states (T, hidden). Raises ModelError as `read_token_head`
    does.
    """
    contract, dense, left_out = (
        folder.contract,
        Finish(folder.contract, folder.projections),
        special_ids(folder.transformer),
    )
    weigh = read_token_head(folder.path / TOKEN_HEADS["sparse"], hidden, outputs=1)
    turn = read_token_head(folder.path / TOKEN_HEADS["multi-vector"], hidden)

    def represent(states: Array, batch: Packed) -> Fused:
        vectors = linear(states[~first_tokens(batch)], *turn)
        made = (
            dense_vectors(dense(states, batch), contract),
            term_weights(
                np.maximum(linear(states, *weigh)[:, 0], 0),
                batch,
                vocabulary=vocabulary,
                left_out=left_out,
            ),
            token_vectors(
                normalised(vectors) if contract.normalise else vectors,
                batch,
                normalise=contract.normalise,
            ),
        )
        return together(*made, contract.fusion or FUSION, name=contract.name)

    return represent


def dense_vectors(vectors: Array, contract: Contract) -> Dense:
    """The vectors (n, dim) that a model made, as its contract has them compared and cut."""
    return Dense(
        vectors,
        contract.dim,
        similarity=contract.similarity,
        layer_norm=contract.layer_norm,
        normalise=contract.normalise,
    )


def counted_vectors(
    vectors: Array, batch: Packed, contract: Contract, *, average: bool
) -> MultiVector:
    """The multi-vectors of a late-interaction model: `vectors: (K, dim)` are those of the K tokens
    that the batch counts.

    Raises ModelError for vectors that are not finite.
    """
    tokens = Dense(
        checked_finite(vectors, contract.name),
        contract.dim,
        similarity=contract.similarity,
        normalise=contract.normalise,
    )
    return MultiVector(tokens, counted_offsets(batch), average)


def counted_offsets(batch: Packed) -> npt.NDArray[np.int64]:
    """(n + 1,): where each sequence's tokens begin among those that get a vector."""
    before = np.concatenate([[0], np.cumsum(batch.filled("counted"))])
    return before.astype(np.int64)[batch.offsets]


def token_vectors(vectors: Array, batch: Packed, *, normalise: bool) -> MultiVector:
    """The multi-vectors of one of three heads: `vectors: (K, dim)` are those of every token but
    each sequence's first.
    """
    tokens = Dense(vectors, vectors.shape[1], similarity="dot", normalise=normalise)
    return MultiVector(tokens, joined_offsets([np.maximum(batch.lengths - 1, 0)]), average=True)


def first_tokens(batch: Packed) -> npt.NDArray[np.bool_]:
    """(T,): which tokens are the first of a sequence."""
    first = np.zeros(len(batch.ids), bool)
    first[batch.offsets[:-1][batch.lengths > 0]] = True
    return first


def term_weights(
    weights: Array, batch: Packed, *, vocabulary: int, left_out: Sequence[int]
) -> Sparse:
    """Each sequence's terms from `weights: (T,)`, none below 0: a term weighs what its heaviest
    token does, one `left_out` nothing.
    """
    n = len(batch)
    kept = np.flatnonzero((weights > 0) & ~np.isin(batch.ids, left_out))
    place = np.repeat(np.arange(n), batch.lengths)[kept] * vocabulary + batch.ids[kept]
    order = np.argsort(place, kind="stable")
    terms, first = np.unique(place[order], return_index=True)
    heaviest = (
        np.maximum.reduceat(weights[kept][order], first) if len(first) else np.empty(0, np.float32)
    )
    offsets = joined_offsets([np.bincount(terms // vocabulary, minlength=n)])
    return Sparse(heaviest, (terms % vocabulary).astype(np.int32), offsets, vocabulary)


def together(
    dense: Dense,
    sparse: Sparse,
    multi_vector: MultiVector,
    fusion: Mapping[str, float],
    *,
    name: str,
) -> Fused:
    """All three of the same items. Raises ModelError, naming the model, for vectors that are not
    finite.
    """
    for found in (dense, multi_vector.tokens):
        checked_finite(found.vectors, name)
    parts = {part.kind: part for part in (dense, sparse, multi_vector)}
    return Fused(parts, fusion)
