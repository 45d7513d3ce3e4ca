"""Tasks of published tests of words, on which word vectors are compared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection as Names
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from nearfield.data.word_vectors import WordVectors
from nearfield.evaluate.task import Measured, Options, Task
from nearfield.types.arrays import Doubles, Mask
from nearfield.types.progress import Bars, Progress, no_bars


class WordTask(Task):
    """A test of words; items with an unknown word count as `unknown` says, so that all rows have
    the same items.
    """

    of_files = True
    unknown: ClassVar[str]

    def __init__(self, data: Any, source: str = "") -> None:
        self.data = data
        self.collection = Path(source).stem or self.name
        self.split = "test"
        self.documents = len(data.words)
        self.number(data.words)
        self.where = source or self.collection

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> WordTask | None:
        """On an opened test of its kind, called as its file."""
        if isinstance(data, cls.made_of):
            return cls(data, source)
        return None

    @abstractmethod
    def values(self, vectors: WordVectors, progress: Progress) -> tuple[Doubles, Mask]:
        """Each item's value, and which items have known words only, both (n,)."""

    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """`models` are word vectors: files, folders or opened ones."""
        rows = []
        for model in models:
            vectors = WordVectors.open(model) if isinstance(model, str | Path) else model
            with bars(f"{self.name} by {vectors.name}") as progress:
                values, known = self.values(vectors, progress)
            lacking = int((~known).sum())
            note = f"{vectors.name} lacks a word of {lacking:,} of {len(known):,}: {self.unknown}"
            rows.append(
                Measured(
                    name=vectors.name,
                    model=vectors.name,
                    scores={self.measures[0]: values},
                    dim=vectors.vectors.shape[1],
                    storage="float32",
                    notes=(note,) if lacking else (),
                )
            )
        return rows
