"""AnglE: CoSENT of angles in the complex plane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nearfield.similarity.functions import unit
from nearfield.train.objectives.cosent import cosent
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


def angle(first: Tensor, second: Tensor) -> Tensor:
    """|Re(z) + Im(z)| of z = sum_k a_k conj(b_k), where a and b are the two vectors at unit length,
    the first half of their dimensions being real parts and the second half imaginary ones.

    `first`, `second`: (B, dim), an odd dim with a zero after it. Returns (B,). Li & Li 2024 (arXiv
    2309.12871), equations 5 to 7.
    """
    odd = first.shape[1] % 2
    a_real, a_imaginary = unit(nn.functional.pad(first, (0, odd))).chunk(2, 1)
    b_real, b_imaginary = unit(nn.functional.pad(second, (0, odd))).chunk(2, 1)
    # the product with the conjugate of b, which turns the sign of b's imaginary part
    real = a_real * b_real + a_imaginary * b_imaginary
    imaginary = a_imaginary * b_real - a_real * b_imaginary
    return torch.abs((real + imaginary).sum(1))


@dataclass(frozen=True)
class AnglE(Objective):
    """CoSENT of the angle of each row's query and positive."""

    temperature: float = 0.05

    needs = frozenset({"positive", "score"})
    rowwise = False
    one_vector = True

    def __call__(self, examples: Examples) -> Tensor:
        given = examples.document[examples.column("positive")]
        near = angle(examples.query.vectors, given.vectors)
        return cosent(near, examples.column("score"), temperature=self.temperature)
