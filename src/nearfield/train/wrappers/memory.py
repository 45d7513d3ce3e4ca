"""Documents of the steps before as further negatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper

NAME = "memory"


@dataclass(frozen=True)
class Memory(Wrapper):
    """`inner` with the vectors of the last `size` documents of earlier steps among the documents,
    as constants.

    A remembered document that scores above a row's positive is ignored for it: nobody knows what it
    is relevant to. Wang et al. 2020 (arXiv 1912.06798), section 3.2.
    """

    size: int

    adds = frozenset({"positive", "ignore"})

    def learns(self, dim: int, guide: int) -> Mapping[str, Tensor]:
        """See Objective.learns; places that nothing fills are 0."""
        return {**self.inner.learns(dim, guide), NAME: nn.Buffer(torch.zeros(self.size, dim))}

    def __call__(self, examples: Examples) -> Tensor:
        memory = examples.learned[NAME]
        document = examples.document
        remembered = replace(document, vectors=memory)
        with torch.no_grad():
            near = examples.query.scores(remembered)
            # and places that nothing fills yet
            ignore = (near > examples.own_scores[:, None]) | ~memory.any(1)
        known = examples.column("ignore")
        columns = {**examples.columns, "ignore": torch.cat([known, ignore], 1)}
        both = replace(document, vectors=torch.cat([document.vectors, memory]))
        return self.inner(replace(examples, document=both, columns=columns))

    @torch.no_grad()
    def remember(self, examples: Examples) -> None:
        """See Objective.remember."""
        memory = examples.learned[NAME]
        # the newest first: the oldest fall off its end
        memory.copy_(torch.cat([examples.document.vectors, memory])[: self.size])
