"""An adapter from frozen vectors to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Collection as Names
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from nearfield.data.trained_on import TrainedOn, TrainingRun
from nearfield.evaluate.compare import compare
from nearfield.evaluate.measures import MEASURES, score_ranking
from nearfield.evaluate.trained import refuse_seen
from nearfield.models.vector_map import VectorMap
from nearfield.similarity.dense import Dense
from nearfield.store.atomic import staged_folder, write_json
from nearfield.train.data.frozen import FrozenVectors
from nearfield.train.data.leakage import free_documents, relevance_by_position, without_leaks
from nearfield.train.data.pool import places_in
from nearfield.train.engine.watcher import refuse_copies
from nearfield.train.runs.adapter import AdapterData, AdapterRecipe, fit_adapter
from nearfield.train.runs.conclude import Measured, conclude
from nearfield.types.arrays import Integers
from nearfield.types.comparison import Comparison
from nearfield.types.progress import Progress, part_of, silent
from nearfield.types.verdict import Verdict

RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
# times the recipe's: how far a model's similarities lie apart is its own
TEMPERATURES = (1.0, 0.5, 2.0)


@dataclass(frozen=True)
class Adaptation:
    """The map, the share of it and the temperature that dev chose (0 is no map at all), how it
    compares on the test split, what the vectors' model and the map were trained on, and in `notes`
    what was left out of training.
    """

    vector_map: VectorMap
    share: float
    temperature: float
    verdict: Verdict
    comparison: Comparison
    trained_on: TrainedOn
    notes: tuple[str, ...] = ()


def adapt(
    vectors: FrozenVectors,
    recipe: AdapterRecipe | None = None,
    *,
    measure: str = MEASURES[0],
    allow: Names[str] = (),
    progress: Progress = silent,
) -> Adaptation:
    """A query-side adapter trained on the train split, chosen on dev, and measured once on test;
    documents are never changed.

    The collection needs the splits train, dev and test. Documents that a dev or test judgement
    names are no negatives. A map is trained at each of `TEMPERATURES`. On dev the map of each epoch
    is measured, then the query vectors on the way from the plain to the mapped ones; what is best
    is kept, and where nothing beats the plain vectors the map is the identity. `allow` takes
    "trained-on", for vectors of a model that was trained on dev's or test's queries, which are
    refused otherwise.
    """
    collection, recipe = vectors.collection, recipe or AdapterRecipe()
    refuse_copies(collection)
    collection, leaks = without_leaks(collection)
    vectors = replace(vectors, collection=collection)
    dev, test = collection.split("dev"), collection.split("test")
    refuse_seen({vectors.name: vectors.trained_on}, dev, test, allow=allow)
    on_dev = vectors.of_split(dev)

    def dev_mean(vector_map: VectorMap) -> float:
        ranking = vectors.ranking(dev, _mapped(on_dev, vector_map))
        return score_ranking(ranking, dev.relevance, [measure])[measure].mean

    data, tried = _training_data(vectors, free_documents(collection, positives=True)), []
    for number, factor in enumerate(TEMPERATURES):
        tempered = replace(recipe, temperature=factor * recipe.temperature)
        watch = part_of(progress, number, len(TEMPERATURES))
        fitted = fit_adapter(
            data,
            tempered,
            similarity=vectors.documents.similarity,
            measure=dev_mean,
            progress=watch,
        )
        tried.append((*_shared(fitted, dev_mean), tempered.temperature))
    # the first where several are equal
    share, chosen, temperature = max(tried, key=lambda found: dev_mean(found[1]))
    plain = vectors.of_split(test)
    base, adapted = vectors.name, f"{vectors.name} adapted"
    systems = [
        vectors.system(base, base, test, vectors.ranking(test)),
        vectors.system(adapted, base, test, vectors.ranking(test, _mapped(plain, chosen))),
    ]
    comparison = compare(systems, test, measure=measure, allow=allow)
    texts = collection.split("train").query_texts
    learnt = TrainingRun.of(texts, dev=dev.query_texts, test=test.query_texts)
    verdict = conclude(
        Measured(comparison, base, adapted, None),  # type: ignore[arg-type]
        ("adapted model", "model without it"),
        forgotten=(),
        dev_queries=len(dev.query_ids),
    )
    known = vectors.trained_on | TrainedOn((learnt,))
    return Adaptation(chosen, share, temperature, verdict, comparison, known, leaks)


def save_adaptation(
    found: Adaptation, path: str | Path, *, facts: dict[str, object], recipe: AdapterRecipe
) -> None:
    """A folder with the map, and `adapter.json` with the verdict, the comparison, the recipe and
    `facts` (what it belongs to).
    """
    with staged_folder(path) as stage:
        found.vector_map.save(stage / "map")
        found.trained_on.save(stage)
        about = {
            "format": 1,
            "role": "query",
            "share": found.share,
            "temperature": found.temperature,
            "recipe": asdict(recipe),
        } | facts
        write_json(
            stage / "adapter.json",
            about | {"verdict": found.verdict, "comparison": found.comparison},
        )


def _shared(fitted: VectorMap, dev_mean: Callable[[VectorMap], float]) -> tuple[float, VectorMap]:
    """The best share of the way from the identity to `fitted`, by dev; the smaller one where two
    are equal.
    """
    candidates = [(ratio, _toward(fitted, ratio)) for ratio in RATIOS]
    return max(candidates, key=lambda found: (dev_mean(found[1]), -found[0]))


def _toward(fitted: VectorMap, ratio: float) -> VectorMap:
    """`fitted` with its weights moved to `ratio` of the way from the identity's."""
    import torch

    moved = VectorMap(fitted.config)
    state = fitted.state_dict()
    start = {name: weight.clone() for name, weight in moved.state_dict().items()}
    kept = {"down", "shift"}  # they feed `up`, which is 0 in the identity
    moved.load_state_dict(
        {
            name: weight if name in kept else torch.lerp(start[name], weight, ratio)
            for name, weight in state.items()
        }
    )
    return moved


def _training_data(vectors: FrozenVectors, documents: Integers) -> AdapterData:
    train = vectors.collection.split("train")
    place = {int(document): row for row, document in enumerate(documents)}
    relevant: Sequence[Sequence[int]] = [
        [place[document] for document in judged]
        for judged in relevance_by_position(vectors.collection, train)
    ]
    own = places_in(documents, train.left_out)
    return AdapterData(
        vectors.of_split(train).floats(),
        np.ascontiguousarray(vectors.documents[documents].floats()),
        relevant,
        own,
    )


def _mapped(queries: Dense, vector_map: VectorMap) -> Dense:
    mapped = vector_map.apply_to(queries.floats())
    return replace(queries, vectors=mapped, storage="float32", ranges=None)
