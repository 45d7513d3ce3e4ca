"""What the vectors of compared models are like."""

from __future__ import annotations

from dataclasses import dataclass

EDGES = tuple(edge / 20 for edge in range(-20, 21))
"""Between which cosines the similarities of an Inside are counted."""


@dataclass(frozen=True)
class Inside:
    """The vectors of one model, by cosine; see `statistics.geometry` for the figures.

    `together` and `apart` are the shares of pairs that belong together, and that do not, whose
    similarity lies between each two of EDGES.
    """

    model: str
    dim: int
    alignment: float
    uniformity: float
    effective_rank: float
    anisotropy: float
    hubness: float
    together: tuple[float, ...]
    apart: tuple[float, ...]


@dataclass(frozen=True)
class InCommon:
    """The share of a document's nearest neighbours that models `a` and `b` both find."""

    a: str
    b: str
    share: float


@dataclass(frozen=True)
class Map:
    """The documents of one model in two dimensions, with the group of each, "" for none."""

    model: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    texts: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Attributed:
    """The `parts` that the score of a query and a document is the sum of, each with its name; the
    two belong together where `relevant`.
    """

    model: str
    query: str
    document: str
    relevant: bool
    parts: tuple[tuple[str, float], ...]

    @property
    def score(self) -> float:
        """What they sum up to."""
        return sum(value for _, value in self.parts)


@dataclass(frozen=True)
class Look:
    """A look into models on `documents` texts of some data: `insides` and `in_common` of those
    that make one vector per text, the `map` of the first of these, and `attributed` scores of the
    first model whose scores have parts.
    """

    documents: int
    insides: tuple[Inside, ...] = ()
    in_common: tuple[InCommon, ...] = ()
    map: Map | None = None
    attributed: tuple[Attributed, ...] = ()
