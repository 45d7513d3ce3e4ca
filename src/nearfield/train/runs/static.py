"""Distil a static model: from a model to one whose texts' vectors are means of its tokens'."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from nearfield.data.collection import Collection, Split
from nearfield.data.trained_on import keep_trained_on
from nearfield.encoders.encoded import encoded
from nearfield.encoders.load import load, load_text_encoder
from nearfield.encoders.model_facts import model_facts
from nearfield.errors import CollectionError, InputError, ModelError
from nearfield.evaluate.systems import model_systems
from nearfield.formats.static_folder import UNLIMITED, checked_table
from nearfield.models.saving.save_static import write_static
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.functions import unit
from nearfield.store.atomic import staged_folder
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.data.leakage import free_documents
from nearfield.train.engine.watcher import refuse_one
from nearfield.train.fits.blend import put_weights
from nearfield.train.fits.ridge import Fit, fit_means, held_out_cosine
from nearfield.train.fits.token_table import (
    TableEncoder,
    components,
    counted_weights,
    starting_table,
    token_means,
    zipf_weights,
)
from nearfield.train.fits.token_vectors import frequent_words, static_tokeniser, token_vectors
from nearfield.train.runs.candidate import ByVectors, Candidate
from nearfield.train.runs.conclude import Measured
from nearfield.train.runs.document_run import DocumentRun
from nearfield.train.runs.run import MADE, Stage, data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress
from nearfield.types.role import DOCUMENT
from nearfield.types.verdict import Verdict

FACTS = "distil.json"
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the fit


@dataclass(frozen=True)
class DistilRecipe:
    """`dim` dimensions of the static model; `texts` is how many of the documents it is fitted to,
    spread evenly; the most frequent `words` of them that the tokeniser cuts get vectors of their
    own; `counted` weights tokens by their share of the texts' tokens, not by their rank.
    """

    dim: int = 256
    texts: int = 20_000
    words: int = 0
    counted: bool = False
    seed: int = 0


def distil(
    model: str | Path,
    data: object = None,
    *,
    to: str | Path,
    recipe: DistilRecipe = DistilRecipe(),
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    setting: Setting = UNWATCHED,
) -> Verdict | None:
    """Make a static model that takes after `model`: `model` in the run folder `to`, which model2vec
    and sentence-transformers open.

    Each token of the vocabulary goes through the model alone; the vectors are centred, cut to their
    principal components and weighted by a / (a + p), p by Zipf's law from the token's rank
    (model2vec; Arora et al. 2017) or, where `recipe.counted`, its share of the texts' tokens. With
    `data`, which `open_collection` takes, the components are those of the model's vectors of its
    documents, and the table is fitted to these (see `fit_means`), as far as no guard loses more
    than its margin by it. No query is learned from, nor a document that a held-out split judges or
    a near copy of one. The verdict is on the fit; None where the data has no judged test queries,
    or where there is no data and no fit. `guards`, `allow` and `setting` are as for `tune`. Raises
    as `tune` does, InputError for an impossible dim and for words or counts without data, and
    ModelError where the model is static already.
    """
    with locked_run(to, model) as folder:
        run = DistilRun(model, folder, recipe, setting.with_source(data))
        if data is None:
            run.without_data()
            return None
        run.begin(data_of(data), guards)
        return run.verdict_if_judged(f"distil {run.teacher.contract.name}", allow)


class DistilRun(DocumentRun):
    """A run that makes a static model of `model`."""

    nouns = ("static model", "static model before the fit")
    # what the stages hand on
    targets: Floats  # (texts, dim) the model's vectors of the texts
    tokenizer: Tokenizer
    start: Floats  # (tokens, dim) the table before the fit
    means: csr_array  # (texts, tokens)
    wanted: Floats  # (texts, dim)
    fit: Fit

    def __init__(
        self, model: str | Path, folder: RunFolder, recipe: DistilRecipe, setting: Setting
    ) -> None:
        super().__init__(folder, setting, recipe)
        self.model = str(model)
        self.teacher = load_text_encoder(model, OpenOptions(device=self.device))
        name = self.teacher.contract.name
        dim = self.teacher.contract.dim
        if self.teacher.folder.static:
            raise ModelError(
                f"{name}: is a static model already; give the model that it should take after"
            )
        if not 0 < recipe.dim <= dim:
            raise InputError(f"{recipe.dim} dimensions were asked for; {name} has {dim}")
        self.contract = Contract(f"{name}-static", recipe.dim, UNLIMITED)
        self.known = {name: self.teacher.trained_on}
        self.facts = {"model": self.model, "files": model_hash(self.teacher.folder.path)}

    def without_data(self) -> None:
        """Write the table that needs no texts."""
        if self.recipe.words or self.recipe.counted:
            raise InputError("words are taken from texts and counted there; give data too")
        self.folder.identify("recipe.json", asdict(self.recipe))
        self.folder.identify("data.json", self.facts)
        with self.setting.watch(f"distil {self.teacher.contract.name}") as progress:
            self.make_start("model", progress)

    def begin(self, collection: Collection, guards: Sequence[str] | None = None) -> None:
        """Choose what is fitted to, and write what decides the result."""
        self.take(collection, leaks=False)
        free = free_documents(self.collection)
        if not len(free):
            raise CollectionError(
                f"{collection.name}: each document is judged by a held-out split, or a near copy "
                "of one that is; add documents to fit to"
            )
        evenly = np.linspace(0, len(free) - 1, min(self.recipe.texts, len(free)))
        chosen = free[np.unique(evenly.astype(np.int64))]
        self.texts = self.collection.document_texts[chosen]
        contract = self.teacher.contract
        self.identify(guards, self.facts, {"model": contract.name, "kind": contract.kind})

    def stages(self, allow: Names[str]) -> list[Stage]:
        steps = {
            "encode documents": self.encode,
            "tokens": lambda progress: self.make_start("start", progress),
            "baseline": self.measure_baseline,
            "fit": self.fit_table,
            "merge": self.merge,
            "save": self.save,
        }
        made = [Stage(name, do, MADE) for name, do in steps.items()]
        return [self.doctor(allow, model_facts(self.teacher)), *made, self.test()]

    def work(self) -> Mapping[str, float]:
        documents = len(self.texts)
        vocabulary = self.teacher.tokeniser.size / 10  # tokens alone are short texts
        return {
            "encode documents": documents,
            "tokens": vocabulary,
            "test": len(self.collection.documents),
        }

    def encode(self, progress: Progress) -> None:
        """Encode what is fitted to."""
        made = encoded(self.teacher, self.texts, DOCUMENT, progress=progress)
        self.targets = made.as_dense("distilling").floats()
        refuse_one(self.targets, f"{self.teacher.contract.name} gives all texts")

    def make_start(self, part: str, progress: Progress) -> None:
        """Make the table of what the model makes of each token, as the folder `part`."""
        if not self.folder.has(part):
            self._write_start(part, progress)
        path = self.folder.path / part
        self.tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self.start = np.array(checked_table(path))

    def _write_start(self, part: str, progress: Progress) -> None:
        teacher = self.teacher
        recipe = self.recipe
        texts = self.texts
        tokenizer, new = static_tokeniser(teacher, ())
        if recipe.words:  # those that the tokeniser without them cuts
            words = frequent_words(tokenizer, texts, recipe.words)
            tokenizer, new = static_tokeniser(teacher, words)
        vectors, real = token_vectors(teacher, tokenizer, new, progress=progress)
        refuse_one(vectors[real], f"{teacher.contract.name} gives all tokens")
        weights = zipf_weights(real)
        if recipe.counted:
            weights = counted_weights(tokenizer, texts, len(vectors))
        table = starting_table(vectors, real, self.basis(vectors[real]), weights)
        facts = {"tokens": int(real.sum()), "words": len(new), "texts": len(texts)}
        self.folder.write(FACTS, facts)
        self._write(part, tokenizer, table)

    def basis(self, alone: Floats | None = None) -> Floats:
        """(hidden, dim) the directions that are kept: those of the texts, or of the tokens where
        there are none.
        """
        if len(self.texts):
            return components(self.targets, self.recipe.dim)
        assert alone is not None
        return components(alone - alone.mean(0), self.recipe.dim)

    def _write(self, part: str, tokenizer: Tokenizer, table: Floats) -> None:
        with staged_folder(self.folder.path / part) as stage:
            tokenizer.save(str(stage / "tokenizer.json"))
            write_static(stage, table, self.contract, made_from=self.teacher.contract.name)
            keep_trained_on([self.teacher.folder.path], stage)

    def measure_baseline(self, progress: Progress) -> None:
        """Freeze what every guard reaches before the fit."""
        before = ByVectors(self._encoder(self.start))
        self.folder.once("baseline.json", lambda: self.guards_before(before, progress))

    def fit_table(self, progress: Progress) -> None:
        """Fit the table to the texts."""
        self.means = token_means(self.tokenizer, self.texts, len(self.start))
        self.wanted = unit(self.targets @ self.basis())
        self.fit = fit_means(self.means, self.wanted, self.start, progress=progress)

    def merge(self, progress: Progress) -> None:
        """Take the share of the fit that held-out texts like best without a guard losing more than
        its margin.
        """
        known = {0.0: self.fit.before, 1.0: self.fit.after}
        dev = self.held_out_cosine
        self.back_off(SHARES, known, put=self._put, dev=dev, progress=progress)

    def held_out_cosine(self, share: float) -> float:
        """The mean cosine of held-out texts with the model at this share of the fit."""
        return held_out_cosine(self.means, self.wanted, self._table(share))

    def _table(self, share: float) -> Floats:
        """(tokens, dim) the table at this share of the fit; what stands for no text stays 0."""
        table = np.empty_like(self.start)
        into = {"table": torch.from_numpy(table)}
        base = {"table": torch.from_numpy(self.fit.start)}
        fitted = {"table": torch.from_numpy(self.fit.table)}
        put_weights(into, base, fitted, share)
        table[~self.start.any(axis=1)] = 0
        return table

    def _encoder(self, table: Floats) -> TableEncoder:
        return TableEncoder(self.contract, self.tokenizer, table)

    def _put(self, share: float) -> Candidate:
        return ByVectors(self._encoder(self._table(share)))

    def save(self, progress: Progress) -> None:
        """Write the model's folder."""
        if not self.folder.has("model"):
            facts = self.folder.read(FACTS)
            facts |= {"before": self.fit.before, "after": self.held_out_cosine(self.chosen)}
            self.folder.write(FACTS, facts)
            self._write("model", self.tokenizer, self._table(self.chosen))

    def measure_test(self, split: Split, progress: Progress) -> Measured:
        name = self.contract.name
        before = f"{name} before the fit"
        fitted = load(self.folder.path / "model")
        rows = {
            before: load(self.folder.path / "start"),
            name: fitted,
            self.teacher.contract.name: self.teacher,
        }
        systems = []
        for row, encoder in rows.items():
            systems += model_systems(encoder, split, name=row, progress=progress)
        comparison = self.compared(systems, split)
        return Measured(comparison, before, name, ByVectors(fitted))
