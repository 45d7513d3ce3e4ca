"""The frozen config of a tuning run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.errors import InputError, RecipeError
from nearfield.evaluate.measures import cutoff, measure_name
from nearfield.evaluate.systems import DEPTH
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER
from nearfield.similarity import EMBEDDINGS
from nearfield.train.fields import (
    above_0,
    build,
    check_fields,
    checked,
    learning_rate,
    mapping,
    need,
    not_below,
    one_of,
)
from nearfield.train.images.augment import CHANGES
from nearfield.train.objectives import GUIDED, OBJECTIVES, TEACHER_LOSSES, named
from nearfield.train.pretraining import PRETRAINING
from nearfield.types.contract import Contract
from nearfield.types.role import DOCUMENT, QUERY

if TYPE_CHECKING:
    from nearfield.train.objectives.objective import Objective

QUERY_COST, DOCUMENT_COST = 0.03, 0.01
"""What a sparse model's terms cost by default: a thirtieth of InfoNCE's gradient at the weights of
a new head on minilm, and a growing share of it while the loss falls (see docs/log.md).
"""

TRAIN = "train"  # names the collection's own train split among data sets
MOST_TEMPERATURE = 100.0


@dataclass(frozen=True)
class ObjectiveChoice:
    """What is minimised: the objective called `name`, by default the model's usual one, with the
    `parameters` that are its own.

    `dims`: the Matryoshka dims trained at once, by default those of the model's contract.
    `dim_weights`: the weight of each. `dims_per_step`: train only this many of them in a step,
    drawn for it, always with the whole vector; 0 for all. `rotate`: first turn vectors to the
    principal directions of the collection's documents. `learn_temperature`: learn it, from
    `temperature` on. `spread`: the weight of how unevenly texts lie on the sphere. `guide`: the
    model that an objective such as guided asks. `layer_weight`: the weight of the same objective on
    the model's first layers alone; how many is drawn for each step. `memory`: how many documents of
    earlier steps are further negatives.
    """

    name: str = ""
    temperature: float = checked(
        0.05,
        lambda value: 0 < value <= MOST_TEMPERATURE,
        "more than 0 and at most 100: above it all documents of a batch count the same, so that "
        "nothing is learned",
    )
    dims: tuple[int, ...] = checked((), lambda dims: min(dims, default=1) > 0, "numbers above 0", 0)
    dim_weights: tuple[float, ...] = checked(
        (), lambda weights: min(weights, default=1.0) > 0, "numbers above 0", 0.0
    )
    rotate: bool = False
    dims_per_step: int = checked(
        0, lambda count: count >= 0 and count != 1, "0 for all, or at least 2: one is the whole"
    )
    learn_temperature: bool = False
    spread: float = not_below(0, 0.0)
    guide: str = ""
    parameters: Mapping[str, float] = mapping(0.0)
    layer_weight: float = not_below(0, 0.0)
    memory: int = not_below(0, 0)


@dataclass(frozen=True)
class Sparsity:
    """What the terms of a sparse model cost it: `query` and `document` are weights of the FLOPS of
    each side (see wrappers/flops.py).

    Both rise with the square of the step over the `warmup` share of all steps, and then stay.
    """

    query: float = not_below(0, 0.0)
    document: float = not_below(0, 0.0)
    warmup: float = checked(
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

    per_query: int = not_below(0, 1)
    sources: tuple[str, ...] = checked(
        ("bm25", "model"),
        lambda names: {"bm25", "model", "random"} >= {*names} > set(),
        "some of bm25, model, random",
    )
    depth: int = 30
    skip: int = 0
    margin: float = 1.0


# one table for who writes a recipe, and two classes, as one would have seventeen fields
@dataclass(frozen=True)
class Compute:
    """How a step is computed; its keys are those of the schedule.

    `precision` auto is bfloat16 where the processor has it. `engine` auto runs the layers of BERT
    and its kin on this package's kernels where they can train on the processor, torch never. Of a
    batch of more than `graph_tokens` tokens, the rest is embedded twice, so that the memory of a
    step is bounded and the batch is not (see gradient_cache.py); the result is the same.

    Of a model of images and text, the towers in `towers` learn, the others are locked. What the
    image tower learns from is changed at random by `augment` (see images/augment.py).
    """

    graph_tokens: int = not_below(1, 12288)
    precision: str = one_of("auto", "auto", "float32", "bfloat16")
    engine: str = one_of("auto", "auto", "torch")
    freeze_embeddings: bool = True
    towers: tuple[str, ...] = checked(
        (), {TEXT_TOWER, IMAGE_TOWER}.issuperset, f"some of {TEXT_TOWER}, {IMAGE_TOWER}", ""
    )
    augment: tuple[str, ...] = checked(
        ("crop",), set(CHANGES).issuperset, f"some of {', '.join(CHANGES)}"
    )


@dataclass(frozen=True)
class Schedule(Compute):
    """Batches and steps.

    `rate` rises over the `warmup` share of all steps, then falls linearly to 0; a static model's is
    `table_rate` of its vectors' root mean square instead, and an image tower's is `image_rate`.

    Texts are cut to `max_tokens` in training only. dev is measured `evaluations` times, in a short
    run fewer; training stops when it was clearly below its best `patience` times in a row (see
    checkpoint.py).
    """

    epochs: float = above_0(2.0)
    batch: int = checked(
        64, lambda size: size >= 2, "at least 2: the other rows of a batch are its negatives"
    )
    rate: float = learning_rate(5e-5)
    table_rate: float = learning_rate(0.01)
    image_rate: float = learning_rate(5e-5)
    warmup: float = checked(
        0.1, lambda share: 0 <= share < 1, "a share of all steps, 0 or more and below 1"
    )
    weight_decay: float = not_below(0, 0.01)
    clip: float = above_0(1.0)
    max_tokens: int = not_below(4, 128)
    evaluations: int = not_below(1, 5)
    patience: int = not_below(1, 3)


@dataclass(frozen=True)
class Distil:
    """What a teacher says of each query's positive and hard negatives, learnt beside the objective.

    `teacher` is a cross-encoder's folder, or an encoder's name or folder; there is none where it is
    empty. `loss` is kl or margin-mse, and counts `weight` beside the objective. `temperature`
    divides the teacher's scores, as the objective's divides the model's. `whole`: the weight of
    what whole vectors say of a batch's documents, which those cut to `objective.dims` then learn
    in place of the objective.
    """

    teacher: str = ""
    loss: str = one_of("kl", *TEACHER_LOSSES)
    weight: float = checked(
        1.0,
        lambda weight: weight > 0,
        "more than 0; without distil.teacher nothing is distilled",
    )
    temperature: float = above_0(1.0)
    whole: float = not_below(0, 0.0)


@dataclass(frozen=True)
class Merge:
    """Tuned and base weights are averaged at each of `ratios` (1 is all tuned); the best on dev
    that keeps every guard is taken.

    `margin` is how much of its measure a guard may lose, in the measure's unit.
    """

    ratios: tuple[float, ...] = checked(
        (0.4, 0.6, 0.8, 1.0),
        lambda ratios: bool(ratios) and min(ratios) > 0 and max(ratios) <= 1,
        "numbers above 0 and up to 1",
    )
    margin: float = not_below(0, 0.01)


@dataclass(frozen=True)
class Lora:
    """Where `rank` is above 0, low-rank adapters are trained instead of all weights (LoRA, Hu et
    al. 2021).

    Each layer of `targets` (endings of layers' names, one regular expression, or all-linear) learns
    two matrices of that rank, whose product times alpha / rank is added to its weight. `per_role`:
    queries and documents get an adapter each.
    """

    rank: int = checked(0, lambda rank: rank >= 0, "0, for none, or more")
    alpha: float = above_0(16.0)
    targets: tuple[str, ...] = checked(("all-linear",), bool, "all-linear or the layers' names")
    per_role: bool = False


@dataclass(frozen=True)
class DataSet:
    """Pairs to learn from: what `open_pairs` takes, or `train`, the collection's own train split
    with its mined negatives.

    `objective` is what batches of this data set minimise instead of the recipe's, and `prompts` are
    put before its texts instead of the model's, by role.
    """

    pairs: str = checked(TRAIN, bool, "train, or a file of pairs")
    objective: ObjectiveChoice = field(default_factory=ObjectiveChoice)
    prompts: Mapping[str, str] = mapping("")


@dataclass(frozen=True)
class Data:
    """What is learned from: the train split where no `sets` are named. A batch is of one data set,
    and an epoch has as many batches as all of them fill.

    A data set's share of the batches is that of its size to the power of `mix`: 1 is proportional,
    0 takes the data sets in turn, and between them lies temperature sampling, at 1 / mix.
    """

    sets: tuple[DataSet, ...] = field(default=(), metadata={"part": DataSet()})
    mix: float = checked(1.0, lambda power: 0 <= power <= 1, "0 to 1")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's result, besides the model and the data that measures it.

    `stages` are recipes of their own, each for the model that the one before left; what a stage
    leaves out is as in the recipe around it. One whose objective is a pre-training objective learns
    from the documents alone. The outer `merge` is of the last stage's weights with the first
    model's.
    """

    seed: int = checked(0, range(1 << 32).__contains__, "0 or more, and below 2^32")
    measure: str = "nDCG@10"
    pool: int = not_below(1, 1500)
    objective: ObjectiveChoice = field(default_factory=ObjectiveChoice)
    sparsity: Sparsity = field(default_factory=Sparsity)
    negatives: Negatives = field(default_factory=Negatives)
    schedule: Schedule = field(default_factory=Schedule)
    merge: Merge = field(default_factory=Merge)
    distil: Distil = field(default_factory=Distil)
    lora: Lora = field(default_factory=Lora)
    data: Data = field(default_factory=Data)
    stages: tuple[Recipe, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        self._check_distil()
        self._check_objective()
        self._check_data()
        depth = self.negatives.depth
        skip = self.negatives.skip
        wanted = f"0 or more and below negatives.depth ({depth})"
        need(0 <= skip < depth, "negatives.skip", skip, wanted)
        try:
            measure = measure_name(self.measure)
        except InputError as error:
            raise RecipeError(f"measure: {error}") from error
        # the one spelling of a measure, so that ndcg@10 and nDCG@10 are the same run
        object.__setattr__(self, "measure", measure)
        wanted = f"a cutoff of at most {DEPTH}"
        need(cutoff(measure) <= DEPTH, "measure", measure, wanted)

    def _check_distil(self) -> None:
        asked = self.distil
        need(
            not asked.whole or bool(self.objective.dims),
            "distil.whole",
            asked.whole,
            "0 without objective.dims: only vectors that are cut learn by it",
        )
        if not asked.teacher:
            need(
                asked == Distil(whole=asked.whole),
                "distil.teacher",
                "empty",
                "a teacher, which the other keys of [distil] are about",
            )
            return
        need(
            self.negatives.per_query > 0,
            "negatives.per_query",
            0,
            "at least 1: a teacher compares a query's documents",
        )

    def _check_objective(self) -> None:
        asked = self.objective
        fits = len(asked.dim_weights) in (0, len(asked.dims))
        wanted = f"a number for each of objective.dims, {len(asked.dims)}"
        need(fits, "objective.dim_weights", asked.dim_weights, wanted)
        # vectors are turned once, before all that is trained
        turned = any(each.objective.rotate for each in self.stages)
        if asked.rotate and (self.lora.rank or self.stages):
            turned = True
        need(
            not turned,
            "objective.rotate",
            "true",
            "false beside lora and in stages; begin with what models rotate makes",
        )
        need(
            not (asked.memory and asked.layer_weight),
            "objective.memory",
            asked.memory,
            "0 beside objective.layer_weight: what is remembered was made by all layers",
        )
        made = _objective(asked, "objective")
        guided = made is not None and bool(made.needs & GUIDED)
        wanted = "none: the objective asks none"
        if guided:
            wanted = f"a model, which {asked.name} asks"
        need(guided == bool(asked.guide), "objective.guide", repr(asked.guide), wanted)

    def _check_data(self) -> None:
        sets = self.data.sets
        if self.distil.teacher or self.objective.guide:
            need(len(sets) < 2, "data.sets", len(sets), "at most one beside a teacher or a guide")
        for at, each in enumerate(sets):
            key = f"data.sets[{at}].prompts"
            roles = tuple(each.prompts)
            need({QUERY, DOCUMENT}.issuperset(roles), key, roles, "query and document alone")
            key = f"data.sets[{at}].objective"
            own = each.objective
            if own == ObjectiveChoice():
                continue
            made = _objective(own, key)
            # what is done to vectors, or learned beside the model, is the same in every batch
            wanted = "left out: [objective] states it for all data sets"
            for name, usual in vars(ObjectiveChoice()).items():
                got = getattr(own, name)
                if name not in ("name", "temperature", "parameters", "spread"):
                    need(got == usual, f"{key}.{name}", got, wanted)
            beside = made is not None and bool(made.needs & GUIDED or made.learns(1, 1))
            need(
                not beside,
                key,
                own.name,
                "one that asks no guide and learns no weights beside the model",
            )
            need(len(sets) > 1, key, own.name, "none: a data set alone takes that of the recipe")

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
        # a stage's defaults are those of the recipe around it, which is therefore made first
        recipe: Recipe = build(start or cls(), _without_stages(facts))
        stages = facts.get("stages", ())
        if not isinstance(stages, list | tuple):
            raise RecipeError(f"stages is {stages!r}; wanted tables [[stages]]")
        made = tuple(_stage(recipe, each, f"stages[{at}]") for at, each in enumerate(stages))
        return replace(recipe, stages=made)


def default_recipe(kind: str) -> Recipe:
    """The recipe of a model whose embeddings are of `kind`, where none is given.

    The scores of a sparse and of a multi-vector model are sums, over terms or a query's tokens, and
    not cosines, so they are their own temperature; and a sparse one's terms cost something.
    """
    made = EMBEDDINGS[kind]
    recipe = Recipe()
    if made.sums:
        recipe = replace(recipe, objective=ObjectiveChoice(temperature=1.0))
    if made.has_terms:
        recipe = replace(recipe, sparsity=Sparsity(query=QUERY_COST, document=DOCUMENT_COST))
    return recipe


def _objective(asked: ObjectiveChoice, key: str) -> Objective | None:
    """What a recipe names; None where that is the model's usual objective, or learns from texts
    alone.
    """
    if asked.name in PRETRAINING or not (asked.name or asked.parameters):
        return None
    try:
        return named(asked.name, asked.temperature, asked.parameters)
    except (InputError, RecipeError) as error:
        raise RecipeError(f"{key}: {error}") from error


def _without_stages(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != "stages"}


def _stage(recipe: Recipe, facts: Any, key: str) -> Recipe:
    if not isinstance(facts, Mapping):
        raise RecipeError(f"{key} is {facts!r}; wanted a table [[stages]]")
    if facts.get("stages"):
        raise RecipeError(f"{key}.stages: a stage has none of its own")
    try:
        stage: Recipe = build(recipe, _without_stages(facts))
    except RecipeError as error:
        raise RecipeError(f"{key}: {error}") from error
    return stage


def refuse_what_the_kind_lacks(recipe: Recipe, contract: Contract) -> None:
    """Raise InputError where the recipe asks for what embeddings of the model's kind do not
    have.
    """
    made = EMBEDDINGS[contract.kind]
    asked = recipe.objective
    most = max(asked.dims, default=0)
    if most > contract.dim:
        raise InputError(
            f"objective.dims has {most}; {contract.name} has {contract.dim} dimensions"
        )
    if asked.name in PRETRAINING:
        raise InputError(
            f"objective.name {asked.name} learns from texts alone: name it in one of [[stages]], "
            "or use nearfield pretrain"
        )
    costs = recipe.sparsity
    whole = bool(asked.name) and OBJECTIVES[asked.name].one_vector
    dense = made.one_vector and not made.has_terms
    lacking = {
        "schedule.towers is for models of images and text": bool(recipe.schedule.towers),
        f"objective.name {asked.name} is for dense vectors": whole and not dense,
        "objective.spread is for dense vectors": asked.spread and not dense,
        "objective.memory is for dense vectors": asked.memory and not dense,
        "objective.rotate is for dense vectors": asked.rotate and not dense,
        "objective.dims is for dense vectors": asked.dims and not made.trains_dims,
        "sparsity is for sparse vectors": (costs.query or costs.document) and not made.has_terms,
    }
    for what, refused in lacking.items():
        if refused:
            raise InputError(f"{what}; those of {contract.name} are {contract.kind}; leave it out")


def refuse_beyond_texts(recipe: Recipe, contract: Contract) -> None:
    """Raise RecipeError or InputError where the recipe asks for what cannot be learned from texts
    alone, or by a model of this kind.
    """
    refuse_keys(
        recipe, "data", "stages", "distil", "objective.guide", "objective.rotate", "lora.per_role"
    )
    refuse_what_the_kind_lacks(recipe, contract)


def refuse_keys(
    recipe: Recipe, *keys: str, wanted: str = "none: only a plain tune carries it out"
) -> None:
    """Raise RecipeError where the recipe states any of the keys, or of those in a table that one
    names, for what cannot carry it out.
    """
    for key in keys:
        value_of = attrgetter(key)
        value = value_of(recipe)
        if is_dataclass(value):
            refuse_keys(recipe, *(f"{key}.{name}" for name in vars(value)), wanted=wanted)
        else:
            need(value == value_of(Recipe()), key, "set", wanted)
