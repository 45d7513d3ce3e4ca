"""Vectors that are to point where another model's do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nearfield.similarity.functions import unit
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective, random_layer


def embedding_distillation(student: Tensor, teacher: Tensor, weight: Tensor | None) -> Tensor:
    """mean_i (1 - cos(W u_i, v_i)), W being the identity where there is no `weight`.

    `student`: (n, dim); `teacher`: (n, teacher dim); `weight`: (teacher dim, dim). Returns a
    scalar. Kim et al. 2023 (arXiv 2301.12005), equation 7, of cosine distances.
    """
    projected = student if weight is None else student @ weight.T
    cosines: Tensor = (unit(projected) * unit(teacher)).sum(1)
    return (1 - cosines).mean()


@dataclass(frozen=True)
class EmbeddingDistillation(Objective):
    """The vectors of each row's query and positive, projected onto the guide's dims, are to be the
    guide's of these; where `translated` is not 0, both the guide's of the positive, of which the
    query is a translation. Reimers & Gurevych 2020 (arXiv 2004.09813), equation 1.
    """

    translated: float = 0.0

    needs = frozenset({"positive", "guide_vectors"})
    one_vector = True
    cuts = False

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """See Objective.learns: the projection, where the dims differ."""
        if dim == guide:
            return {}
        return {"weight": random_layer(guide, dim)}

    def __call__(self, examples: Examples) -> Tensor:
        given = examples.document[examples.column("positive")]
        weight = examples.learned.get("weight")
        of_query, of_positive = examples.column("guide_vectors").unbind(1)
        if self.translated:
            of_query = of_positive
        first = embedding_distillation(examples.query.vectors, of_query, weight)
        second = embedding_distillation(given.vectors, of_positive, weight)
        return 0.5 * (first + second)
