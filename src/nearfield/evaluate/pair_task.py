"""Tasks on pairs of texts whose two sides are encoded alike."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nearfield.data.pairs import Pairs
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError
from nearfield.evaluate.encode_pass import Cut
from nearfield.evaluate.encoders import LEXICAL, fitting, open_encoders
from nearfield.evaluate.systems import cuts_of, dims_left_out, untrained
from nearfield.evaluate.task import DEFAULT, Floats, Measured, Options, Task
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.contract import Contract
from nearfield.types.progress import Bars, Progress, no_bars, silent
from nearfield.types.role import QUERY


class PairTask(Task):
    """Pairs of texts; both sides are encoded as queries, since the tasks are symmetric."""

    item = "pair"
    options = Task.options | {"dims", "storages", "similarity"}

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.collection = pairs.name
        self.split = "pairs"
        self.documents = len(pairs)
        self.item_ids = tuple(map(str, range(len(pairs))))
        self.where = pairs.called
        self.queries = pairs.queries

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> PairTask | None:
        """On opened pairs."""
        return cls(data) if isinstance(data, Pairs) else None

    @abstractmethod
    def score(self, first: Embeddings, second: Embeddings) -> Mapping[str, Floats]:
        """Each measure's value for each pair; `second` may be stored as another type."""

    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """A row for each of dims x storages, cut from one encode pass."""
        for name in LEXICAL:
            if name in models:
                raise InputError(
                    f"{self.where}: {name} gives a pair of texts no score; leave it out"
                )
        encoders = open_encoders(models, self.pairs.positives, options)
        known = {name: encoder.trained_on for name, encoder in encoders.items()}
        self.refuse_trained_on(known, allow=allow)
        found = []
        for name, encoder in encoders.items():
            own = fitting(options, encoder, encoders)
            with bars(f"encoding with {name}") as progress:
                found += self.encoded(encoder, own, name=name, progress=progress)
        return found

    def encoded(
        self,
        encoder: Encoder[Any],
        options: Options = DEFAULT,
        *,
        name: str = "",
        progress: Progress = silent,
    ) -> list[Measured]:
        """The encoder's rows, the second side stored at each storage type.

        Where a cut departs from the contract, the contract's own is a row too, so that what it
        costs is seen. Warns and raises as `model_systems` does.
        """
        contract, total = encoder.contract, 2 * len(self.pairs)
        cuts = _with_references(
            contract, cuts_of(contract, options.dims, options.storages, options.similarity)
        )
        left_out = dims_left_out(contract, options.dims, name)
        started = time.perf_counter()
        first = encoder.encode(self.pairs.queries, QUERY, progress=_part(progress, 0, total))
        second = encoder.encode(
            self.pairs.positives, QUERY, progress=_part(progress, len(self.pairs), total)
        )
        speed = total / max(time.perf_counter() - started, 1e-9)
        seen = int(encoder.trained_on.seen(self.queries).sum())
        rows = []
        for cut in cuts:
            stored = cut.of(second).quantise(cut.storage)
            rows.append(
                Measured(
                    name=_label(name, cut, cuts),
                    model=name,
                    scores=self.score(cut.of(first), stored),
                    dim=cut.dim,
                    storage=cut.storage,
                    bytes_per_document=stored.bytes_per_item,
                    documents_per_second=speed,
                    trained_on=seen,
                    notes=left_out,
                    price=contract.terms.price_per_million_tokens,
                )
            )
        return rows


def _with_references(contract: Contract, cuts: Sequence[Cut]) -> list[Cut]:
    whole = [replace(cut, dim=contract.dim) for cut in cuts if untrained(contract, cut)]
    own = [replace(cut, similarity=contract.similarity) for cut in cuts]
    return list(dict.fromkeys([*cuts, *whole, *own]))


def _label(name: str, cut: Cut, cuts: Sequence[Cut]) -> str:
    if len(cuts) == 1:
        return name
    metrics = {other.similarity for other in cuts}
    parts = (name, cut.dim, cut.storage, cut.similarity if len(metrics) > 1 else None)
    return " ".join(str(part) for part in parts if part is not None)


def _part(progress: Progress, start: int, whole: int) -> Progress:
    def show(done: int, total: int, note: str = "") -> None:
        progress(start + done, whole, note)

    return show
