"""A model on its way through the steps of a run, the same in each process of a group."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from nearfield.kernels.library import runnable
from nearfield.models.backbones.native_layers import NativeLayers, why_not
from nearfield.models.device_memory import device_memory
from nearfield.models.surgery.layers import count_layers
from nearfield.models.trainable import Trainable
from nearfield.runtimes.hardware import bfloat16_in_hardware
from nearfield.train.data.batch import Batch
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.train.engine.gradient_cache import RandomState
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.engine.schedule import rate_at, sparsity_at
from nearfield.train.engine.step import held_parts, training_step
from nearfield.train.objectives.compose import objective_of
from nearfield.train.recipe import Recipe
from nearfield.train.wrappers.depths import drawn_depth

# of the kernels, which keep to the cache themselves and share many among threads more evenly, and
# of a GPU to fill it
LARGE_TOKENS = 8192
LEARNED = "objective."  # begins the names of weights that are learned beside the model's
# times the rate, of these: they begin as random numbers or guesses, and not as what a model knows
LEARNED_RATE = 20.0
# of the kernels, by the processor's feature that multiplies bfloat16
_LEVELS = {"avx512_bf16": "bf16", "amx_bf16": "amx"}


class Trainer:
    """`model` with its objective and its optimiser, on the way through `steps` steps.

    What a step does depends on its number, its batch, and the weights and the optimiser's state
    before it, and on nothing else. `guide` is the dim of the guide's vectors, 0 for none.
    """

    def __init__(
        self,
        model: Trainable,
        recipe: Recipe,
        steps: int,
        group: Group = ALONE,
        *,
        guide: int = 0,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.steps = steps
        self.group = group
        self.learned = learned_beside(model, recipe, guide)
        beside = {f"{LEARNED}{name}": weight for name, weight in self.learned.items()}
        self.trained = trainable(model, recipe) | beside
        model.layers = native_layers(model, recipe)
        # what is remembered has no gradient
        self.weights = {n: weight for n, weight in self.trained.items() if weight.requires_grad}
        rates = {**model.rates, **dict.fromkeys(beside, LEARNED_RATE)}
        usual = rate_scale(model, recipe)
        groups: dict[float, list[Tensor]] = {}
        for name, weight in self.weights.items():
            groups.setdefault(rates.get(name, usual), []).append(weight)
        parts = []
        for scale, weights in groups.items():
            # AdamW multiplies the decay by the rate, and so by the scale
            decay = recipe.schedule.weight_decay / scale
            parts.append({"params": weights, "scale": scale, "weight_decay": decay})
        self.optimiser = torch.optim.AdamW(parts, lr=recipe.schedule.rate, fused=True)
        self.still = False  # whether all gradients of the last step were 0

    @property
    def rate(self) -> float:
        """The learning rate of the step that was made last."""
        return float(self.optimiser.param_groups[0]["lr"])

    def step(self, number: int, batch: Batch) -> float:
        """Make step `number`, from 1, and return its loss. Raises ModelError as `training_step`
        does.
        """
        for part in self.optimiser.param_groups:
            part["lr"] = rate_at(number, self.steps, self.recipe) * part["scale"]
        model = self.model
        recipe = self.recipe
        if batch.objective is not None:
            recipe = replace(recipe, objective=batch.objective)
        share = sparsity_at(number, self.steps, recipe)
        objective = objective_of(recipe, model.objective, model.contract, share=share, step=number)
        advice = (
            "Lower schedule.graph_tokens, schedule.max_tokens or schedule.batch, or end what else "
            "runs on it."
        )
        with RandomState().again(), device_memory(advice):
            # what a step draws, as by dropout, is the same whenever it is made
            torch.random.manual_seed(self.recipe.seed << 32 | number)
            loss = training_step(
                model,
                batch,
                objective,
                list(self.weights.values()),
                schedule=self.recipe.schedule,
                group=self.group,
                learned=self.learned,
                depth=self._depth(number),
            )
            self.optimiser.step()
        # the last layers first: they nearly always have a gradient, and one look is then enough
        self.still = not any(
            weight.grad is not None and bool(weight.grad.any())
            for weight in reversed(self.weights.values())
        )
        self.optimiser.zero_grad(set_to_none=True)
        return loss

    def _depth(self, number: int) -> int:
        if not self.recipe.objective.layer_weight:
            return 0
        return drawn_depth(count_layers(self.model), seed=self.recipe.seed, step=number)

    def twice(self, batch: Batch) -> int:
        """How many tokens of the batch this process embeds twice."""
        own = batch.parts[self.group.rank :: self.group.size]
        held = held_parts(batch, self.recipe.schedule.graph_tokens, self.group)
        return sum(len(part.ids) for part in own[held:])

    def share(self) -> None:
        """Take over the weights and the optimiser's state of process 0."""
        self.group.share(list(self.trained.values()))
        if self.group.size == 1 or not self.group.agree(bool(self.optimiser.state)):
            return
        for weight in self.weights.values():
            state = self.optimiser.state[weight]
            if not state:  # AdamW makes it in its first step, and this process has made none
                state["step"] = torch.zeros((), device=weight.device)
                state["exp_avg"] = torch.zeros_like(weight)
                state["exp_avg_sq"] = torch.zeros_like(weight)
            self.group.share([state[name] for name in ("step", "exp_avg", "exp_avg_sq")])


