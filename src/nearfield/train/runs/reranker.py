"""Train a cross-encoder: from data to a reranker and the verdict on what it orders."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.pairs import Pairs
from nearfield.data.trained_on import TrainedOn, keep_trained_on
from nearfield.encoders.encoded import encoded
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.model_facts import model_facts
from nearfield.encoders.reranker import Reranker
from nearfield.errors import InputError
from nearfield.evaluate.measures import score_ranking
from nearfield.evaluate.reranked import reranked_system
from nearfield.evaluate.systems import model_systems
from nearfield.evaluate.tasks.similarity import Similarity
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
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.train.data.pair_data import PairData
from nearfield.train.data.pool import Pool
from nearfield.train.fields import need
from nearfield.train.recipe import Recipe, refuse_keys
from nearfield.train.runs.candidate import ByVectors, Candidate
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.model_run import ModelRun
from nearfield.train.runs.run import Stage, data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.progress import Progress, silent
from nearfield.types.ranking import Ranking
from nearfield.types.role import DOCUMENT
from nearfield.types.scores import Scores
from nearfield.types.verdict import Verdict


def tune_reranker(
    model: str,
    data: object,
    *,
    to: str | Path,
    first: str = "",
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Train the cross-encoder `model`, or a new one on that encoder's backbone, and measure it on
    the test split of `data`, which `open_collection` takes, once.

    `first` is the encoder whose results are ordered again, and from whose near misses it learns: by
    default `model`, where that is an encoder. `to`, `guards`, `allow` and `setting` are as for
    `tune`. The verdict is against the cross-encoder before training, to whose weights it goes back
    as a tuned model does to its base's, or where it is new against `first` alone: a new one has
    nothing to go back to but an earlier step. Raises as `tune` does, RecipeError for what a
    cross-encoder has not, and InputError where no first model is known and for a group of several
    processes.
    """
    given = is_reranker(Path(model))
    _refuse(recipe, given=given)
    setting.refuse_group("a cross-encoder")
    if given and not first:
        raise InputError(
            f"{model} is a cross-encoder and finds nothing by itself; say whose "
            "results it should order: first='minilm'"
        )
    collection = data_of(data)
    setting = setting.with_source(data)
    with locked_run(to, model, first) as folder:
        run = RerankerRun(model, first or model, folder, recipe, setting)
        run.begin(collection, guards)
        return run.verdict(f"train {run.judge.name}", allow)


def _refuse(recipe: Recipe, *, given: bool) -> None:
    """Raise RecipeError for a key that means nothing to a cross-encoder, which makes no vectors,
    and where nothing would be learnt.
    """
    wanted = "none: a cross-encoder is trained whole, from judgements, and makes no vectors"
    keys = ["lora", "distil", "objective", "sparsity", "schedule.towers"]
    if not given:  # there is nothing to merge with
        keys.append("merge.ratios")
    refuse_keys(recipe, *keys, wanted=wanted)
    count = recipe.negatives.per_query
    wanted = "at least 1: a cross-encoder learns to tell a positive from hard negatives"
    need(count > 0, "negatives.per_query", count, wanted)


class ByJudge(Candidate):
    """Orders again what `finder` finds, as far down as `depth`; what it finds in a pool is found
    once.
    """

    def __init__(self, finder: EncodedOnce, judge: Reranker, depth: int) -> None:
        self.finder = finder
        self.judge = judge
        self.depth = depth
        self._found: dict[int, tuple[Pool, Ranking]] = {}  # by the pool's id, which is kept alive

    def on_pool(self, pool: Pool, *, progress: Progress = silent) -> Scores:
        # what is ordered again depends on `finder` alone, which training does not change
        if id(pool) not in self._found:
            self._found[id(pool)] = (pool, self._first(pool))
        _, found = self._found[id(pool)]
        ordered = rerank(
            found,
            self.judge,
            query_texts=pool.query_texts,
            document_texts=pool.document_texts,
            progress=progress,
        )
        (scores,) = score_ranking(ordered, pool.relevance, [pool.measure]).values()
        return scores

    def _first(self, pool: Pool) -> Ranking:
        documents = encoded(self.finder, pool.document_texts, DOCUMENT)
        stage = FirstStage.exact("model", self.finder, documents)
        asked = Queries(pool.query_texts, pool.query_ids, pool.own)
        return Retriever(pool.document_ids, pool.document_texts, [stage]).search(asked, self.depth)

    def on_pairs(self, pairs: Pairs, *, progress: Progress = silent) -> float:
        scores = self.judge.score_pairs(pairs.queries, pairs.positives)
        return Similarity(pairs).statistic.of(scores.astype(np.float64))


