"""Any loss of embeddings, at several dimensions at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def matryoshka(loss: Loss, dims: Sequence[int], *, layer_norm: bool = False, normalise: bool = True) -> Loss:
    """A loss of (query, document, positive): the mean of `loss` over the vectors' first `dim` dimensions, for each dim.

    The vectors are cut as `Dense.truncate` cuts them: as they are at the full dim, else layer_norm over the whole and unit length
    of the rest where the contract says so.
    Kusupati et al. 2022 (arXiv 2205.13147), equation 1, with equal weights.
    """

    def cut(vectors: Tensor, dim: int) -> Tensor:
        if dim == vectors.shape[-1]:
            return vectors
        whole = nn.functional.layer_norm(vectors, vectors.shape[-1:]) if layer_norm else vectors
        return nn.functional.normalize(whole[:, :dim], dim=-1) if normalise else whole[:, :dim]

    def at_every_dim(query: Tensor, document: Tensor, positive: Tensor) -> Tensor:
        total = query.new_zeros(())
        for dim in dims:
            total = total + loss(cut(query, dim), cut(document, dim), positive)
        return total / len(dims)

    return at_every_dim
