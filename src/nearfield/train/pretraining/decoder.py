"""What names the words of a text from a model's states or its vector; dropped after training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

HEAD_DIM = 64  # as in BERT


class MaskedWords(nn.Module):
    """States (m, hidden) to what is compared with the embeddings of all words, (m, width)."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(nn.Linear(hidden, width), nn.GELU(), nn.LayerNorm(width))

    def forward(self, states: Tensor) -> Tensor:
        """See the class."""
        made: Tensor = self.steps(states)
        return made


class Decoder(nn.Module):
    """One layer of a transformer that names each word of a text from the text's vector, its place
    and the words that it may see there.

    `dim` is that of the vectors, `width` that of the words' embeddings. With a mask of what comes
    before, it is TSDAE's decoder; with a random mask for each place, RetroMAE's: Xiao et al. 2022
    (arXiv 2205.12035), equations 5 to 8.
    """

    def __init__(self, dim: int, width: int, places: int) -> None:
        super().__init__()
        self.heads = 1
        if width % HEAD_DIM == 0:
            self.heads = width // HEAD_DIM
        self.start = nn.Linear(dim, width)
        self.places = nn.Embedding(places, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.last = nn.LayerNorm(width)
        self.wide = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, vectors: Tensor, words: Tensor, sees: Tensor) -> Tensor:
        """(n, L, width), what is compared with the embeddings of all words: `vectors` (n, dim),
        `words` (n, L, width) the embeddings of each text's words, `sees` (n, L, L) bool, True where
        the word at one place may be seen from another.
        """
        start = self.start(vectors)[:, None]
        places = self.places.weight[: words.shape[1]]
        # a place asks by the text's vector and itself, and not by its own word
        asking = start + places
        # what it may attend to: the text's vector, always, and the words that it sees
        held = torch.cat([start, words + places], 1)
        mask = torch.cat([sees.new_ones(*sees.shape[:2], 1), sees], 2)
        query = self._by_head(self.query(asking))
        key = self._by_head(self.key(held))
        value = self._by_head(self.value(held))
        mixed = scaled_dot_product_attention(query, key, value, mask[:, None])
        states = self.after(asking + self.out(mixed.transpose(1, 2).flatten(2)))
        made: Tensor = self.last(states + self.wide(states))
        return made

    def _by_head(self, states: Any) -> Any:
        """(n, L, width) to (n, heads, L, width / heads)."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)
