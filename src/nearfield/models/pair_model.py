"""A cross-encoder's weights as a torch module: what training changes and what a reranker runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.open_tokenizer import told_types
from nearfield.batch.packed import Packed
from nearfield.batch.padded import pad
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from nearfield.formats.reranker_folder import CLASSIFIER, RerankerFolder
from nearfield.models.backbones.backbone import load_backbone
from nearfield.models.backbones.classifiers import CLASSIFIERS, PADDED
from nearfield.models.backbones.habits import padded_rows
from nearfield.models.backbones.states import packed_states, prepare
from nearfield.models.heads.pooling import POOLINGS
from nearfield.models.heads.segments import Segments
from nearfield.models.trainable import Trainable
from nearfield.similarity.dense import Dense


class PairModel(Trainable):
    """Backbone and head of a cross-encoder's folder, differentiable: one logit a pair.

    `precision` is that of the matrix products, float32 or bfloat16; weights and logits are float32.
    `tokens` are the ids of a decoder's token for relevant and, where there is one, for not
    relevant. `typed` says whether it is told which of the two texts a token belongs to.
    """

    objective = "own-candidates"

    def __init__(
        self, folder: RerankerFolder, *, precision: str = "float32", device: str = "cpu"
    ) -> None:
        self.folder = folder
        self.precision = precision
        self.adapters = None
        self.tokens = None if folder.task == CLASSIFIER else folder.tokens or _yes_and_no(folder)
        self.device = torch.device(device)
        opened = load_backbone(folder.transformer, task=folder.task)
        self.whole: Any = opened.whole.to(self.device)
        self.backbone = opened.model
        self.fill = opened.fill
        self.habits = opened.habits
        kind = self.backbone.config.model_type
        self.packs = (kind in CLASSIFIERS or folder.task != CLASSIFIER) and prepare(self.backbone)
        if not self.packs and (kind not in PADDED or folder.task != CLASSIFIER):
            known = ", ".join(sorted([*CLASSIFIERS, *PADDED]))
            raise ModelError(
                f"{folder.path}: a cross-encoder of the architecture {kind} is not "
                f"known; known are {known}"
            )
        types = int(getattr(self.backbone.config, "type_vocab_size", 0) or 0)
        self.typed = types > 1 and told_types(folder.transformer)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every weight once, by the name that its checkpoint gives it."""
        return dict(self.whole.named_parameters())

    def represent(self, batch: Packed) -> Dense:
        """The logit of each pair, in the batch's order: (n, 1) float32; no gradient is kept."""
        with torch.inference_mode():
            logits = self.embed(batch)[:, None].cpu().numpy()
        return Dense.under(self.folder.contract, logits)

    def embed(self, batch: Packed) -> Tensor:
        """The logit of each pair, in the batch's order, float32 on `device`: (n,), 0 for a pair
        without a token.
        """
        if not len(batch.ids):
            return torch.zeros(len(batch), device=self.device)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            logits = self._packed(batch) if self.packs else self._padded(batch)
        empty = torch.from_numpy(batch.lengths == 0).to(self.device)
        return logits.float().masked_fill(empty, 0.0)

    def _packed(self, batch: Packed) -> Tensor:
        # (n,) the place of the one token of each pair whose state is looked at: a classifier's
        # first, a decoder's last
        picked = np.zeros(len(batch), np.int64) if self.tokens is None else batch.lengths - 1
        states = packed_states(self.backbone, batch, self.device, self.layers, picked)
        segments = Segments(batch)
        if self.tokens is None:
            classifier = CLASSIFIERS[self.backbone.config.model_type]
            return classifier(self.whole, states, segments)[:, 0]
        # of the whole vocabulary, the logits of one or two tokens alone
        rows = torch.tensor([id_ for id_ in self.tokens if id_ is not None], device=self.device)
        head = self.whole.get_output_embeddings()
        bias = None if head.bias is None else head.bias[rows]
        last = POOLINGS["last"](states, segments)
        logits = nn.functional.linear(last, head.weight[rows], bias)
        cap = getattr(self.whole.config, "final_logit_softcapping", None)
        if cap is not None:  # Gemma 2's, before logits are compared
            logits = cap * torch.tanh(logits / cap)
        if len(rows) == 1:
            return logits[:, 0]
        return logits[:, 0] - logits[:, 1]

    def _padded(self, batch: Packed) -> Tensor:
        parts = []
        at = []
        own = batch.column("types")
        for items, ids, _, attended in padded_rows(batch, self.habits, self.fill, self.device):
            types = {}
            if own is not None:
                padded, _ = pad(replace(batch, ids=own), items, 0)
                types["token_type_ids"] = torch.from_numpy(padded).to(self.device)
            made = self.whole(input_ids=ids, attention_mask=attended.long(), **types)
            parts.append(made.logits[:, 0])
            at.append(torch.from_numpy(items))
        # back into the batch's order
        order = torch.cat(at).argsort()
        return torch.cat(parts)[order.to(self.device)]


def _yes_and_no(folder: RerankerFolder) -> tuple[int, int]:
    """The tokens whose logits are compared where the folder names none, as sentence-transformers
    takes them.
    """
    tokeniser = Tokeniser.open(folder.transformer, max_tokens=folder.max_tokens)
    relevant = tokeniser.id_of("yes")
    other = tokeniser.id_of("no")
    if relevant is None or other is None:
        raise ModelError(
            f"{folder.path}: its vocabulary has no tokens 'yes' and 'no', and no "
            "LogitScore module names others"
        )
    return relevant, other
