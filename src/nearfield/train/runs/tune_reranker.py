"""A cross-encoder trained on a collection, and the verdict on whether it orders better what a first
model finds.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from collections.abc import Collection as Names
from pathlib import Path

import torch

from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_all_splits, with_enough_dev
from nearfield.data.trained_on import TrainedOn, TrainingRun, keep_trained_on
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.reranker import Reranker
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, RecipeError, TruncationWarning
from nearfield.evaluate.compare import compare
from nearfield.evaluate.measures import MEASURES, score_ranking
from nearfield.evaluate.reranked import reranked_system
from nearfield.evaluate.systems import model_systems
from nearfield.evaluate.trained import TRAINED_ON, refuse_seen
from nearfield.formats.reranker_folder import is_reranker, read_reranker_folder
from nearfield.models.find import model_path
from nearfield.models.pair_model import PairModel
from nearfield.models.saving.save_reranker import new_reranker, save_reranker
from nearfield.retrieval.first_stage import FirstStage
from nearfield.retrieval.queries import Queries
from nearfield.retrieval.rerank import rerank
from nearfield.retrieval.retriever import Retriever
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.run import RunFolder
from nearfield.train.data.leakage import without_leaks
from nearfield.train.data.pair_data import PairData
from nearfield.train.data.prepare import Corpus, dev_pool, mine, open_corpus
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.engine.checkpoint import Floats
from nearfield.train.engine.environment import (
    device_here,
    environment,
    model_hash,
    same_environment,
)
from nearfield.train.engine.loop import train
from nearfield.train.engine.watcher import refuse_copies
from nearfield.train.recipe import Recipe
from nearfield.train.runs.conclude import conclude
from nearfield.train.runs.tune import read_verdict
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.role import DOCUMENT
from nearfield.types.verdict import Verdict


def tune_reranker(
    model: str,
    collection: Collection,
    *,
    to: str | Path,
    first: str = "",
    recipe: Recipe | None = None,
    allow: Names[str] = (),
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Train the cross-encoder `model`, or a new one on that encoder's backbone, and measure it on
    the test split, once.

    `first` is the encoder whose results are ordered again, and from whose near misses it learns: by
    default `model`, where that is an encoder. `to` is the run folder, as for `tune`: an interrupted
    run goes on where it was. The verdict is against the cross-encoder before training, or where it
    is new against `first` alone. `allow` takes "trained-on", for models that were trained on
    queries that this run measures. Raises as `tune` does, RecipeError for what a cross-encoder has
    not, and InputError where no first model is known and for a group of several processes.
    """
    recipe = recipe or Recipe()
    _refuse(recipe)
    if setting.group.size > 1:
        raise InputError(
            "a cross-encoder is trained in one process; the setting has a group of "
            f"{setting.group.size}"
        )
    given = is_reranker(Path(model))
    if given and not first:
        raise InputError(
            f"{model} is a cross-encoder and finds nothing by itself; say whose "
            "results it should order: first='minilm'"
        )
    with RunFolder(to).locked() as folder, warnings.catch_warnings():
        # the comparison's notes say what was cut
        warnings.simplefilter("ignore", TruncationWarning)
        data, notes = with_enough_dev(
            *with_all_splits(collection, seed=recipe.seed), seed=recipe.seed
        )
        refuse_copies(data)
        data, leaks = without_leaks(data)
        device = device_here(setting.device, setting.group)
        encoder = load_text_encoder(first or model, OpenOptions(device=device))
        files = Path(model) if given else model_path(model)
        facts = {
            "collection": collection.name,
            "fingerprint": data.fingerprint,
            "notes": [*notes, *leaks],
            "model": model,
            "files": model_hash(files),
            "first": model_hash(encoder.folder.path),
        }
        folder.identify("recipe.json", dataclasses.asdict(recipe))
        folder.identify("data.json", facts)
        if not folder.has("verdict.json"):
            known = {
                encoder.contract.name: encoder.trained_on,
                Path(model).name: TrainedOn.read(files),
            }
            refuse_seen(known, data.split("dev"), data.split("test"), allow=allow)
            run = _RerankerRun(folder, data, encoder, recipe, setting, device)
            start = Path(model) if given else _new(folder, model, recipe)
            if not folder.has("model"):
                run.train(start)
            texts = {name: data.split(name).query_texts for name in ("train", "dev", "test")}
            learnt = TrainingRun.of(texts["train"], dev=texts["dev"], test=texts["test"])
            keep_trained_on([files], folder.path / "model", learnt)
            run.conclude(start if given else None)
        return read_verdict(folder)


