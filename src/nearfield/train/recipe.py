"""The frozen config of a tuning run."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nearfield.errors import InputError, RecipeError, nearest
from nearfield.evaluate.measures import cutoff, measure_name
from nearfield.evaluate.systems import DEPTH
from nearfield.similarity import EMBEDDINGS
from nearfield.types.contract import Contract

QUERY_COST, DOCUMENT_COST = 0.03, 0.01
"""What a sparse model's terms cost by default: a thirtieth of InfoNCE's gradient at the weights of
a new head on minilm, and a growing share of it while the loss falls (see docs/log.md).
"""


@dataclass(frozen=True)
class Objective:
    """`dims` are the Matryoshka dims trained at once; empty means those of the model's contract,
    and none where it has none.
    """

    temperature: float = 0.05
    dims: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sparsity:
    """What the terms of a sparse model cost it: `query` and `document` are weights of the FLOPS of
    each side (see losses/flops.py).

    Both rise with the square of the step over the `warmup` share of all steps, and then stay.
    """

    query: float = 0.0
    document: float = 0.0
    warmup: float = 0.33


@dataclass(frozen=True)
class Negatives:
    """Hard negatives: `per_query` of each query's best `depth` documents from each of `sources`.

    A candidate is no negative when it is judged relevant, nearly equal to a positive, or when the
    model scores it above `margin` times the positive's score (the positive-aware rule of
    NV-Retriever, Moreira et al. 2024, which takes 0.95); `skip` drops the very best candidates,
    which are the likeliest to be unjudged positives.
    """

    per_query: int = 1
    sources: tuple[str, ...] = ("bm25", "model")
    depth: int = 30
    skip: int = 0
    margin: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Batches and steps.

    `rate` rises over the `warmup` share of all steps, then falls linearly to 0; a static model's is
    `table_rate` of its vectors' root mean square instead.

    Texts are cut to `max_tokens` in training only. dev is measured `evaluations` times, in a short
    run fewer; training stops when it was clearly below its best `patience` times in a row (see
    checkpoint.py). `precision` auto is bfloat16 where the processor has it. `engine` auto runs the
    layers of BERT and its kin on this package's kernels where they can train on the processor,
    torch never. Of a batch of more than `graph_tokens` tokens, the rest is embedded twice, so that
    the memory of a step is bounded and the batch is not (see gradient_cache.py); the result is the
    same.
    """

    epochs: float = 2.0
    batch: int = 64
    rate: float = 5e-5
    table_rate: float = 0.01
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    max_tokens: int = 128
    graph_tokens: int = 12288
    evaluations: int = 5
    patience: int = 3
    precision: str = "auto"
    engine: str = "auto"
    freeze_embeddings: bool = True


@dataclass(frozen=True)
class Distil:
    """What a teacher says of each query's positive and hard negatives, learnt beside the objective.

    `teacher` is a cross-encoder's folder, or an encoder's name or folder; there is none where it is
    empty. `loss` is kl or margin-mse, and counts `weight` beside the objective. `temperature`
    divides the teacher's scores, as the objective's divides the model's.
    """

    teacher: str = ""
    loss: str = "kl"
    weight: float = 1.0
    temperature: float = 1.0


@dataclass(frozen=True)
class Merge:
    """Tuned and base weights are averaged at each of `ratios` (1 is all tuned); the best on dev
    that keeps every guard is taken.

    `margin` is how much of its measure a guard may lose, in the measure's unit.
    """

    ratios: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    margin: float = 0.01


