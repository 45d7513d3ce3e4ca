"""A sparse and a multi-vector head beside a dense model's own, in BGE-M3's layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nearfield.batch.special_ids import special_ids
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.three import ThreeHeads
from nearfield.models.heads.token_vectors import TokenVectors
from nearfield.models.heads.token_weights import TokenWeights
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.start import even_weights, principal_layer, states_in_company
from nearfield.types.contract import FUSION
from nearfield.types.progress import Progress


def write_three(
    source: ModelFolder, stage: Path, name: str, options: HeadOptions, progress: Progress
) -> None:
    """Write the model of `source` into `stage` with the two other heads beside its own, which stays
    as it is.

    They begin with `even_weights` and as the `principal_layer` of the vocabulary's tokens in texts
    of tokens drawn at random. Raises InputError for token vectors of more dimensions than the
    states have.
    """
    options.refuse("three", "inference_free", "max_terms")
    model = TextModel(source)
    dense = model.head
    config = model.backbone.config
    assert isinstance(dense, DenseHead)
    dim = options.token_dim(int(config.hidden_size))
    weights = TokenWeights(
        even_weights(int(config.hidden_size)),
        vocabulary=int(config.vocab_size),
        left_out=special_ids(source.transformer),
    )
    directions = principal_layer(states_in_company(model, progress), dim)
    vectors = TokenVectors(model.contract, directions)
    model.head = ThreeHeads(dense, weights, vectors, weights=FUSION)
    # all else that the contract says holds for the dense vectors, which stay
    model.contract = replace(model.contract, kind=ThreeHeads.kind)
    save_encoder(model, stage, name=name)
