"""What a model was trained on is not measured without saying so."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping

from nearfield.data.collection import Split
from nearfield.data.trained_on import TrainedOn
from nearfield.errors import InputError

TRAINED_ON = "trained-on"
"""What `allow` takes for such a measurement."""


def trained_queries(known: TrainedOn, split: Split) -> frozenset[str]:
    """The ids of the split's queries that a model was trained on, or on nearly the same ones, by
    what is known of it.
    """
    seen = zip(split.query_ids, known.seen(split.query_texts), strict=True)
    return frozenset(key for key, was_seen in seen if was_seen)


def refuse_trained_on(
    counts: Mapping[str, int], total: int, *, where: str, allow: Names[str] = ()
) -> tuple[str, ...]:
    """A note for each model that was trained on some of the `total` queries of `where`; `counts`
    has how many, by the model's name.

    Raises InputError instead where `allow` does not name it, and where it names something else.
    """
    unknown = [name for name in allow if name != TRAINED_ON]
    if unknown:
        raise InputError(f"--allow {unknown[0]} is not known here; wanted {TRAINED_ON}")
    notes = []
    for name, count in counts.items():
        if count:
            of = f"{count:,} of the {total:,} queries of {where}"
            notes.append(f"{name} was trained on {of}, or on nearly the same ones")
    if notes and TRAINED_ON not in allow:
        advice = (
            f"measure on queries that it has not seen, or pass --allow {TRAINED_ON} to "
            "measure all the same, marked as such"
        )
        raise InputError(
            f"{'; '.join(notes)}: its score would tell what it learnt by heart; {advice}"
        )
    return tuple(f"{note}: its score there says nothing of other queries" for note in notes)


def refuse_seen(models: Mapping[str, TrainedOn], *splits: Split, allow: Names[str]) -> None:
    """Raise as `refuse_trained_on` does for any of the splits, before the models by these names are
    measured on them.
    """
    for split in splits:
        counts = {name: len(trained_queries(known, split)) for name, known in models.items()}
        refuse_trained_on(
            counts,
            len(split.query_ids),
            where=f"{split.collection.name} / {split.name}",
            allow=allow,
        )