@dataclass(frozen=True)
class Lora:
    """Where `rank` is above 0, low-rank adapters are trained instead of all weights (LoRA, Hu et
    al. 2021).

    Each layer of `targets` (endings of layers' names, one regular expression, or all-linear) learns
    two matrices of that rank, whose product times alpha / rank is added to its weight. `per_role`:
    queries and documents get an adapter each.
    """

    rank: int = 0
    alpha: float = 16.0
    targets: tuple[str, ...] = ("all-linear",)
    per_role: bool = False


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's result, besides the model and the data."""

    seed: int = 0
    measure: str = "nDCG@10"
    pool: int = 1500
    objective: Objective = field(default_factory=Objective)
    sparsity: Sparsity = field(default_factory=Sparsity)
    negatives: Negatives = field(default_factory=Negatives)
    schedule: Schedule = field(default_factory=Schedule)
    merge: Merge = field(default_factory=Merge)
    distil: Distil = field(default_factory=Distil)
    lora: Lora = field(default_factory=Lora)

    def __post_init__(self) -> None:
        s, n, m, terms = self.schedule, self.negatives, self.merge, self.sparsity
        _need(
            s.batch >= 2,
            "schedule.batch",
            s.batch,
            "at least 2: the other rows of a batch are its negatives",
        )
        _need(s.epochs > 0, "schedule.epochs", s.epochs, "more than 0")
        _need(s.rate > 0, "schedule.rate", s.rate, "more than 0")
        _need(s.table_rate > 0, "schedule.table_rate", s.table_rate, "more than 0")
        _need(
            0 <= s.warmup < 1,
            "schedule.warmup",
            s.warmup,
            "a share of all steps, 0 or more and below 1",
        )
        _need(s.max_tokens >= 4, "schedule.max_tokens", s.max_tokens, "at least 4")
        _need(s.graph_tokens >= 1, "schedule.graph_tokens", s.graph_tokens, "at least 1")
        _need(s.evaluations >= 1, "schedule.evaluations", s.evaluations, "at least 1")
        _need(s.patience >= 1, "schedule.patience", s.patience, "at least 1")
        _need(
            s.precision in ("auto", "float32", "bfloat16"),
            "schedule.precision",
            s.precision,
            "auto, float32 or bfloat16",
        )
        _need(s.engine in ("auto", "torch"), "schedule.engine", s.engine, "auto or torch")
        _need(s.clip > 0, "schedule.clip", s.clip, "more than 0")
        _need(s.weight_decay >= 0, "schedule.weight_decay", s.weight_decay, "0 or more")
        _need(
            all(dim > 0 for dim in self.objective.dims),
            "objective.dims",
            list(self.objective.dims),
            "numbers above 0",
        )
        _need(
            self.objective.temperature > 0,
            "objective.temperature",
            self.objective.temperature,
            "more than 0",
        )
        _need(terms.query >= 0, "sparsity.query", terms.query, "0 or more")
        _need(terms.document >= 0, "sparsity.document", terms.document, "0 or more")
        _need(
            0 <= terms.warmup <= 1,
            "sparsity.warmup",
            terms.warmup,
            "a share of all steps, from 0 to 1",
        )
        _need(n.per_query >= 0, "negatives.per_query", n.per_query, "0 or more")
        _need(
            set(n.sources) <= {"bm25", "model"},
            "negatives.sources",
            list(n.sources),
            "some of bm25, model",
        )
        _need(
            0 <= n.skip < n.depth,
            "negatives.skip",
            n.skip,
            f"0 or more and below negatives.depth ({n.depth})",
        )
        _need(
            bool(m.ratios) and all(0 < ratio <= 1 for ratio in m.ratios),
            "merge.ratios",
            list(m.ratios),
            "numbers above 0 and up to 1",
        )
        _need(m.margin >= 0, "merge.margin", m.margin, "0 or more")
        d = self.distil
        _need(d.loss in ("kl", "margin-mse"), "distil.loss", d.loss, "kl or margin-mse")
        _need(
            d.weight > 0,
            "distil.weight",
            d.weight,
            "more than 0; without distil.teacher nothing is distilled",
        )
        _need(d.temperature > 0, "distil.temperature", d.temperature, "more than 0")
        _need(
            bool(d.teacher) or d == Distil(),
            "distil.teacher",
            "empty",
            "a teacher, which the other keys of [distil] are about",
        )
        _need(
            not d.teacher or n.per_query > 0,
            "negatives.per_query",
            n.per_query,
            "at least 1: a teacher compares a query's documents",
        )
        _need(self.lora.rank >= 0, "lora.rank", self.lora.rank, "0, for none, or more")
        _need(self.lora.alpha > 0, "lora.alpha", self.lora.alpha, "more than 0")
        _need(
            bool(self.lora.targets),
            "lora.targets",
            list(self.lora.targets),
            "all-linear or the layers' names",
        )
        try:
            object.__setattr__(self, "measure", measure_name(self.measure))
        except InputError as error:
            raise RecipeError(f"measure: {error}") from error
        _need(
            cutoff(self.measure) <= DEPTH, "measure", self.measure, f"a cutoff of at most {DEPTH}"
        )
        _need(self.pool >= 1, "pool", self.pool, "at least 1")

    @classmethod
    def open(cls, path: str | Path, *, kind: str = "dense") -> Recipe:
        """The recipe in a TOML file, for a model whose embeddings are of `kind`: what it leaves out
        is as in `default_recipe`.

        Raises RecipeError that names the key and the nearest known one.
        """
        try:
            facts = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RecipeError(f"{path}: could not be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: is not TOML: {error}") from error
        try:
            return cls.of(facts, start=default_recipe(kind))
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from error

    @classmethod
    def of(cls, facts: dict[str, Any], *, start: Recipe | None = None) -> Recipe:
        """The recipe of these keys and values, for the rest those of `start`, by default Recipe's
        own.
        """
        recipe: Recipe = _build(start or cls(), facts, "")
        return recipe


