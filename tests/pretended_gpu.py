"""A GPU that is not there: tensors with real numbers that say that they lie on one, and are as
strict as if they did.

Within `pretended_gpu()` the device `cuda:0` can be used. What is computed there is computed on the
processor, under autocast's rules for the processor. What a GPU refuses is refused: an operation on
tensors of both places, numpy's view of a tensor that was not brought back, and in flash attention
whatever its C++ checks (aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp). `waits`
counts where the processor would wait for the GPU. What a GPU computes wrongly, and how fast it is,
no test of these tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import varlen  # registers its operations
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

GPU = torch.device("cuda:0")
CPU = torch.device("cpu")
_ACROSS = ("copy_", "_to_copy", "to")  # which take tensors of both places
# which take indices on the processor into what is on the GPU
_INDEXED = ("index", "index_put_", "_index_put_impl_")
_WAITING = (
    "_local_scalar_dense",
    "item",
    "nonzero",
    "masked_select",
    "_unique2",
    "equal",
    "is_nonzero",
    "bring",
)
_VARLEN = (
    torch.ops.torch_attn._varlen_attn.default,
    torch.ops.torch_attn._varlen_attn_backward.default,
)
_TENSOR = torch.tensor  # which would make room on the device itself
# are remembered from their first use on: with torch.tensor as it is, without which models load
# wrongly afterwards
_device_constructors()
assert varlen


class OnGpu(Tensor):
    """`held`, a tensor in the processor's memory, as one on the GPU to all that ask in Python;
    torch's C++ knows better.
    """

    held: Tensor
    is_cuda = True

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        made: OnGpu = Tensor._make_subclass(cls, held)  # type: ignore[attr-defined]
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @classmethod
    def __torch_function__(
        cls,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.numpy:
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() "
                "to copy the tensor to host memory first."
            )
        wanted = (
            CPU
            if func is Tensor.cpu
            else next(filter(None, map(_place, [*args[1:], *kwargs.values()])), None)
        )
        # to torch's C++ it lies there already
        if func in (Tensor.cpu, Tensor.to) and wanted == CPU:
            return _Brought.apply(args[0])
        if func is Tensor.to and not isinstance(args[0], cls):  # after another tensor
            return args[0].to(args[1].dtype).to(GPU)
        # which makes a row of numbers where torch's C++ believes its argument
        if func is nn.functional.one_hot:
            return OnGpu(func(_bare(args[0]), *args[1:], **kwargs))
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        raise RuntimeError(f"{func} outside of pretended_gpu()")


class _Brought(torch.autograd.Function):
    """From the GPU to the processor, and gradients the other way."""

    @staticmethod
    def forward(ctx: Any, there: Tensor) -> Tensor:
        return torch.ops.nearfield_tests.bring(there)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope.to(GPU)


@torch.library.custom_op("nearfield_tests::bring", mutates_args=())
def _bring(there: Tensor) -> Tensor:
    return there.clone()


class _Autocast(torch.autocast):
    """Autocast for the GPU, done by that for the processor; products are in the same precision
    under both.
    """

    def __init__(self, device_type: str, **options: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, **options)
        self._there = device_type == "cuda"

    def __enter__(self) -> Any:
        if self._there:
            self._before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
            torch.set_autocast_enabled("cuda", self._enabled)
            torch.set_autocast_dtype("cuda", self.fast_dtype)
        return super().__enter__()

    def __exit__(self, *error: Any) -> Any:
        if self._there:
            torch.set_autocast_enabled("cuda", self._before[0])
            torch.set_autocast_dtype("cuda", self._before[1])
        return super().__exit__(*error)


class PretendedGpu(TorchDispatchMode):
    """Carries out all operations; `waits` are those that the processor would wait for, `attended`
    the calls of flash attention.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.attended = Counter[str](), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        leaves, form = tree_flatten((args, kwargs or {}))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
        here = [tensor for tensor in tensors if not isinstance(tensor, OnGpu) and tensor.dim()]
        if name in _INDEXED and isinstance(tensors[0], OnGpu):
            here = (
                []
                if name == "index" or isinstance(tensors[-1], OnGpu) or not tensors[-1].dim()
                else here
            )
        if there and here and name not in _ACROSS:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {func} got "
                "some on cuda:0 and some on cpu"
            )
        target = (
            tensors[0].device
            if name == "copy_"
            else GPU
            if there or GPU in map(_place, leaves)
            else CPU
        )
        target = CPU if name == "bring" else target
        if there and (name in _WAITING or target == CPU):
            self.waits[name] += 1
        bare_args, bare_kwargs = tree_unflatten(map(_bare, leaves), form)
        if func in _VARLEN:
            self.attended += func is _VARLEN[0]
            found = (_attend if func is _VARLEN[0] else _attend_back)(*bare_args, **bare_kwargs)
        else:
            found = func(*bare_args, **bare_kwargs)
        # an operation in place gives what it was given
        originals = {id(tensor.held): tensor for tensor in there}
        if isinstance(found, Tensor):
            return _returned(found, originals, target)
        return tree_map(lambda leaf: _returned(leaf, originals, target), found)


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """Within the block there is a GPU, cuda:0 alone, of compute capability 9.0."""
    with pytest.MonkeyPatch.context() as patch:
        answers: dict[str, Any] = {
            "is_available": True,
            "is_bf16_supported": True,
            "device_count": 1,
            "get_device_capability": (9, 0),
        }
        answers |= {"_lazy_init": None, "synchronize": None, "get_device_name": "Pretended"}
        for name, answer in answers.items():
            patch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
        patch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
        patch.setattr(torch, "autocast", _Autocast)
        patch.setattr(torch, "tensor", _tensor)
        patch.setattr(nn.Module, "to", _moved)
        with PretendedGpu() as gpu:
            yield gpu


