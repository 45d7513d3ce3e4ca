"""What an encode call read."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.types.arrays import Integers


@dataclass(frozen=True)
class Usage:
    """`truncated` of `items` lost `tokens_lost` of their tokens; `prompt_tokens` are what prompts
    added to the texts.

    `images` of the items were images that a vendor billed, at another price than texts.
    `unknown_tokens` were left out because a static model has no vector for them; `nothing_known` of
    the items had no token at all that could be pooled, and have the zero vector.
    """

    items: int = 0
    tokens: int = 0
    truncated: int = 0
    tokens_lost: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    unknown_tokens: int = 0
    nothing_known: int = 0
    images: int = 0

    @classmethod
    def counted(cls, counts: Integers) -> Usage:
        """What was read of n items by the tokens of each: read, lost, and of the prompt where there
        is a third column, (n, 2) or (n, 3) int64.
        """
        read, lost, *prompted = counts.sum(0).tolist()
        truncated = int((counts[:, 1] > 0).sum())
        return cls(len(counts), read, truncated, lost, sum(prompted))

    def __add__(self, other: Usage) -> Usage:
        """What two calls read together."""
        both = zip(astuple(self), astuple(other), strict=True)
        return Usage(*(one + another for one, another in both))


NOTHING_READ = Usage()