def default_recipe(kind: str) -> Recipe:
    """The recipe of a model whose embeddings are of `kind`, where none is given.

    The scores of a sparse and of a multi-vector model are sums, over terms or a query's tokens, and
    no cosines, so they are their own temperature; and a sparse one's terms cost something.
    """
    made, recipe = EMBEDDINGS[kind], Recipe()
    if made.sums:
        recipe = replace(recipe, objective=Objective(temperature=1.0))
    if made.has_terms:
        recipe = replace(recipe, sparsity=Sparsity(query=QUERY_COST, document=DOCUMENT_COST))
    return recipe


def _need(holds: bool, key: str, got: object, wanted: str) -> None:
    if not holds:
        raise RecipeError(f"{key} is {got}; wanted {wanted}")


def _build(start: Any, facts: dict[str, Any], under: str) -> Any:
    known = {part.name: part for part in dataclasses.fields(start)}
    values: dict[str, Any] = {}
    for key, value in facts.items():
        if key not in known:
            raise RecipeError(
                f"there is no key {under}{key}; {under.rstrip('.') or 'a recipe'} has "
                f"{', '.join(known)}.{nearest(key, known)}"
            )
        values[key] = _value(getattr(start, key), value, f"{under}{key}")
    return dataclasses.replace(start, **values)


def _value(default: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        if not isinstance(value, dict):
            raise RecipeError(f"{key} is {value!r}; wanted a table [{key}]")
        return _build(default, value, f"{key}.")
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        part = default[0] if default else 0  # the only tuple without a default value is of dims
        return tuple(_value(part, element, f"{key}[{at}]") for at, element in enumerate(value))
    if (
        isinstance(default, float)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        if not math.isfinite(value):
            raise RecipeError(f"{key} is {value}; wanted a finite number")
        return float(value)
    if type(value) is not type(default):
        raise RecipeError(
            f"{key} is {value!r}; wanted {type(default).__name__}, as in "
            f"{key.rsplit('.', 1)[-1]} = {default!r}"
        )
    return value


def refuse_what_the_kind_lacks(recipe: Recipe, contract: Contract) -> None:
    """Raise InputError where the recipe asks for what embeddings of the model's kind do not
    have.
    """
    for dim in recipe.objective.dims:
        if dim > contract.dim:
            raise InputError(
                f"objective.dims has {dim}; {contract.name} has {contract.dim} dimensions"
            )
    made = EMBEDDINGS[contract.kind]
    if recipe.objective.dims and not made.trains_dims:
        raise InputError(
            f"objective.dims is for dense vectors; those of {contract.name} are "
            f"{contract.kind}; leave it out"
        )
    if (recipe.sparsity.query or recipe.sparsity.document) and not made.has_terms:
        raise InputError(
            f"sparsity is for sparse vectors; those of {contract.name} are "
            f"{contract.kind}; leave it out"
        )