def _place(word: object) -> torch.device | None:
    if isinstance(word, str) and word.partition(":")[0] in ("cpu", "cuda"):
        return torch.device(word)
    return word if isinstance(word, torch.device) else None


def _bare(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnGpu) else CPU if _place(leaf) == GPU else leaf


def _returned(leaf: Any, originals: Mapping[int, Tensor], target: torch.device) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return originals.get(id(leaf), OnGpu(leaf) if target == GPU else leaf)


def _tensor(numbers: Any, **options: Any) -> Tensor:
    if _place(options.get("device")) != GPU:
        return _TENSOR(numbers, **options)
    return _TENSOR(numbers, **options | {"device": CPU}).to(GPU)


def _moved(module: nn.Module, device: torch.device | str) -> nn.Module:
    """`nn.Module.to`, which changes a weight's data and so keeps weights that are one: here they
    are replaced, each by one.
    """
    if torch.device(device) != GPU:
        return module
    replaced: dict[int, Any] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is None or isinstance(tensor, OnGpu):
                    continue
                if id(tensor) not in replaced:
                    moved = OnGpu(tensor.detach().clone())
                    replaced[id(tensor)] = (
                        nn.Parameter(moved, tensor.requires_grad)
                        if isinstance(tensor, nn.Parameter)
                        else moved
                    )
                held[name] = replaced[id(tensor)]
    return module


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    at_q: Tensor,
    at_k: Tensor,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float | None,
    window: Sequence[int],
    shared: bool = False,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """Flash attention by its definition, after the checks of mha_varlen_fwd."""
    size = query.shape[-1]
    assert {query.dtype, key.dtype, value.dtype} in ({torch.bfloat16}, {torch.float16}), (
        "FlashAttention only support fp16 and bf16"
    )
    assert at_q.dtype == at_k.dtype == torch.int32, "cu_seqlens must have dtype int32"
    assert all(part.stride(-1) == 1 for part in (query, key, value)), (
        "Input tensor must have contiguous last dimension"
    )
    assert at_q.is_contiguous(), "cu_seqlens_q must be contiguous"
    assert size <= 256, "FlashAttention forward only supports head dimension at most 256"
    assert size % 8 == 0, "head_size must be a multiple of 8, this is ensured by padding!"
    assert query.shape[1] % key.shape[1] == 0, (
        "Number of heads in key/value must divide number of heads in query"
    )
    assert max_q == int(at_q.diff().max()), "the greatest length is another"
    assert int(at_q[-1]) == len(query), "the sequences are not the tokens"
    left, right = (max(max_k, 1) if side < 0 else side for side in window)
    parts = []
    for start, end in zip(at_q.tolist(), at_q.tolist()[1:], strict=False):
        apart = torch.arange(end - start)[:, None] - torch.arange(end - start)[None, :]
        seen = (apart <= left) & (-apart <= right)
        rows = [part[start:end].transpose(0, 1)[None] for part in (query, key, value)]
        mixed = nn.functional.scaled_dot_product_attention(
            *rows, seen, scale=scale, enable_gqa=shared
        )
        parts.append(mixed[0].transpose(0, 1))
    return (
        torch.cat(parts),
        query.new_zeros(query.shape[1], len(query), dtype=torch.float32),
        torch.zeros(2, dtype=torch.uint64),
    )


def _attend_back(
    slope: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    at_q: Tensor,
    at_k: Tensor,
    max_q: int,
    max_k: int,
    causal: bool,
    rng: Tensor,
    scale: float | None,
    window: Sequence[int],
) -> tuple[Tensor, ...]:
    assert slope.dtype == out.dtype == query.dtype, "query and dout must have the same dtype"
    rows = [part.detach().requires_grad_() for part in (query, key, value)]

    def slopes() -> tuple[Tensor, ...]:
        mixed, *_ = _attend(
            *rows, at_q, at_k, max_q, max_k, causal, scale, window, query.shape[1] != key.shape[1]
        )
        return torch.autograd.grad(mixed, rows, slope)

    # where autograd is at work, which it is not within an operation
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(slopes).result()
