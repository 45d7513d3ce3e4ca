"""How a backbone reads texts beside each other, and how long they may be, found by running it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nearfield.batch.packed import Packed
from nearfield.batch.padded import ALONE, EQUAL, PADDED, pad, token_budget_batches
from nearfield.errors import ModelError, NearfieldError, first_line
from nearfield.formats.architectures import ARCHITECTURES
from nearfield.types.arrays import Integers

# of the states' size: rounding is a hundred times less, what a model mixes in is more or does not
# matter
_SAME = 1e-4


@dataclass(frozen=True)
class Habits:
    """Which texts go through a backbone in one call (PADDED, EQUAL or ALONE), and how many tokens
    of one its positions have a row for, None where they set no bound. `hidden`: the dimensions of a
    state, None where config.json tells.
    """

    together: str
    places: int | None = None
    hidden: int | None = None


def habits_of(backbone: Any, ids: Tensor, *, known: bool) -> Habits:
    """The habits of `backbone` as two texts of equal length show them: `ids` (L,), those of a real
    text, and these backwards.

    Texts are padded only for an architecture that is known to take no notice of it. Any other gets
    texts of equal length, and where these change each other's states each goes alone. `known`: the
    architecture is what its name says. Raises ModelError where a text cannot be run, or where its
    states differ from one time to the next.
    """
    kind = backbone.config.model_type
    with _Places(len(ids)) as seen:
        # (1, L, hidden)
        first = _states(backbone, ids[None])
    if known and kind in ARCHITECTURES and not long_rope(backbone.config):
        return Habits(PADDED, seen.places, first.shape[-1])
    # a second text in the batch changes the first one's states where a model mixes them, as one
    # that routes tokens to experts with a limit for each does
    both = _states(backbone, torch.stack([ids, ids.flip(0)]))
    if _differ(first, _states(backbone, ids[None])):
        raise ModelError(
            f"the architecture {kind} gives a text other states each time that it is "
            "run; its vectors mean nothing"
        )
    together = ALONE if _differ(first, both[:1]) else EQUAL
    return Habits(together, seen.places, first.shape[-1])


def packed_habits(config: Any) -> Habits:
    """The habits of an architecture that packs, which a test holds to the states of each text
    alone, where it is padded.
    """
    return Habits(EQUAL if long_rope(config) else PADDED)


def refuse_growing_positions(config: Any) -> None:
    """Raise ModelError where rotary positions are stretched by the longest text so far, as
    transformers does for "dynamic".
    """
    for rope in _ropes(config):
        most = getattr(config, "max_position_embeddings", 0)
        original = rope.get("original_max_position_embeddings")
        if rope.get("rope_type") == "dynamic" and original and original < most:
            raise ModelError(
                f"rotary positions of the type dynamic beyond {original} tokens depend on the "
                "texts that came before; "
                f"set max_position_embeddings in config.json to {original}"
            )


def _states(backbone: Any, ids: Tensor) -> Tensor:
    """The last hidden states (B, L, hidden). Raises ModelError where the backbone makes none of
    `ids: (B, L)` alone.
    """
    with torch.no_grad():
        states = rows_through(backbone, ids, torch.ones_like(ids))
    if not isinstance(states, Tensor) or states.shape[:2] != ids.shape:
        raise ModelError(
            f"the architecture {backbone.config.model_type} does not give one state "
            "for each token of a text"
        )
    return states


def padded_rows(
    batch: Packed, habits: Habits, fill: int, device: torch.device
) -> Iterator[tuple[Integers, Tensor, Tensor, Tensor]]:
    """The batch in padded rows, of no more places in one call than it has tokens: which sequences
    these are, their ids, where real tokens are, and what is attended to, (B, L) each.
    """
    for items in token_budget_batches(batch.lengths, len(batch.ids), habits.together):
        padded, real = pad(batch, items, fill)
        ids = torch.from_numpy(padded).to(device)
        mask = torch.from_numpy(real).to(device)
        # attention over no token at all is NaN: a row without any attends to its padding
        yield items, ids, mask, mask | ~mask.any(1, keepdim=True)


def rows_through(backbone: Any, ids: Tensor, mask: Tensor) -> Any:
    """The last hidden states (B, L, hidden) of ids and mask (B, L), of a backbone that takes no
    packed row.

    Raises ModelError where the architecture cannot run on them.
    """
    # a short text switches its sparse attention off for all later ones
    if backbone.config.model_type == "big_bird":
        backbone.set_attention_type(backbone.config.attention_type)
    options = {}
    if "use_cache" in inspect.signature(backbone.forward).parameters:
        options = {"use_cache": False}
    with running(backbone, f"a text of {ids.shape[1]} tokens alone"):
        return backbone(input_ids=ids, attention_mask=mask, **options).last_hidden_state


@contextlib.contextmanager
def running(backbone: Any, what: str) -> Iterator[None]:
    """Raises ModelError for whatever the backbone raises on `what`, but that memory ran out: each
    architecture has its own way to say that its config does not fit, or that an input is missing.
    """
    try:
        yield
    except (NearfieldError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        kind = backbone.config.model_type
        raise ModelError(
            f"the architecture {kind} does not run on {what}: {first_line(error)}"
        ) from error


class _Places(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches for tables that are looked up at rising places, one per token: their rows are
    positions. `places` is how many tokens the shortest of them leaves, counted from the place of
    the first.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rising = torch.arange(tokens)
        self.places: int | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.embedding.default:
            table, places = args[:2]
            # some fill a text up to whole blocks
            at = places.reshape(-1)[: len(self._rising)]
            if len(at) == len(self._rising) and torch.equal(at - at[0], self._rising.to(at)):
                left = len(table) - int(at[0])
                self.places = left if self.places is None else min(self.places, left)
        return func(*args, **(kwargs or {}))


def _differ(one: Tensor, other: Tensor) -> bool:
    # not ">": NaN differs from everything
    return not float((one - other).norm()) <= _SAME * float(one.norm())


def long_rope(config: Any) -> bool:
    """Whether the longest text of a batch chooses the frequencies of all."""
    return any(rope.get("rope_type") == "longrope" for rope in _ropes(config))


def _ropes(config: Any) -> list[dict[str, Any]]:
    """The rotary settings of a config: one for all layers, or one for each type of layer."""
    stated = getattr(config, "rope_parameters", None) or {}
    by_type = [part for part in stated.values() if isinstance(part, dict)]
    return [stated, *by_type]
