"""The gradients of a loss over a batch of any size, in the memory of a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor

from nearfield.errors import ModelError
from nearfield.models.heads.head import Output
from nearfield.train.engine.group import ALONE, Group

Part = TypeVar("Part")
Made = TypeVar("Made", bound=Output)


def cached_backward(
    embed: Callable[[Part], Made],
    parts: Sequence[Part],
    loss: Callable[[Sequence[Made]], Tensor],
    *,
    held: int = 0,
    group: Group = ALONE,
) -> float:
    """The loss of all parts' embeddings; its gradients are added to the `.grad` of the weights that
    `embed` computes with.

    `embed(part)` gives the embeddings of one part, differentiable: a tensor of any shape, or a
    tuple of two or more; `loss` takes what it gave for each part, in their order, and gives a
    scalar. The first `held` parts keep their graph from the forward pass. The others are embedded
    twice: once without a graph, and, when the loss's gradient at their embeddings is known, once
    more with one, from the same random numbers; so that beside what is held one part's graph is in
    memory. In a group, each process embeds the parts that are its own and ends with its share of
    the gradients, which sum to the whole. Raises ModelError when the loss is no finite number. Gao
    et al. 2021 (arXiv 2101.06983), section 3.2.
    """
    own = range(group.rank, len(parts), group.size)
    kept = own[:held]
    again = own[held:]
    replay: dict[int, RandomState] = {}
    made: dict[int, tuple[Tensor, ...]] = {}
    for at in kept:
        made[at] = tensors_of(embed(parts[at]))
    for at in again:
        replay[at] = RandomState()
        with torch.no_grad():
            made[at] = tensors_of(embed(parts[at]))
    # the loss sees the embeddings as leaves, where its gradients stop
    cut: dict[int, tuple[Tensor, ...]] = {}
    for at, tensors in made.items():
        cut[at] = tuple(tensor.detach() for tensor in tensors)
    leaves = group.gather(cut, len(parts))
    for leaf in chain.from_iterable(leaves):
        leaf.requires_grad_()
    outputs: list[Any] = []
    for tensors in leaves:
        outputs.append(tensors[0] if len(tensors) == 1 else tensors)
    value = loss(outputs)
    if not torch.isfinite(value):
        raise ModelError(
            f"the loss became {float(value.detach())}; lower schedule.rate or use "
            "precision = 'float32'"
        )
    value.backward()  # type: ignore[no-untyped-call]
    # from the leaves on to the weights, part by part; a part's graph is let go of with it
    for at in kept:
        _backward(made.pop(at), leaves[at])
    for at in again:
        with replay[at].again():
            _backward(tensors_of(embed(parts[at])), leaves[at])
    return float(value.detach())


def tensors_of(made: Any) -> tuple[Tensor, ...]:
    """The tensors of what a model gives: one, or a tuple of them."""
    return made if isinstance(made, tuple) else (made,)


def _backward(made: tuple[Tensor, ...], leaves: tuple[Tensor, ...]) -> None:
    """Back through `made` with the gradients at `leaves`; a loss may leave some out, and all
    weights may be frozen.
    """
    known = []
    gradients = []
    for tensor, leaf in zip(made, leaves, strict=True):
        if leaf.grad is not None and tensor.requires_grad:
            known.append(tensor)
            gradients.append(leaf.grad)
    if known:
        torch.autograd.backward(known, gradients)


class RandomState:
    """The state of torch's random numbers when this was made."""

    def __init__(self) -> None:
        used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        self._devices = list(range(torch.cuda.device_count())) if used else []
        self._cpu = torch.get_rng_state()
        self._cuda = [torch.cuda.get_rng_state(device) for device in self._devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Random numbers from that state on; those after the block are as if it had drawn none."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._cpu)
            for device, state in zip(self._devices, self._cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
