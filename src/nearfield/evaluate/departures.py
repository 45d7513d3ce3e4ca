"""What each departure from a model's contract costs."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.data.collection import Split
from nearfield.evaluate.measures import score_ranking
from nearfield.evaluate.systems import Deviation, System
from nearfield.similarity.storages import STORAGES
from nearfield.statistics.differences import mean_difference
from nearfield.types.numbers import changed, p_value


def departure_notes(
    systems: Sequence[System], split: Split, measure: str
) -> dict[str, tuple[str, ...]]:
    """The lines on departures by the name of the system that each is measured on.

    There is one line for each model, dim and departure, of its most exact storage type.
    """
    chosen: dict[tuple[str, int | None, str], tuple[System, Deviation]] = {}
    for system in sorted(systems, key=_exactness):
        for deviation in system.deviations:
            # of rows that were only stored otherwise the first, and so the most exact, stays
            chosen.setdefault((system.model, system.dim, deviation.what), (system, deviation))
    notes: dict[str, tuple[str, ...]] = {}
    for system, deviation in chosen.values():
        line = _cost(system, deviation, split, measure)
        notes[system.name] = (*notes.get(system.name, ()), line)
    return notes


def _exactness(system: System) -> int:
    """0 for the most exact storage type, which `STORAGES` has first."""
    known = list(STORAGES)
    found_by = system.storage.partition("+")[0]
    return known.index(found_by) if found_by in known else 0


def _cost(system: System, deviation: Deviation, split: Split, measure: str) -> str:
    own = score_ranking(system.ranking, split.relevance, [measure])[measure]
    right = score_ranking(deviation.reference, split.relevance, [measure])[measure]
    cost, p = mean_difference(own.values - right.values)
    return (
        f"{system.name} is {deviation.what}: {measure} {changed(cost)}, uncorrected {p_value(p)}, "
        f"against {deviation.instead_of}"
    )