class RerankerRun(ModelRun):
    """A run that trains the cross-encoder `model`, or a new one on that encoder's
    backbone, to order what `first` finds.
    """

    trained: PairModel
    guard_queries = 100  # with each, a hundred documents or so are read by the cross-encoder

    def __init__(
        self, model: str, first: str, folder: RunFolder, recipe: Recipe, setting: Setting
    ) -> None:
        super().__init__(folder, setting, recipe)
        self.model = model
        self.backs_off = is_reranker(Path(model))
        if self.backs_off:
            self.nouns = ("tuned reranker", "reranker before")
            self.files = Path(model)
        else:
            self.nouns = ("new reranker", "first model alone")
            self.files = model_path(model)
        self.encoder = load_text_encoder(first, OpenOptions(device=self.device))

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Write what decides the result, and open what is trained."""
        self.take(collection)
        encoder = self.encoder
        self.known = {
            encoder.contract.name: encoder.trained_on,
            Path(self.model).name: TrainedOn.read(self.files),
        }
        facts = {
            "model": self.model,
            "files": model_hash(self.files),
            "first": model_hash(encoder.folder.path),
        }
        self.identify(guards, facts, {"model": encoder.contract.name})
        self.start = self.files
        if not self.backs_off:
            # kept, as its head begins with random numbers: a resumed run begins with the same
            self.start = self.folder.path / "start"
            if not self.folder.has("start"):
                name = f"{Path(self.model).name}-reranker"
                new_reranker(self.files, self.start, name=name, seed=self.recipe.seed)
        facts_read = read_reranker_folder(self.start)
        self.trained = PairModel(facts_read, precision=self.precision, device=self.device)
        self.judge = Reranker(facts_read, TorchRuntime(self.trained))
        self.finder = EncodedOnce(encoder)
        self.max_tokens = encoder.contract.max_tokens
        self.now = self.merged = ByJudge(self.finder, self.judge, self.recipe.negatives.depth)
        # a new one says nothing before it is trained: it has to be worth more than none
        self.base = self.now if self.backs_off else ByVectors(self.finder)

    def examination(self, allow: Names[str]) -> Stage:
        return self.doctor(allow, model_facts(self.encoder))

    def material(self) -> PairData:
        queries = self.collection.split("train").query_texts
        documents = self.collection.document_texts
        limit = self.recipe.schedule.max_tokens
        return PairData(
            self.negatives,
            lambda at: self.judge.tokenise(queries, documents, at, max_tokens=limit),
        )

    def save(self, progress: Progress) -> None:
        if not self.folder.has("model"):
            name = f"{self.judge.name}-{self.collection.name}"
            save_reranker(self.trained, self.folder.path / "model", name=name)

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        keep_trained_on([self.files], self.folder.path / "model", self.learnt)
        name = self.encoder.contract.name
        (plain,) = model_systems(self.encoder, split, name=name, progress=progress)
        systems = [plain]
        folders = [self.folder.path / "model"]
        if self.backs_off:  # else it is compared with the first model alone
            folders.insert(0, self.start)
        options = OpenOptions(precision=self.precision, device=self.device)
        for path in folders:
            judge = Reranker.open(path, options)
            systems.append(reranked_system(plain, judge, split, progress=progress))
        comparison = self.compared(systems, split)
        made = ByJudge(self.finder, judge, self.recipe.negatives.depth)
        return Measured(comparison, systems[-2].name, systems[-1].name, made)