def _refuse(recipe: Recipe) -> None:
    """Raise RecipeError for a key that means nothing to a cross-encoder, which makes no vectors,
    and where nothing would be learnt.
    """
    for key in (
        "lora.rank",
        "distil.teacher",
        "objective.dims",
        "objective.temperature",
        "sparsity.query",
        "sparsity.document",
        "merge.ratios",
    ):
        table, name = key.split(".")
        value, usual = (getattr(getattr(each, table), name) for each in (recipe, Recipe()))
        if value != usual:
            raise RecipeError(
                f"{key} is {value}; a cross-encoder is trained whole, from "
                "judgements, and makes no vectors: leave it out"
            )
    if not recipe.negatives.per_query:
        raise RecipeError(
            "negatives.per_query is 0; wanted at least 1: a cross-encoder learns to "
            "tell a positive from hard negatives"
        )


def _new(folder: RunFolder, model: str, recipe: Recipe) -> Path:
    if not folder.has("start"):
        new_reranker(
            model_path(model),
            folder.path / "start",
            name=f"{Path(model).name}-reranker",
            seed=recipe.seed,
        )
    return folder.path / "start"


@dataclasses.dataclass(frozen=True)
class _RerankerRun:
    """The stages of one run: `collection` with all splits, `encoder` what finds the documents that
    are ordered.
    """

    folder: RunFolder
    collection: Collection
    encoder: TextEncoder
    recipe: Recipe
    setting: Setting
    device: str

    @property
    def precision(self) -> str:
        here = environment(self.recipe.schedule.precision, self.device)
        return same_environment(self.folder.once("environment.json", lambda: here), here)

    def train(self, start: Path) -> None:
        """Mine, train, and write the model with the weights that dev liked best."""
        with self.setting.watch("encode documents") as progress:
            corpus = open_corpus(self.encoder, self.collection, progress=progress)
        held = self.folder.once(
            "negatives.json", lambda: mine(self.encoder, corpus, self.recipe).json()
        )
        facts = read_reranker_folder(start)
        model = PairModel(facts, precision=self.precision, device=self.device)
        judge = Reranker(facts, TorchRuntime(model))
        queries, documents = (
            self.collection.split("train").query_texts,
            self.collection.document_texts,
        )
        limit = self.recipe.schedule.max_tokens
        pairs = PairData(
            TrainingPairs.of(held),
            lambda at: judge.tokenise(queries, documents, at, max_tokens=limit),
        )
        with self.setting.watch("train") as progress:
            kept = train(
                model,
                pairs,
                self.recipe,
                run=self.folder,
                measure=self._dev(judge, corpus),
                progress=progress,
            )
        with torch.no_grad():
            for name, weight in model.parameters().items():
                if name in kept:
                    weight.copy_(kept[name])
        save_reranker(
            model, self.folder.path / "model", name=f"{judge.name}-{self.collection.name}"
        )

    def _dev(self, judge: Reranker, corpus: Corpus) -> Callable[[], Floats]:
        """Measures the judge as it stands on what the first model finds for the dev queries."""
        pool = dev_pool(self.encoder, corpus, self.recipe)
        documents = self.encoder.encode(pool.document_texts, DOCUMENT)
        stage = FirstStage.exact("model", self.encoder, documents)
        found = Retriever(pool.document_ids, pool.document_texts, [stage]).search(
            Queries(pool.query_texts, pool.query_ids, pool.own), self.recipe.negatives.depth
        )

        def measure() -> Floats:
            ordered = rerank(
                found, judge, query_texts=pool.query_texts, document_texts=pool.document_texts
            )
            (scores,) = score_ranking(ordered, pool.relevance, [pool.measure]).values()
            return scores.values

        return measure

    def conclude(self, base: Path | None) -> None:
        """Measure the test split, once, with the model as it was written, and give the verdict."""
        split, name = self.collection.split("test"), self.encoder.contract.name
        with self.setting.watch("test") as progress:
            (plain,) = model_systems(self.encoder, split, name=name, progress=progress)
            systems = [plain]
            options = OpenOptions(precision=self.precision, device=self.device)
            for path in (*([base] if base else []), self.folder.path / "model"):
                judge = Reranker.open(path, options)
                systems.append(reranked_system(plain, judge, split, progress=progress))
        measures = tuple(dict.fromkeys((self.recipe.measure, *MEASURES)))
        seen = (TRAINED_ON,)  # the run has refused them before it began, or was allowed to go on
        comparison = compare(
            systems, split, measure=self.recipe.measure, measures=measures, allow=seen
        )
        self.folder.write("comparison.json", comparison)
        dev = len(self.collection.split("dev").query_ids)
        verdict = conclude(
            comparison, base=systems[-2].name, tuned=systems[-1].name, forgotten=(), dev_queries=dev
        )
        self.folder.write("verdict.json", verdict)
