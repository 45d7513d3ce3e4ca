"""What every evaluation is: data and systems in, one value per item out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nearfield.data.open import open_data
from nearfield.data.trained_on import TrainedOn
from nearfield.errors import InputError, nearest
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.analysis.traits import length, script
from nearfield.evaluate.trained import refuse_trained_on
from nearfield.statistics.statistic import Mean, Statistic
from nearfield.types.arrays import Doubles
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.slices import Holes
from nearfield.types.price import Price
from nearfield.types.progress import Bars, no_bars
from nearfield.types.ranking import Ranking


@dataclass(frozen=True)
class Options:
    """How the models are used; `Task.options` names those that have a meaning for a task.

    `dims`, `storages` and `similarity` are cut from one encode pass; no dims is the whole vector,
    a float such as .5 a share of it, and `binary+int8` a storage type that is scored again by
    another (see `model_systems`).
    `bm25` of None adds BM25 as the baseline of models that are given by name. `fuse` adds the
    fusion of BM25 with each model, and `rerank` names the model that re-ranks the first `depth`
    results. TREC runs and the comparison are written to `run_folder`.
    """

    split: str | None = None
    dims: tuple[float, ...] = ()
    storages: tuple[str, ...] = ("float32",)
    similarity: str | None = None
    bm25: bool | None = None
    fuse: bool = False
    rerank: str | None = None
    depth: int = 100
    pool_tokens: tuple[int, ...] = ()
    keep_own: bool = False
    run_folder: Path | None = None
    trust_remote_code: bool = False

    def given(self) -> list[str]:
        """The names of those that differ from their defaults."""
        # a default of a dataclass is an attribute of its class
        return [name for name, value in vars(self).items() if value != getattr(Options, name)]


DEFAULT = Options()


@dataclass(frozen=True)
class Measured:
    """A system measured, which becomes a row.

    `scores` holds each measure's values, `(n,)` in the order of the task's items. `trained_on` is
    how many of the items the model was trained on, and `notes` are facts worth a line. `price` is
    what a vendor is paid, None where nobody is.
    """

    name: str
    model: str
    scores: Mapping[str, Doubles]
    dim: int | None = None
    storage: str = ""
    bytes_per_document: float = 0.0
    documents_per_second: float | None = None
    query_milliseconds: float | None = None
    trained_on: int = 0
    notes: tuple[str, ...] = ()
    ranking: Ranking | None = None
    price: Price | None = None


class Task(ABC):
    """One kind of evaluation on its data.

    `item` is what one value belongs to ("query"), `takes` its data in words, `measures` are shown
    when none are asked for, the main one first, and `options` names the fields of Options that have
    a meaning here.
    """

    name: ClassVar[str]
    item: ClassVar[str]
    takes: ClassVar[str] = "another kind of data"
    measures: ClassVar[tuple[str, ...]]
    options: ClassVar[frozenset[str]] = frozenset({"run_folder", "trust_remote_code"})
    statistic: Statistic = Mean()

    collection: str
    """The name of the data."""
    split: str
    documents: int
    item_ids: tuple[str, ...]
    where: str
    """What errors call the data."""
    notes: tuple[str, ...] = ()
    read: ClassVar[staticmethod[[Any], Any]] = staticmethod(open_data)
    """Opens a source."""
    of_files: ClassVar[bool] = False
    """Whether a source is a file or a folder, and no table in memory."""
    queries: Sequence[str] = ()
    """The texts that a model may have been trained on."""

    made_of: ClassVar[type]
    """What a source of the task opens to, where any of that type is data for it."""

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> Task | None:
        """The task on this data, opened from `source`; None for data of another kind."""
        if cls.fits(data):
            return cls(data)  # type: ignore[call-arg]  # each takes its data
        return None

    @classmethod
    def fits(cls, data: Any) -> bool:
        """Whether what was opened is data for it."""
        return isinstance(data, cls.made_of)

    @abstractmethod
    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """Every model measured by each of `measures`, in any order.

        Raises InputError for a model that was trained on some of the items, unless `allow` holds
        "trained-on".
        """

    def number(self, items: Sized) -> None:
        """Let the ids of the items be their numbers from 0."""
        self.item_ids = tuple(map(str, range(len(items))))

    def measure_named(self, name: str) -> str:
        """The measure called `name`, as this task writes it. Raises InputError for another one."""
        found = {measure.lower(): measure for measure in self.measures}
        if name.lower() not in found:
            raise InputError(
                f"{self.where}: the task {self.name} has no measure {name!r}; known: "
                f"{', '.join(self.measures)}.{nearest(name, self.measures)}"
            )
        return found[name.lower()]

    def statistic_of(self, measure: str) -> Statistic:
        """What a row's values of `measure` say together; the main one's is `statistic`."""
        return self.statistic

    def traits(self) -> dict[str, list[float] | list[str]]:
        """Each item's value of what items may be cut by, by the trait's name."""
        # items that are not one text each, such as texts with several summaries
        if len(self.queries) != len(self.item_ids):
            return {}
        texts = list(self.queries)
        return {"words": [*map(length, texts)], "script": [*map(script, texts)]}

    def holes(self, measured: Measured, measure: str) -> Holes | None:
        """What nobody has judged of what it found; None where a task finds nothing."""
        return None

    def related(self, random: np.random.Generator) -> Related | None:
        """Some of its texts, and pairs of them that belong together or do not; None where a task
        has no such pairs.
        """
        return None

    def refuse_trained_on(self, known: Mapping[str, TrainedOn], *, allow: Names[str] = ()) -> None:
        """Raise InputError where a model, by its name, was trained on some of the queries, unless
        `allow` holds "trained-on".
        """
        counts = {name: int(each.seen(self.queries).sum()) for name, each in known.items()}
        refuse_trained_on(counts, len(self.queries), where=self.where, allow=allow)

    def write(self, folder: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
        """Write what was found into `folder`, which is empty."""
        from nearfield.store.atomic import write_json

        write_json(folder / "comparison.json", comparison)
