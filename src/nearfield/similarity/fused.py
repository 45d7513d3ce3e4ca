"""Several embeddings of the same items, whose scores are added with a weight for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import InputError
from nearfield.similarity.embeddings import Counts, Embeddings, chosen
from nearfield.similarity.explained import WHOLE, Match, Names
from nearfield.similarity.facts import FACTS, items_of, part_of, read_facts, usage_of
from nearfield.similarity.open import kind_of
from nearfield.types.arrays import Array, Floats
from nearfield.types.contract import FUSION
from nearfield.types.usage import NOTHING_READ, Usage


@dataclass(frozen=True)
class Fused(Embeddings):
    """n items as each of `parts`, embeddings of any kind by name.

    `weights` says what the score of each part counts for; a part without a weight counts for
    nothing. What is asked of the whole (`similarity`, `storage`) is that of the first part.
    """

    kind = "several"
    trains_dims = True
    own_similarity = "fused"
    parts: Mapping[str, Embeddings]
    weights: Mapping[str, float] = field(default_factory=lambda: dict(FUSION))
    usage: Usage = NOTHING_READ
    counts: Counts = None

    @property
    def by_part(self) -> Mapping[str, Embeddings]:
        return self.parts

    @property
    def _first(self) -> Embeddings:
        return next(iter(self.parts.values()))

    def _with(self, parts: Iterable[Embeddings]) -> Fused:
        return replace(self, parts=dict(zip(self.parts, parts, strict=True)))

    @property
    def weighted(self) -> dict[str, float]:
        """The parts that count for something, with their weights."""
        found = {name: self.weights.get(name, 0.0) for name in self.parts}
        return {name: weight for name, weight in found.items() if weight}

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, items: slice | Sequence[int] | Array) -> Fused:
        some = self._with(part[items] for part in self.parts.values())
        return replace(some, counts=chosen(self.counts, items))

    @classmethod
    def join(cls, parts: Sequence[Fused]) -> Fused:
        joined = []
        for name, first in parts[0].parts.items():
            joined.append(type(first).join([each.parts[name] for each in parts]))
        return replace(parts[0]._with(joined), counts=None)

    @property
    def similarity(self) -> str:  # type: ignore[override]
        """How two items of the first part are compared."""
        return self._first.similarity

    @property
    def storage(self) -> str:  # type: ignore[override]
        """How all parts are stored."""
        return self._first.storage

    @property
    def size_note(self) -> str:
        """The notes of the parts."""
        notes = [part.size_note for part in self.parts.values()]
        return "; ".join(filter(None, notes))

    def scores(self, documents: Fused) -> Floats:
        """The fused score, sum_p w_p s_p over the parts p: (n, m) float32.

        Chen et al. 2024 (arXiv 2402.03216, section 3.2, s_rank). A part of weight 0 is not
        computed.
        """
        total = np.zeros((len(self), len(documents)), np.float32)
        for name, weight in self.weighted.items():
            total += np.float32(weight) * self.parts[name].scores(documents.parts[name])
        return total

    def explain(self, documents: Fused, names: Names) -> list[Match]:
        """The matches of each part, as much of them as the fused score counts; the score of one
        vector is one match.
        """
        found = []
        for name, weight in self.weighted.items():
            part = self.parts[name]
            theirs = documents.parts[name]
            matches = part.explain(theirs, names)
            if part.one_vector:
                matches = [Match(WHOLE, WHOLE, float(part.scores(theirs)[0, 0]))]
            for match in matches:
                found.append(replace(match, score=weight * match.score, part=name))
        return found

    def unmet(self, documents: Fused) -> list[int] | None:
        """Those of the parts that have terms."""
        known: list[int] | None = None
        for name in self.weighted:
            terms = self.parts[name].unmet(documents.parts[name])
            if terms is not None:
                known = (known or []) + terms
        return known

    def quantise(self, storage: str, *, like: Fused | None = None) -> Fused:
        """The same items with all parts stored as float32 or float16, which every kind has."""
        self.check_storage(storage)
        return self._with(part.quantise(storage) for part in self.parts.values())

    @property
    def folders(self) -> Mapping[str, Embeddings]:
        """Each part under its name."""
        return self.parts

    def facts(self) -> dict[str, Any]:
        return {"parts": list(self.parts), "fusion": dict(self.weights)}

    def records(self) -> list[bytes]:
        """How many bytes each part but the last takes, int64 each, and then all parts."""
        by_part = [part.records() for part in self.parts.values()]
        records = []
        for item in zip(*by_part, strict=True):
            sizes = np.array([len(own) for own in item[:-1]], np.int64)
            records.append(sizes.tobytes() + b"".join(item))
        return records

    def of_records(self, records: Sequence[bytes]) -> Fused:
        head = 8 * (len(self.parts) - 1)
        split: list[list[bytes]] = [[] for _ in self.parts]
        for record in records:
            start = head  # behind the sizes; the last part takes what is left
            for at, size in enumerate(np.frombuffer(record[:head], np.int64).tolist()):
                split[at].append(record[start : start + size])
                start += size
            split[-1].append(record[start:])
        parts = []
        for part, own in zip(self.parts.values(), split, strict=True):
            parts.append(part.of_records(own))
        return replace(self._with(parts), counts=None)

    def peaks(self) -> Floats:
        peaks: Floats = np.max([part.peaks() for part in self.parts.values()], 0)
        return peaks

    @classmethod
    def open(cls, path: str | Path) -> Fused:
        path = Path(path)
        facts = read_facts(path)
        parts = {}
        # folders from before the parts were stated have those of `FUSION`
        for name in facts.texts("parts", list(FUSION)):
            folder = part_of(path, name)
            kind = kind_of(folder)
            if kind is cls:
                raise InputError(f"fuses {name!r}, which is fused itself", path=path / FACTS)
            parts[name] = kind.open(folder)
        counts = [len(part) for part in parts.values()]
        wanted = items_of(facts)
        if set(counts) != {wanted}:
            said = f"{FACTS} says {wanted} of each part"
            raise InputError(f"holds {', '.join(map(str, counts))} items; {said}", path=path)
        # a part may lack a weight, and then counts for nothing; a weight may not lack its part
        fusion = facts.object("fusion")
        unknown = sorted(set(fusion) - set(parts))
        if unknown:
            raise InputError(
                f"fusion.{unknown[0]} is not a part; the parts are {', '.join(parts)}",
                path=path / FACTS,
            )
        weights = {name: fusion.number(name, low=0) for name in fusion}
        return cls(parts, weights, usage_of(facts))
