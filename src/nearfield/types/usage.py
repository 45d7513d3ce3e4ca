"""What an encode call read."""

from __future__ import annotations

from dataclasses import dataclass


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


NOTHING_READ = Usage()
