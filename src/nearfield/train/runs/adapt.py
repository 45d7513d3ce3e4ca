"""Adapt: a small map of query vectors, so that the stored documents stay as they are."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import known_files, load
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import InputError
from nearfield.evaluate.measures import MEASURES, score_ranking
from nearfield.formats.static_folder import UNLIMITED
from nearfield.models.find import model_path
from nearfield.models.vector_map import MapConfig, VectorMap
from nearfield.retrieval.vector_folder import VectorFolder
from nearfield.similarity.dense import Dense
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.frozen import FrozenVectors, stored_vectors
from nearfield.train.data.leakage import free_documents, relevance_by_position
from nearfield.train.data.pool import places_in
from nearfield.train.fits.adapter import AdapterData, AdapterRecipe, fit_adapter
from nearfield.train.fits.map_fit import toward
from nearfield.train.runs.candidate import ByVectors, Candidate, Mapped
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.guard import guard_values
from nearfield.train.runs.merge import Merged, best_kept
from nearfield.train.runs.run import Run, Stage, data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, part_of, silent
from nearfield.types.role import QUERY, Role
from nearfield.types.verdict import Verdict

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the way from the plain query to the mapped one
# times the recipe's: how far a model's similarities lie apart is its own
TEMPERATURES = (1.0, 0.5, 2.0)
ADAPTER = "adapter"


def adapt(
    model: str | None,
    data: object,
    *,
    to: str | Path,
    stored: StoredVectors | None = None,
    recipe: AdapterRecipe = AdapterRecipe(),  # noqa: B008 - frozen
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Train a query-side adapter on the train split of `data`, which `open_collection` takes,
    choose it on dev, and measure it once on test; documents' vectors are never changed.

    `stored` are vectors used as they are: the documents' beside a `model`, or both where there is
    none. A map is trained at each of `TEMPERATURES`; of each, the query vectors on the way from the
    plain to the mapped ones are measured on dev. The best for which no guard loses more than its
    margin is kept; where nothing beats the plain vectors the map is the identity. `adapter` in the
    run folder `to` goes wherever a model's name does. `guards`, `allow` and `setting` are as for
    `tune`; vectors from files alone have no guard, which wants a model. Raises as `tune` does, and
    ContractError for vectors that are not dense or not the model's.
    """
    stored = stored or StoredVectors()
    stored.check(model)
    MapConfig(recipe.kind, 1, 1, recipe.width)  # an unknown kind is said before anything is encoded
    with locked_run(to, model) as folder:
        run = AdaptRun(model, stored, folder, recipe, setting.with_source(data))
        run.begin(data_of(data), guards)
        return run.verdict(f"adapt {run.encoder.contract.name}", allow)


@dataclass(frozen=True)
class StoredVectors:
    """Folders with vectors: of `nearfield encode`, or `vectors.npy` with `ids.jsonl` of any
    origin.
    """

    documents: str | Path | None = None
    queries: str | Path | None = None

    def check(self, model: str | None) -> None:
        """Raise InputError where `model` and these do not give each vector once."""
        if model is None and (self.documents is None or self.queries is None):
            raise InputError(
                "name a model, or give both --documents and --queries: an adapter is "
                "trained on vectors of both"
            )
        if model is not None and self.queries is not None:
            raise InputError(
                f"queries are encoded by {model}; leave out --queries, or leave out the model"
            )

    def fingerprints(self) -> dict[str, str]:
        """The hash of each folder's files."""
        return {name: model_hash(Path(path)) for name, path in vars(self).items() if path}


class FromFiles(Encoder[Dense]):
    """Stands where a model is not known, only some of its vectors: it encodes nothing."""

    def __init__(self, name: str, dim: int) -> None:
        self.contract = Contract(name, dim, UNLIMITED)

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        raise InputError(
            f"{self.contract.name}: there are vectors from files and no model to encode a guard; "
            "name the model, or give no guard"
        )


