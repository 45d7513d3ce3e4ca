"""Attention over a packed row: each sequence over its own tokens, without padding and, but for a
window, without a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from nearfield.models.backbones.groups import Groups

IMPLEMENTATION = "nearfield_packed"
# Of a GPU, those that take any shape: cuDNN's are built for each shape when it is first met, and
# here nearly every call has its own.
_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def register() -> None:
    """Make `_attend` known to transformers as the attention called IMPLEMENTATION.

    transformers makes no mask for an attention of which its AttentionMaskInterface knows none, and
    needs none here.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, _attend)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers' AttentionInterface asks for: query (1, heads, T, d), key and value (1, key
    heads, T, d) to (1, T, heads, d).

    `options` hold `packed_groups`, a keyword of the model's forward call, and on layers that have
    one the `sliding_window`, of which a token sees those that are less than it away. The mask is
    none.
    """
    # transformers hands keywords of the forward call through to the attention of every layer
    groups: Groups = options["packed_groups"]
    causal = bool(getattr(module, "is_causal", True))
    window = options.get("sliding_window")
    # a decoder whose folder opens it to both sides
    if causal and getattr(getattr(module, "config", None), "is_causal", True) is False:
        # transformers counts the window's edge in then
        causal = False
        window = None if window is None else window + 1
    mixed = attention(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        groups,
        scale=scaling,
        causal=causal,
        window=window,
        dropout=dropout,
    )
    return mixed[None], None


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    groups: Groups,
    *,
    scale: float | None,
    causal: bool,
    window: int | None,
    dropout: float,
) -> Tensor:
    """softmax(scale q k') v within each sequence: query (T, heads, d), key and value (T, key heads,
    d) to (T, heads, d).

    The keys are those of the tokens that are looked at. `window`: a token sees those less than that
    many places away. Half precision on CUDA, where all are looked at, goes through torch's
    variable-length flash attention in one call, all else through scaled_dot_product_attention, one
    call a run of equal length.
    """
    shared = query.shape[1] != key.shape[1]
    all_seen = groups.seen == [length for _, _, length in groups.runs]
    # autocast does not know of flash attention, and positions made float32 of some
    if query.is_cuda and torch.is_autocast_enabled("cuda"):
        half = torch.get_autocast_dtype("cuda")
        query = query.to(half)
        key = key.to(half)
        value = value.to(half)
    if all_seen and not dropout and _flash_takes(query):
        from torch.nn.attention.varlen import varlen_attn

        # how many tokens are seen to the left and to the right; -1 is all of them
        side = -1 if window is None else window - 1
        longest = groups.longest
        at = groups.offsets
        how: dict[str, Any] = {
            "scale": scale,
            "window_size": (side, 0 if causal else side),
            "enable_gqa": shared,
        }
        mixed = varlen_attn(query, key, value, at, at, longest, longest, **how)
        assert isinstance(mixed, Tensor)  # it is a pair only when more is asked for
        return mixed

    def near(length: int) -> Tensor | None:
        if window is None or length <= window:
            return None
        return groups.near(length, window, causal=causal)

    with sdpa_kernel(_KERNELS) if query.is_cuda else nullcontext():
        return by_length(
            query, key, value, groups, near, scale=scale, causal=causal, dropout=dropout
        )


def by_length(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    groups: Groups,
    mask_of: Callable[[int], Tensor | None],
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout: float,
) -> Tensor:
    """As `attention`, with one call of scaled_dot_product_attention per run of equal length.

    `mask_of` gives what is masked or added in sequences of a length, (..., length, length).
    """
    shared = query.shape[1] != key.shape[1]
    parts = []
    # (count, heads, length, d) of each run
    queries = _by_run(query, groups)
    keys = _by_run(key, groups)
    values = _by_run(value, groups)
    runs = zip(groups.runs, groups.seen, queries, keys, values, strict=True)
    for (_, _, length), seen, q, k, v in runs:
        mask = mask_of(length)
        if seen < length:
            k = k[:, :, :seen]
            v = v[:, :, :seen]
            mask = None if mask is None else mask[..., :seen]
        alone = causal and mask is None  # else the mask says it
        mixed = scaled_dot_product_attention(
            q, k, v, mask, dropout, is_causal=alone, scale=scale, enable_gqa=shared
        )
        parts.append(mixed.transpose(1, 2).flatten(0, 1))  # (count x length, heads, d)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _by_run(rows: Tensor, groups: Groups) -> list[Tensor]:
    """The sequences of each run: rows (T, heads, d) to views (count, heads, length, d).

    By one split and not by slices, whose gradients would each be a whole row of zeros but for one
    run.
    """
    parts = torch.split(rows, [count * length for _, count, length in groups.runs])
    runs = zip(parts, groups.runs, strict=True)
    return [
        part.view(count, length, *rows.shape[1:]).transpose(1, 2)
        for part, (_, count, length) in runs
    ]


def _flash_takes(query: Tensor) -> bool:
    """Whether torch's flash attention takes `query: (T, heads, d)`: in half precision, with heads
    that are a multiple of 8 and at most 256, on a GPU of compute capability 8.0 (A100, RTX 30) or
    later, in a build of torch that has it. It pads no heads itself.
    """
    size = query.shape[-1]
    half = query.dtype in (torch.float16, torch.bfloat16)
    if not query.is_cuda or not half or size % 8 or size > 256:
        return False
    if not torch.backends.cuda.is_flash_attention_available():
        return False
    return torch.cuda.get_device_capability(query.device) >= (8, 0)
