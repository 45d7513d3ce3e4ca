"""A model folder's weights as a torch module: what training changes and what the torch runtime runs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.batch.padded import pad, token_budget_batches
from nearfield.encoders.backbone import load_backbone
from nearfield.heads.pooling import POOLINGS
from nearfield.heads.projection import Projection
from nearfield.heads.segments import Segments
from nearfield.store.model_folder import ModelFolder, read_model_folder


class TextModel:
    """Backbone, pooling, projections and normalisation of a model folder, differentiable.

    `precision` is that of the matrix products, float32 or bfloat16; weights and outputs are float32. `device` is where the weights
    are, as torch names it.
    """

    def __init__(self, folder: ModelFolder, *, precision: str = "float32", device: str = "cpu") -> None:
        self.folder = folder
        self.contract = folder.contract
        self.precision = precision
        self.device = torch.device(device)
        opened = load_backbone(folder.transformer)
        self.backbone, self.fill, self.unread = opened.model.to(self.device), opened.fill, opened.unread
        self.projections = nn.ModuleList(Projection.open(part) for part in folder.projections).to(self.device)

    @classmethod
    def open(cls, path: str | Path, *, precision: str = "float32", device: str = "cpu") -> TextModel:
        """The model in a folder. Raises ModelError and ContractError as `read_model_folder` and `load_backbone` do."""
        return cls(read_model_folder(path), precision=precision, device=device)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight by name: the backbone's as its checkpoint names them, projections' after `projections.`."""
        named = dict(self.backbone.named_parameters())
        return named | {f"projections.{name}": weight for name, weight in self.projections.named_parameters()}

    def embed(self, batch: Packed) -> Tensor:
        """Embeddings of the sequences in the batch's order: (n, dim) float32, on `device`.

        A sequence without a token to pool is pooled to zeros.
        """
        skip = 0 if self.contract.include_prompt else batch.prompt_tokens
        segments = Segments.of(batch, skip=skip, device=self.device)
        vectors = POOLINGS[self.contract.pooling](self.states(batch), segments)
        for projection in self.projections:
            vectors = projection(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.contract.normalise else vectors

    def states(self, batch: Packed) -> Tensor:
        """The last hidden state of every token: (T, hidden) float32."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self._padded_states(batch).float()

    def _padded_states(self, batch: Packed) -> Tensor:
        """The states by padded batches, each of no more places than the whole has tokens."""
        parts = [torch.empty(0, self.backbone.config.hidden_size, device=self.device)]
        for items in token_budget_batches(batch.lengths, max(1, len(batch.ids))):
            ids, mask = (torch.from_numpy(part).to(self.device) for part in pad(batch, items, self.fill))
            if mask.any():
                attended = mask | ~mask.any(1, keepdim=True)  # attention over no token at all is NaN
                parts.append(self.backbone(input_ids=ids, attention_mask=attended.long()).last_hidden_state[mask])
        return torch.cat(parts)
