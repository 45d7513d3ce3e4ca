"""A model folder's weights as a torch module: what training changes and what the torch runtime
runs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.packed import Packed
from nearfield.batch.sequences import offsets_of
from nearfield.errors import ModelError
from nearfield.formats.late_interaction import INLINE
from nearfield.formats.lora_folder import read_lora
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.formats.router import read_term_weights
from nearfield.models.backbones.backbone import load_backbone
from nearfield.models.backbones.habits import padded_rows, rows_through
from nearfield.models.backbones.states import packed_states, prepare
from nearfield.models.backbones.static_backbone import static_backbone
from nearfield.models.heads import HEADS
from nearfield.models.heads.head import Given, Head
from nearfield.models.heads.term_table import TermTable
from nearfield.models.lora.attached import Attached
from nearfield.models.lora.low_rank import LowRank
from nearfield.models.trainable import Trainable
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract

log = logging.getLogger(__name__)
QUERY_WEIGHTS = "queries.weight"  # among the parameters: the table that queries are looked up in
# times the rate: of a table that queries are looked up in, each weight of which few batches touch
TABLE_RATE = 20.0


class TextModel(Trainable):
    """Backbone and head of a model folder, and its adapters where it has some, differentiable.

    `precision` is that of the matrix products, float32 or bfloat16; weights and outputs are
    float32. `device` is where the weights are, as torch names it.
    """

    contract: Contract
    typed = False  # each text is told by itself, so that all of its tokens are of one type

    def __init__(
        self, folder: ModelFolder, *, precision: str = "float32", device: str = "cpu"
    ) -> None:
        self.precision = precision
        self.device = torch.device(device)
        head = HEADS[folder.head_name]
        inline = INLINE if folder.late is not None and folder.late.inline else ""
        if folder.static:
            opened = static_backbone(folder.transformer)
        else:
            opened = load_backbone(
                folder.transformer,
                task=head.task,
                also=inline,
                trust_remote_code=bool(folder.code),
            )
        self.folder = folder = folder.within(opened.habits.places)
        self.contract = folder.contract
        self.whole = opened.whole.to(self.device)
        self.backbone = opened.model
        self.fill = opened.fill
        self.unread = opened.unread
        self.habits = opened.habits
        # code of the folder may be called as an architecture that packs, and be another
        self.packs = folder.static or (not folder.code and prepare(self.backbone))
        if not self.packs:
            said = "%s: the architecture %s is not packed here; texts share a batch: %s"
            kind = self.backbone.config.model_type
            log.warning(said, folder.path, kind, self.habits.together)
        hidden = opened.habits.hidden or _size(self.backbone, "hidden_size")
        given = Given(folder, hidden, _size(self.backbone, "vocab_size"), opened.whole)
        self.head: Head[Any] = head.open(given).train(self.device)
        self.adapters = open_adapters(folder, self.whole)
        self.queries = open_term_table(folder, self.device)
        self._say_how_it_is_trained()

    def _say_how_it_is_trained(self) -> None:
        self.objective = self.head.objective
        self.light = self.head.light
        self.rates = {QUERY_WEIGHTS: TABLE_RATE, **self.head.rates}
        # nothing here reads a pooler
        unused = {name for name in self.parameters() if name.startswith("pooler.")}
        if self.folder.queries is not None and self.folder.queries.frozen:
            unused.add(QUERY_WEIGHTS)
        self.unused = frozenset(unused)

    @classmethod
    def open(
        cls, path: str | Path, *, precision: str = "float32", device: str = "cpu"
    ) -> TextModel:
        """The model in a folder. Raises ModelError and ContractError as `read_model_folder` and
        `load_backbone` do.
        """
        return cls(read_model_folder(path), precision=precision, device=device)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight once, by name: the backbone's as its checkpoint names them, and the head's
        own, as `projections.0.linear.weight`.
        """
        named = dict(self.backbone.named_parameters())
        known = {id(weight) for weight in named.values()}
        for name, weight in self.head.parameters().items():
            if id(weight) not in known:  # a decoder may be the word embeddings
                named[name] = weight
        if self.queries is not None:
            named[QUERY_WEIGHTS] = self.queries.weight
        if self.adapters is not None:
            named |= self.adapters.parameters()
        return named

    def table_size(self) -> float | None:
        if not self.folder.static:
            return None
        return float(self.backbone.embeddings.detach().square().mean().sqrt())

    def embed(self, batch: Packed) -> Any:
        """What the head makes of the sequences, in the batch's order, float32 on `device`: a head's
        `Output`, of a dense one (n, dim).
        """
        if batch.looked_up and self.queries is not None:
            return self.queries(batch)
        states = self.states(batch, picked=self.head.picked(batch))
        return self.head.forward(states, batch)

    def represent(self, batch: Packed) -> Embeddings:
        """The embeddings of the sequences, in the batch's order, of the head's kind; no gradient is
        kept.
        """
        with torch.inference_mode():
            return self.head.embeddings(self.embed(batch), batch)

    def represent_spans(self, batch: Packed, spans: Sequence[Integers]) -> Embeddings:
        """The embeddings of k spans of the batch, each the places of its tokens, as if a span were
        a sequence whose states have seen the batch's; no gradient is kept.
        """
        places = np.concatenate(spans)
        offsets = offsets_of([len(span) for span in spans])
        # spans may overlap, so that a token may be there several times
        own = Packed(batch.ids[places], offsets, np.arange(len(spans)))
        with torch.inference_mode():
            states = self.states(batch)[torch.from_numpy(places).to(self.device)]
            return self.head.embeddings(self.head.forward(states, own), own)

    def states(self, batch: Packed, *, picked: Integers | None = None) -> Tensor:
        """The last hidden state of every token, of a static model its vector: (T, hidden) float32.

        `picked` (n,): the places of the tokens, one in each sequence, whose states alone are
        wanted; others are of no meaning then.
        """
        if self.folder.static:
            vectors: Tensor = self.backbone(torch.from_numpy(batch.ids).to(self.device))
            return vectors
        if not len(batch.ids):
            return torch.empty(0, self.backbone.config.hidden_size, device=self.device)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            states = self._packed_states(batch, picked) if self.packs else self._row_states(batch)
        return states.float()

    def _packed_states(self, batch: Packed, picked: Integers | None) -> Tensor:
        with self._adapted(batch.column("adapters"), batch.lengths):
            return packed_states(self.backbone, batch, self.device, self.layers, picked)

    def _row_states(self, batch: Packed) -> Tensor:
        adapters = batch.column("adapters")
        unseen = batch.column("unseen")
        parts = []
        for items, ids, mask, attended in padded_rows(batch, self.habits, self.fill, self.device):
            if unseen is not None:
                seen = torch.from_numpy((batch.lengths - unseen)[items]).to(self.device)
                attended &= torch.arange(attended.shape[1], device=self.device) < seen[:, None]
            own = None if adapters is None else adapters[items]
            # each row has as many places, padding among them
            with self._adapted(own, np.full(len(items), ids.shape[1])):
                parts.append(rows_through(self.backbone, ids, attended.long())[mask])
        return torch.cat(parts)

    def _adapted(self, numbers: Integers | None, lengths: Integers) -> AbstractContextManager[None]:
        return nullcontext() if self.adapters is None else self.adapters.acting(numbers, lengths)


def _size(backbone: Any, name: str) -> int:
    """What the backbone's config says of this size; 0 for a static table, which has no config."""
    return int(getattr(getattr(backbone, "config", None), name, None) or 0)


def open_adapters(folder: ModelFolder, model: nn.Module) -> Attached | None:
    """The adapters that the folder has for its roles, beside `model`, or None for none. Raises
    ModelError where they do not fit it.
    """
    if not folder.adapters:
        return None
    adapters = []
    for path in folder.adapter_folders:
        adapter = LowRank.open(read_lora(path), model)
        # they stand in place of the model's, which all roles share
        if adapter.weights:
            raise ModelError(
                f"{path}: has whole weights ({next(iter(adapter.weights))}), which "
                "cannot be chosen by role; merge it alone"
            )
        adapters.append(adapter)
    return Attached(model, adapters)


def open_term_table(folder: ModelFolder, device: torch.device) -> TermTable | None:
    """What the folder's queries are looked up in, None where they go through the backbone. Raises
    ModelError where it does not fit.
    """
    if folder.queries is None:
        return None
    weights = torch.from_numpy(np.array(read_term_weights(folder.queries, folder.contract.dim)))
    return TermTable(weights, frozen=folder.queries.frozen).to(device)
