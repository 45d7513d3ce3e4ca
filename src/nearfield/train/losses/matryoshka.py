"""Any loss of embeddings, at several dimensions at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def matryoshka(loss: Loss, dims: Sequence[int], *, layer_norm: bool = False) -> Loss:
    """A loss of (query, document, positive): the mean of `loss` over the vectors' first `dim` dimensions, for each dim.

    The vectors are cut as `Dense.truncate` cuts them: layer_norm over the whole where the contract says so, cut, unit length.
    Kusupati et al. 2022 (arXiv 2205.13147), equation 1, with equal weights.
    """

    def at_every_dim(query: Tensor, document: Tensor, positive: Tensor) -> Tensor:
        total = query.new_zeros(())
        for dim in dims:
            total = total + loss(_cut(query, dim, layer_norm), _cut(document, dim, layer_norm), positive)
        return total / len(dims)

    return at_every_dim


def _cut(vectors: Tensor, dim: int, layer_norm: bool) -> Tensor:
    whole = nn.functional.layer_norm(vectors, vectors.shape[-1:]) if layer_norm else vectors
    return nn.functional.normalize(whole[:, :dim], dim=-1)
