"""A choice of a model on a team's own data, and how it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nearfield.types.comparison import Comparison
from nearfield.types.numbers import plural, score
from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class Round:
    """What was compared on a part of the data: the `best` row of each model that fits the limits,
    best first, and the models that were `kept` for the next round.
    """

    documents: int
    queries: int
    best: Mapping[str, Estimate]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {score(mean.mean)}" for name, mean in self.best.items())
        size = f"{plural(self.documents, 'document')}, {plural(self.queries, 'query')}"
        return f"{size}: {figures}; kept {', '.join(self.kept) or 'none'}"


@dataclass(frozen=True)
class Chosen:
    """The last round's `comparison`, whose decision says what to take, and the rounds before it.

    `runner_up` is the model that came second, "" for none. `shares` are the parts of the data's
    characters that each model encoded, and `work` what all of them took of the time that encoding
    everything with every model takes. `licences` are by model, "" where none is stated.
    """

    rounds: tuple[Round, ...]
    comparison: Comparison
    runner_up: str
    words: tuple[str, ...]
    shares: Mapping[str, float]
    work: float
    licences: Mapping[str, str]

    def __str__(self) -> str:
        return "\n".join(self.words)
