"""What an encode call read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """`truncated` of `items` lost `tokens_lost` of their tokens; `prompt_tokens` went to prompts."""

    items: int = 0
    tokens: int = 0
    truncated: int = 0
    tokens_lost: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0


NOTHING_READ = Usage()
