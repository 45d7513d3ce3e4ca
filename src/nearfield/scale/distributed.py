"""A group of processes over torch.distributed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from nearfield.errors import ProcessError
from nearfield.train.engine.group import Group

T = TypeVar("T")
# process 0 measures dev while the others wait; a process that dies is noticed at once
WAIT = timedelta(days=2)
_BUCKET = 1 << 24  # gradients summed at once: 64 MB in float32


class Distributed(Group):
    """This process's place in torch.distributed's group of all processes, which is there already.

    Raises ProcessError when another process of the group is gone.
    """

    def __init__(self, device: str) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.device = device

    def gather(self, own: Mapping[int, tuple[Tensor, ...]], count: int) -> list[tuple[Tensor, ...]]:
        """See Group.gather. The tensors may be of any shapes; their type is the same in all
        processes.
        """
        forms = {}
        for at, tensors in own.items():
            forms[at] = [(tensor.shape, tensor.dtype) for tensor in tensors]
        # a process that receives has to make room of the right shape first
        everyones: list[dict[int, list[tuple[torch.Size, torch.dtype]]]] = [{}] * self.size
        gathered = []
        with _noticing():
            dist.all_gather_object(everyones, forms)
            for at in range(count):
                rank = at % self.size
                made = own.get(at) or tuple(
                    torch.empty(shape, dtype=dtype, device=self.device)
                    for shape, dtype in everyones[rank][at]
                )
                tensors = tuple(tensor.contiguous() for tensor in made)
                for tensor in tensors:
                    dist.broadcast(tensor, rank)
                gathered.append(tensors)
        return gathered

    def add(self, weights: Iterable[Tensor]) -> None:
        bucket: list[Tensor] = []
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            bucket.append(weight.grad)
            if sum(part.numel() for part in bucket) >= _BUCKET:
                _sum(bucket)
                bucket = []
        _sum(bucket)

    def share(self, tensors: Iterable[Tensor]) -> None:
        with _noticing(), torch.no_grad():
            for tensor in tensors:
                value = tensor.detach().to(self.device)
                dist.broadcast(value, 0)
                tensor.copy_(value)

    def agree(self, value: T) -> T:
        said = [value]
        with _noticing():
            dist.broadcast_object_list(said, 0, device=torch.device("cpu"))
        return said[0]


def _sum(bucket: list[Tensor]) -> None:
    if not bucket:
        return
    flat = torch.cat([part.reshape(-1) for part in bucket])
    with _noticing():
        dist.all_reduce(flat)
    totals = torch.split(flat, [part.numel() for part in bucket])
    for part, total in zip(bucket, totals, strict=True):
        part.copy_(total.view_as(part))


@contextmanager
def _noticing() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            f"another process of the training is gone ({str(error).splitlines()[0]}); give the "
            "same command again to go on"
        ) from error
