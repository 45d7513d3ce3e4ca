"""A late-interaction head on the transformer of a dense model."""

from __future__ import annotations

import string
from pathlib import Path

from nearfield.formats.late_interaction import LateInteraction
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.late_interaction import LateInteractionHead
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.start import principal_layer, states_in_company
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress


def write_late_interaction(
    source: ModelFolder, stage: Path, name: str, options: HeadOptions, progress: Progress
) -> None:
    """Write the model of `source` as a multi-vector model into `stage`, laid out as
    sentence-transformers lays a MultiVectorEncoder out.

    Every token has a vector of `options.dim` dimensions, 128 by default, but for documents'
    punctuation; queries are not filled up. The projection begins as the `principal_layer` of the
    vocabulary's tokens. Raises InputError for more dimensions than the states have.
    """
    options.refuse("late-interaction", "inference_free", "max_terms")
    model = TextModel(source)
    dim = options.token_dim(int(model.backbone.config.hidden_size))
    projection = principal_layer(states_in_company(model, progress), dim)
    kept = source.contract
    model.contract = Contract(
        name=name,
        dim=dim,
        max_tokens=kept.max_tokens,
        pooling="tokens",
        prompts=kept.prompts,
        kind=LateInteractionHead.kind,
        templates=kept.templates,
        terms=kept.terms,
    )
    settings = LateInteraction(
        document_tokens=kept.max_tokens,
        query_tokens=kept.max_tokens,
        skipped=tuple(string.punctuation),
    )
    model.head = LateInteractionHead(model.contract, [projection], settings)
    save_encoder(model, stage, name=name)
