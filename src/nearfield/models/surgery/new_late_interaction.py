"""A late-interaction head on the transformer of a dense model."""

from __future__ import annotations

import string
from pathlib import Path

from nearfield.errors import InputError
from nearfield.formats.dense_module import IDENTITY, ProjectionConfig
from nearfield.formats.late_interaction import LateInteraction
from nearfield.formats.model_folder import ModelFolder, contract_json
from nearfield.models.heads.late_interaction import LateInteractionHead
from nearfield.models.heads.projection import Projection
from nearfield.models.heads.three_start import principal_directions
from nearfield.models.model import TextModel
from nearfield.models.saving.save import write_weights
from nearfield.models.saving.save_late import write_late
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.new_three import states_in_company
from nearfield.store.atomic import write_json
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress

DIM = 128  # Khattab and Zaharia 2020, section 4


def write_late_interaction(
    source: ModelFolder, stage: Path, name: str, options: HeadOptions, progress: Progress
) -> None:
    """Write the model of `source` as a multi-vector model into `stage`, laid out as
    sentence-transformers lays a MultiVectorEncoder out.

    Every token has a vector of `options.dim` dimensions, 128 by default, but for documents'
    punctuation; queries are not filled up. The projection begins as the `principal_directions` of
    the vocabulary's tokens. Raises InputError for more dimensions than the states have.
    """
    model = TextModel(source)
    width = int(model.backbone.config.hidden_size)
    options.refuse("late-interaction", "inference_free", "max_terms")
    dim = options.dim or min(DIM, width)
    if dim > width:
        raise InputError(
            f"{dim} dimensions a token are more than the {width} of the states of "
            f"{source.contract.name}; ask for fewer"
        )
    projection = Projection(ProjectionConfig(width, dim, activation_function=IDENTITY))
    states = states_in_company(model, len(model.backbone.get_input_embeddings().weight), progress)
    projection.linear = principal_directions(states, dim)
    kept = source.contract
    contract = Contract(
        name=name,
        dim=dim,
        max_tokens=kept.max_tokens,
        pooling="tokens",
        prompts=kept.prompts,
        kind="multi-vector",
        templates=kept.templates,
        terms=kept.terms,
    )
    settings = LateInteraction(
        document_tokens=kept.max_tokens,
        query_tokens=kept.max_tokens,
        skipped=tuple(string.punctuation),
    )
    write_late(stage, source, contract, LateInteractionHead(contract, [projection], settings))
    write_weights(model, stage, stage)
    write_json(stage / "nearfield.json", contract_json(contract))