class AdaptRun(Run):
    """A run that trains a map behind the query vectors of `model`, or of files."""

    nouns = ("adapted model", "model without it")
    recipe: AdapterRecipe
    encoder: Encoder[Any]
    documents: Dense | None = None  # those that are used as they are
    # what the stages hand on
    vectors: FrozenVectors
    on_dev: Dense
    fits: Sequence[VectorMap]  # one for each of the temperatures

    def __init__(
        self,
        model: str | None,
        stored: StoredVectors,
        folder: RunFolder,
        recipe: AdapterRecipe,
        setting: Setting,
    ) -> None:
        super().__init__(folder, setting, recipe)
        self.model = model
        self.stored = stored
        self.measure = MEASURES[0]

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Open the model or the vectors, and write what decides the result."""
        self.take(collection)
        trained_on = self._open()
        name = self.encoder.contract.name
        self.known = {name: trained_on}
        if self.model is None and guards is None:
            guards = ()
            said = "without a guard: vectors from files have no model to encode one"
            self.notes = (*self.notes, said)
        facts = {"model": self.model, "stored": self.stored.fingerprints(), **self._source()}
        self.identify(guards, facts, {"model": name, "kind": self.encoder.contract.kind})

    def _open(self) -> TrainedOn:
        """Open the encoder, and say what it was trained on."""
        documents = self.stored.documents
        queries = self.stored.queries
        if self.model is not None:
            self.encoder = load(self.model, device=self.device)
            if documents is not None:
                ids = self.collection.document_ids
                self.documents = stored_vectors(documents, ids, "document")
                VectorFolder.of(Path(documents), self.model).check(self.encoder)
            return self.encoder.trained_on
        assert documents is not None
        assert queries is not None
        self.vectors = FrozenVectors.read(documents, queries, self.collection)
        self.encoder = FromFiles(self.vectors.name, self.vectors.documents.dim)
        return self.vectors.trained_on

    def _source(self) -> dict[str, str]:
        """What opens the adapter's model again, and the hash by which that is seen to be the same;
        nothing for vectors from files.
        """
        if self.model is None:
            return {}
        path = Path(self.model)
        name = ModelSpec.parse(self.model).name
        return {
            "source": str(path.resolve()) if path.exists() else self.model,
            "files": known_files(name) or model_hash(model_path(self.model)),
        }

    def stages(self, allow: Names[str]) -> list[Stage]:
        steps = {
            "baseline": self.measure_baseline,
            "train": self.fit,
            "merge": self.merge,
            "save": self.save,
        }
        until = ("merge.json", ADAPTER)
        made = [Stage(name, do, until) for name, do in steps.items()]
        # the test measures the same vectors
        encode = Stage("encode documents", self.encode)
        return [self.doctor(allow, None), encode, *made, self.test()]

    def work(self) -> Mapping[str, float]:
        return {"encode documents": float(len(self.collection.documents))}

    def encode(self, progress: Progress) -> None:
        """Encode what no file has."""
        if self.model is not None:  # else `begin` has read all vectors
            self.vectors = FrozenVectors.of(
                self.encoder, self.collection, documents=self.documents, progress=progress
            )
        self.on_dev = self.vectors.of_split(self.collection.split("dev"))

    def _on_dev(self, found: VectorMap) -> float:
        dev = self.collection.split("dev")
        ranking = self.vectors.ranking(dev, mapped(self.on_dev, found))
        return score_ranking(ranking, dev.relevance, [self.measure])[self.measure].mean

    def measure_baseline(self, progress: Progress) -> None:
        """Freeze what dev and every guard reach without a map."""
        dim = self.vectors.documents.dim
        identity = VectorMap(MapConfig("linear", dim, dim))

        def found() -> dict[str, Any]:
            dev = {"dev": self._on_dev(identity)}
            return dev | self.guards_before(ByVectors(self.encoder), progress)

        self.folder.once("baseline.json", found)

    def fit(self, progress: Progress) -> None:
        """Train a map at each temperature."""
        data = training_data(self.vectors, free_documents(self.collection, positives=True))
        fits = []
        for number, factor in enumerate(TEMPERATURES):
            part = f"maps/{number}"
            if not self.folder.has(part):
                fitted = fit_adapter(
                    data,
                    replace(self.recipe, temperature=factor * self.recipe.temperature),
                    similarity=self.vectors.documents.similarity,
                    measure=self._on_dev,
                    progress=part_of(progress, number, len(TEMPERATURES)),
                )
                fitted.save(self.folder.path / part)
            # as read back, so that a resumed run goes on from the very same maps
            fits.append(VectorMap.open(self.folder.path / part))
        self.fits = fits

    def _at(self, share: float, temperature: float) -> VectorMap:
        """The map at this share of the way to the one that was trained at this temperature, times
        the recipe's.
        """
        fitted = self.fits[TEMPERATURES.index(temperature)]
        return toward(VectorMap(fitted.config), fitted, share)

    def merge(self, progress: Progress) -> None:
        """Take what dev likes best of all shares at all temperatures without a guard losing more
        than its margin.
        """
        self.folder.once("merge.json", self._measured)

    def _measured(self) -> list[Merged]:
        before = self.folder.read("baseline.json")
        base = Merged(0.0, before["dev"], before["guards"], allowed=True)
        # dev costs a product of each query with the map; guards are encoded, and asked last
        rows = []
        for factor in TEMPERATURES:
            for share in SHARES:
                dev = self._on_dev(self._at(share, factor))
                rows.append(Merged(share, dev, {}, allowed=True, temperature=factor))

        def guards(row: Merged) -> Mapping[str, float]:
            chosen = self._at(row.ratio, row.temperature)
            return guard_values(self.guards, self._candidate(chosen))

        chosen = best_kept(rows, base, guards, self.margin)
        return [replace(row, chosen=row is chosen) for row in (base, *rows)]

    def _candidate(self, found: VectorMap) -> Candidate:
        return ByVectors(Mapped(self.encoder, self.encoder, found, QUERY))

    def save(self, progress: Progress) -> None:
        """Write the adapter's folder."""
        if self.folder.has(ADAPTER):
            return
        row = self.taken
        facts = {
            "format": 1,
            "role": QUERY,
            "share": row.ratio,
            "temperature": row.temperature * self.recipe.temperature,
            "recipe": asdict(self.recipe),
            "model": self.encoder.contract.name,
            "collection": self.collection.name,
            "notes": self.notes,
        }
        (trained_on,) = self.known.values()
        trained_on |= TrainedOn((self.learnt,))
        with staged_folder(self.folder.path / ADAPTER) as stage:
            self._at(row.ratio, row.temperature).save(stage / "map")
            trained_on.save(stage)
            write_json(stage / "adapter.json", facts | self._source())

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        chosen = VectorMap.open(self.folder.path / ADAPTER / "map")
        vectors = self.vectors
        base = vectors.name
        adapted = f"{vectors.name} adapted"
        asked = mapped(vectors.of_split(split), chosen)
        # two rows of the same documents: only the queries differ
        systems = [
            vectors.system(base, base, split, vectors.ranking(split)),
            vectors.system(adapted, base, split, vectors.ranking(split, asked)),
        ]
        comparison = self.compared(systems, split)
        return Measured(comparison, base, adapted, self._candidate(chosen))


def training_data(vectors: FrozenVectors, documents: Integers) -> AdapterData:
    """The train split's queries and the documents at these positions, its positives among them."""
    train = vectors.collection.split("train")
    place = {int(document): row for row, document in enumerate(documents)}
    relevant = []
    for judged in relevance_by_position(vectors.collection, train):
        relevant.append([place[document] for document in judged])
    own = places_in(documents, train.left_out)
    return AdapterData(
        vectors.of_split(train).floats(),
        np.ascontiguousarray(vectors.documents[documents].floats()),
        relevant,
        own,
    )


def mapped(queries: Dense, vector_map: VectorMap) -> Dense:
    """The queries behind the map."""
    made = vector_map.apply_to(queries.floats())
    return replace(queries, vectors=made, storage="float32", ranges=None)