@contextmanager
def few_torch_threads(model: Trainable) -> Iterator[None]:
    """torch on one thread in the block, where the kernels run the layers on all of them and the
    head is small.

    What is left to torch is then many short operations, each of which would wait for the slowest
    thread of its own: on a busy machine that is a thread without a core.
    """
    threads = torch.get_num_threads()
    try:
        if model.light and model.layers is not None:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


def native_layers(model: Trainable, recipe: Recipe) -> NativeLayers | None:
    """What runs the backbone's layers in training, None for torch: where `recipe` asks for it,
    where the kernels cannot or have nothing to gain, and where not every weight of the layers is
    trained as it stands.
    """
    if recipe.schedule.engine == "torch" or not model.layered:
        return None
    best = runnable()[:1]
    # torch's products are the faster ones on a processor that the kernels have no instructions of
    slower = best == ("plain",)
    # nor of its bfloat16, or only of the slower one
    if model.precision == "bfloat16":
        slower = best != (_LEVELS.get(bfloat16_in_hardware()),)
    if slower or why_not(model.backbone) is not None:
        return None
    layers = NativeLayers(model.backbone, precision=model.precision)
    if all(weight.requires_grad for weight in layers.weights):
        return layers
    return None  # their way back gives all gradients, or none


def mini_tokens(model: Trainable, recipe: Recipe) -> int:
    """How many tokens of a step go through `model` at once, at most: on the kernels and on a GPU as
    many as make equal parts of schedule.graph_tokens, so that what may be held of a step is held.
    """
    if model.layers is None and model.device.type != "cuda":
        return MINI_TOKENS
    most = recipe.schedule.graph_tokens
    return most // math.ceil(most / LARGE_TOKENS)


def rate_scale(model: Trainable, recipe: Recipe) -> float:
    """What the recipe's rate is multiplied by: 1, and for a static model so much that the rate is
    `table_rate` of its vectors' root mean square. Adam's steps do not depend on the weights' size,
    which in these tables is anything from .01 to 10 and of no meaning.
    """
    size = model.table_size()
    if size is None:
        return 1.0
    return recipe.schedule.table_rate * size / recipe.schedule.rate


def learned_beside(model: Trainable, recipe: Recipe, guide: int) -> dict[str, Tensor]:
    """What the recipe's objective learns, or remembers, beside the model, as it begins."""
    objective = objective_of(recipe, model.objective, model.contract)
    dim = 0 if model.contract is None else model.contract.dim
    found = {}
    for name, value in objective.learns(dim, guide).items():
        there = value.to(model.device)
        found[name] = there if isinstance(value, torch.nn.Buffer) else torch.nn.Parameter(there)
    return found


def trainable(model: Trainable, recipe: Recipe) -> dict[str, torch.nn.Parameter]:
    """The parameters that training changes, by name; all others get requires_grad = False."""
    if recipe.lora.rank and model.adapters is not None:
        own: dict[str, torch.nn.Parameter] = model.adapters.parameters()
        for name, weight in model.parameters().items():
            weight.requires_grad_(name in own)
        return own
    frozen = set()
    if recipe.schedule.freeze_embeddings:
        for module in model.backbone.modules():
            if isinstance(module, torch.nn.Embedding):
                # by identity: what is tied to the embeddings is frozen with them, by any name
                frozen.add(id(module.weight))
    unused = model.unused
    trained = {}
    for name, weight in model.parameters().items():
        weight.requires_grad_(id(weight) not in frozen and name not in unused)
        if weight.requires_grad:
            trained[name] = weight
    return trained
