"""The frozen config of a tuning run."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nearfield.errors import InputError, RecipeError, nearest
from nearfield.evaluate.measures import cutoff, measure_name
from nearfield.evaluate.systems import DEPTH
from nearfield.similarity import EMBEDDINGS
from nearfield.train.objectives import GUIDED, OBJECTIVES, TEACHER_LOSSES, named
from nearfield.types.contract import Contract

QUERY_COST, DOCUMENT_COST = 0.03, 0.01
"""What a sparse model's terms cost by default: a thirtieth of InfoNCE's gradient at the weights of
a new head on minilm, and a growing share of it while the loss falls (see docs/log.md).
"""

MOST_RATE, MOST_TEMPERATURE = 0.1, 100.0


def _checked(default: Any, holds: Callable[[Any], bool], wanted: str) -> Any:
    """A field whose values must fulfil `holds`, which `wanted` says in words."""
    return field(default=default, metadata={"holds": holds, "wanted": wanted})


def _above_0(default: float) -> Any:
    return _checked(default, lambda value: value > 0, "more than 0")


def _rate(default: float) -> Any:
    return _checked(
        default,
        lambda rate: 0 < rate <= MOST_RATE,
        f"more than 0 and at most {MOST_RATE}: AdamW moves each weight by about the rate in every "
        "step, so that a higher one leaves nothing of what the model knows",
    )


def _not_below(least: int, default: float) -> Any:
    wanted = f"at least {least}" if least else "0 or more"
    return _checked(default, lambda value: value >= least, wanted)


def _one_of(default: str, *names: str) -> Any:
    *first, last = names
    return _checked(default, names.__contains__, f"{', '.join(first)} or {last}")


@dataclass(frozen=True)
class ObjectiveChoice:
    """What is minimised: the objective called `name`, the model's usual one where that is empty,
    with the `parameters` that are its own.

    `dims` are the Matryoshka dims trained at once; empty means those of the model's contract, and
    none where it has none. `dim_weights`: what each of them counts for. Of more than
    `dims_per_step`, so many are drawn for each step, the whole vector always; 0 for all.
    `learn_temperature`: the temperature is where learning begins. `spread` weighs how unevenly
    texts lie on the sphere. `guide` is a model, which an objective such as guided asks.
    """

    name: str = ""
    temperature: float = _checked(
        0.05,
        lambda value: 0 < value <= MOST_TEMPERATURE,
        "more than 0 and at most 100: above it all documents of a batch count the same, so that "
        "nothing is learned",
    )
    dims: tuple[int, ...] = _checked((), lambda dims: min(dims, default=1) > 0, "numbers above 0")
    dim_weights: tuple[float, ...] = _checked(
        (), lambda weights: min(weights, default=1.0) > 0, "numbers above 0"
    )
    dims_per_step: int = _not_below(0, 0)
    learn_temperature: bool = False
    spread: float = _not_below(0, 0.0)
    guide: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sparsity:
    """What the terms of a sparse model cost it: `query` and `document` are weights of the FLOPS of
    each side (see wrappers/flops.py).

    Both rise with the square of the step over the `warmup` share of all steps, and then stay.
    """

    query: float = _not_below(0, 0.0)
    document: float = _not_below(0, 0.0)
    warmup: float = _checked(
        0.33, lambda share: 0 <= share <= 1, "a share of all steps, from 0 to 1"
    )


@dataclass(frozen=True)
class Negatives:
    """Hard negatives: `per_query` of each query's best `depth` documents from each of `sources`.

    A candidate is no negative when it is judged relevant, nearly equal to a positive, or when the
    model scores it above `margin` times the positive's score (the positive-aware rule of
    NV-Retriever, Moreira et al. 2024, which takes 0.95); `skip` drops the very best candidates,
    which are the likeliest to be unjudged positives.
    """

    per_query: int = _not_below(0, 1)
    sources: tuple[str, ...] = _checked(
        ("bm25", "model"), {"bm25", "model", "random"}.issuperset, "some of bm25, model, random"
    )
    depth: int = 30
    skip: int = 0
    margin: float = 1.0


@dataclass(frozen=True)
class Compute:
    """How a step is computed; its keys are those of the schedule.

    `precision` auto is bfloat16 where the processor has it. `engine` auto runs the layers of BERT
    and its kin on this package's kernels where they can train on the processor, torch never. Of a
    batch of more than `graph_tokens` tokens, the rest is embedded twice, so that the memory of a
    step is bounded and the batch is not (see gradient_cache.py); the result is the same.
    """

    graph_tokens: int = _not_below(1, 12288)
    precision: str = _one_of("auto", "auto", "float32", "bfloat16")
    engine: str = _one_of("auto", "auto", "torch")
    freeze_embeddings: bool = True


@dataclass(frozen=True)
class Schedule(Compute):
    """Batches and steps.

    `rate` rises over the `warmup` share of all steps, then falls linearly to 0; a static model's is
    `table_rate` of its vectors' root mean square instead.

    Texts are cut to `max_tokens` in training only. dev is measured `evaluations` times, in a short
    run fewer; training stops when it was clearly below its best `patience` times in a row (see
    checkpoint.py).
    """

    epochs: float = _above_0(2.0)
    batch: int = _checked(
        64, lambda size: size >= 2, "at least 2: the other rows of a batch are its negatives"
    )
    rate: float = _rate(5e-5)
    table_rate: float = _rate(0.01)
    warmup: float = _checked(
        0.1, lambda share: 0 <= share < 1, "a share of all steps, 0 or more and below 1"
    )
    weight_decay: float = _not_below(0, 0.01)
    clip: float = _above_0(1.0)
    max_tokens: int = _not_below(4, 128)
    evaluations: int = _not_below(1, 5)
    patience: int = _not_below(1, 3)


@dataclass(frozen=True)
class Distil:
    """What a teacher says of each query's positive and hard negatives, learnt beside the objective.

    `teacher` is a cross-encoder's folder, or an encoder's name or folder; there is none where it is
    empty. `loss` is kl or margin-mse, and counts `weight` beside the objective. `temperature`
    divides the teacher's scores, as the objective's divides the model's.
    """

    teacher: str = ""
    loss: str = _one_of("kl", *TEACHER_LOSSES)
    weight: float = _checked(
        1.0,
        lambda weight: weight > 0,
        "more than 0; without distil.teacher nothing is distilled",
    )
    temperature: float = _above_0(1.0)


@dataclass(frozen=True)
class Merge:
    """Tuned and base weights are averaged at each of `ratios` (1 is all tuned); the best on dev
    that keeps every guard is taken.

    `margin` is how much of its measure a guard may lose, in the measure's unit.
    """

    ratios: tuple[float, ...] = _checked(
        (0.4, 0.6, 0.8, 1.0),
        lambda ratios: bool(ratios) and min(ratios) > 0 and max(ratios) <= 1,
        "numbers above 0 and up to 1",
    )
    margin: float = _not_below(0, 0.01)


@dataclass(frozen=True)
class Lora:
    """Where `rank` is above 0, low-rank adapters are trained instead of all weights (LoRA, Hu et
    al. 2021).

    Each layer of `targets` (endings of layers' names, one regular expression, or all-linear) learns
    two matrices of that rank, whose product times alpha / rank is added to its weight. `per_role`:
    queries and documents get an adapter each.
    """

    rank: int = _checked(0, lambda rank: rank >= 0, "0, for none, or more")
    alpha: float = _above_0(16.0)
    targets: tuple[str, ...] = _checked(("all-linear",), bool, "all-linear or the layers' names")
    per_role: bool = False


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's result, besides the model and the data."""

    seed: int = 0
    measure: str = "nDCG@10"
    pool: int = _not_below(1, 1500)
    objective: ObjectiveChoice = field(default_factory=ObjectiveChoice)
    sparsity: Sparsity = field(default_factory=Sparsity)
    negatives: Negatives = field(default_factory=Negatives)
    schedule: Schedule = field(default_factory=Schedule)
    merge: Merge = field(default_factory=Merge)
    distil: Distil = field(default_factory=Distil)
    lora: Lora = field(default_factory=Lora)

    def __post_init__(self) -> None:
        _check_fields(self, "")
        self._check_distil()
        self._check_objective()
        depth, skip = self.negatives.depth, self.negatives.skip
        wanted = f"0 or more and below negatives.depth ({depth})"
        _need(0 <= skip < depth, "negatives.skip", skip, wanted)
        try:
            object.__setattr__(self, "measure", measure_name(self.measure))
        except InputError as error:
            raise RecipeError(f"measure: {error}") from error
        wanted = f"a cutoff of at most {DEPTH}"
        _need(cutoff(self.measure) <= DEPTH, "measure", self.measure, wanted)

    def _check_distil(self) -> None:
        asked = self.distil
        wanted = "a teacher, which the other keys of [distil] are about"
        _need(bool(asked.teacher) or asked == Distil(), "distil.teacher", "empty", wanted)
        count = self.negatives.per_query
        wanted = "at least 1: a teacher compares a query's documents"
        _need(not asked.teacher or count > 0, "negatives.per_query", count, wanted)

    def _check_objective(self) -> None:
        asked = self.objective
        wanted = f"a number for each of objective.dims, {len(asked.dims)}"
        fits = len(asked.dim_weights) in (0, len(asked.dims))
        _need(fits, "objective.dim_weights", asked.dim_weights, wanted)
        needs = frozenset[str]()
        if asked.name or asked.parameters:
            try:
                needs = named(asked.name, asked.temperature, asked.parameters).needs
            except InputError as error:
                raise RecipeError(f"objective: {error}") from error
        guided = bool(needs & GUIDED)
        wanted = f"a model, which {asked.name} asks" if guided else "none: the objective asks none"
        _need(guided == bool(asked.guide), "objective.guide", repr(asked.guide), wanted)

    @classmethod
    def open(cls, path: str | Path, *, kind: str = "dense", start: Recipe | None = None) -> Recipe:
        """The recipe in a TOML file, for a model whose embeddings are of `kind`: what it leaves out
        is as in `start`, by default `default_recipe`.

        Raises RecipeError that names the key and the nearest known one.
        """
        try:
            facts = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RecipeError(f"{path}: could not be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: is not TOML: {error}") from error
        try:
            return cls.of(facts, start=start or default_recipe(kind))
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from error

    @classmethod
    def of(cls, facts: Mapping[str, Any], *, start: Recipe | None = None) -> Recipe:
        """The recipe of these keys and values, for the rest those of `start`, by default Recipe's
        own.
        """
        recipe: Recipe = _build(start or cls(), facts, "")
        return recipe


def default_recipe(kind: str) -> Recipe:
    """The recipe of a model whose embeddings are of `kind`, where none is given.

    The scores of a sparse and of a multi-vector model are sums, over terms or a query's tokens, and
    not cosines, so they are their own temperature; and a sparse one's terms cost something.
    """
    made, recipe = EMBEDDINGS[kind], Recipe()
    if made.sums:
        recipe = replace(recipe, objective=ObjectiveChoice(temperature=1.0))
    if made.has_terms:
        recipe = replace(recipe, sparsity=Sparsity(query=QUERY_COST, document=DOCUMENT_COST))
    return recipe


def _need(holds: bool, key: str, got: object, wanted: str) -> None:
    if not holds:
        shown = list(got) if isinstance(got, tuple) else got
        raise RecipeError(f"{key} is {shown}; wanted {wanted}")


def _check_fields(table: Any, under: str) -> None:
    for part in dataclasses.fields(table):
        name, value = f"{under}{part.name}", getattr(table, part.name)
        if dataclasses.is_dataclass(value):
            _check_fields(value, f"{name}.")
        elif part.metadata:
            _need(part.metadata["holds"](value), name, value, part.metadata["wanted"])


def _build(start: Any, facts: Mapping[str, Any], under: str) -> Any:
    known = [part.name for part in dataclasses.fields(start)]
    values: dict[str, Any] = {}
    for key, value in facts.items():
        if key not in known:
            raise RecipeError(
                f"there is no key {under}{key}; {under.rstrip('.') or 'a recipe'} has "
                f"{', '.join(known)}.{nearest(key, known)}"
            )
        values[key] = _value(getattr(start, key), value, f"{under}{key}")
    return dataclasses.replace(start, **values)


# what a tuple without a default value holds
_PARTS: dict[str, Any] = {"objective.dims": 0, "objective.dim_weights": 0.0}


def _value(default: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        if isinstance(default, ObjectiveChoice) and isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict):
            raise RecipeError(f"{key} is {value!r}; wanted a table [{key}]")
        return _build(default, value, f"{key}.")
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return {name: _value(0.0, number, f"{key}.{name}") for name, number in value.items()}
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        part = default[0] if default else _PARTS[key]
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
    made, asked = EMBEDDINGS[contract.kind], recipe.objective
    costs = recipe.sparsity
    whole = bool(asked.name) and OBJECTIVES[asked.name].one_vector
    dense = made.one_vector and not made.has_terms
    lacking = {
        f"objective.name {asked.name} is for dense vectors": whole and not dense,
        "objective.spread is for dense vectors": asked.spread and not dense,
        "objective.dims is for dense vectors": recipe.objective.dims and not made.trains_dims,
        "sparsity is for sparse vectors": (costs.query or costs.document) and not made.has_terms,
    }
    for what, refused in lacking.items():
        if refused:
            raise InputError(f"{what}; those of {contract.name} are {contract.kind}; leave it out")
