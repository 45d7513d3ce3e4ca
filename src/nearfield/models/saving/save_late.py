"""A multi-vector model as a folder that sentence-transformers 6 opens as a MultiVectorEncoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nearfield.batch.tokens import Tokeniser
from nearfield.data.trained_on import keep_trained_on
from nearfield.formats.late_interaction import MEAN, LateInteraction
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.modules import write_modules
from nearfield.formats.transformer_settings import settings_of
from nearfield.models.heads.late_interaction import LateInteractionHead
from nearfield.models.model import TextModel
from nearfield.models.saving.save import write_weights
from nearfield.models.saving.save_sparse import copy_tokeniser
from nearfield.store.atomic import write_json
from nearfield.store.tensors import write_tensors
from nearfield.types.contract import Contract

_TYPES = {
    "Transformer": "base.modules.transformer.Transformer",
    "Dense": "base.modules.dense.Dense",
    "MultiVectorMask": "multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask",
    "Normalize": "base.modules.normalize.Normalize",
}
_TOKENS = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}


def write_late(model: TextModel, contract: Contract, stage: Path) -> None:
    """The modules and settings of sentence-transformers 6, whatever the folder had. See Writer."""
    source = model.folder
    head = model.head
    assert isinstance(head, LateInteractionHead)
    late = head.settings
    projections = head.projections
    copy_tokeniser(source.transformer, stage)
    # one that keeps the markers whole, which other tools would cut into pieces
    if late.markers:
        tokeniser = Tokeniser.open(
            source.transformer, max_tokens=contract.max_tokens, markers=late.markers
        )
        (stage / "tokenizer.json").write_text(tokeniser.json(), encoding="utf-8")
    kinds = ["Transformer", *["Dense"] * len(projections), "MultiVectorMask"]
    if contract.normalise:
        kinds.append("Normalize")
    folders = [f"{at}_{kind}" for at, kind in enumerate(kinds)]
    folders[0] = ""  # the transformer's files lie in the folder itself
    types = [_TYPES[kind] for kind in kinds]
    write_modules(stage, zip(folders, types, strict=True))
    for at, projection in enumerate(projections, 1):
        write_json(stage / folders[at] / "config.json", asdict(projection.config) | _TOKENS)
        write_tensors(stage / folders[at] / "model.safetensors", projection.stored())
    skipped = {
        "skiplist_words": list(late.skipped),
        "skiplist_tasks": list(late.skipped_in),
        "keep_only_token_ids": None,
    }
    write_json(stage / folders[len(projections) + 1] / "config.json", skipped)
    if contract.normalise:
        write_json(stage / folders[-1] / "config.json", _TOKENS)
    _state(stage, source, contract, late)
    write_weights(model, stage)
    keep_trained_on([source.path], stage)


def _state(stage: Path, source: ModelFolder, contract: Contract, late: LateInteraction) -> None:
    limits = dict(settings_of(source.transformer))
    limits |= {
        "max_seq_length": contract.max_tokens,
        "do_lower_case": source.lower_case,
        "document_length": late.document_tokens,
    }
    asked = late.expansion
    if asked is not None:
        limits["query_expansion"] = {
            "strategy": "fixed" if asked.fixed else "min",
            "attend": asked.attended,
            "token": asked.token,
            "length": asked.length,
        }
    # where it is fixed, every query has the expansion's
    limits["query_length"] = None if asked is not None and asked.fixed else late.query_tokens
    write_json(stage / "sentence_bert_config.json", limits)
    facts = {
        "model_type": "MultiVectorEncoder",
        "prompts": dict(contract.prompts),
        "default_prompt_name": None,
        "similarity_fn_name": MEAN if late.average else "maxsim",
    }
    write_json(stage / "config_sentence_transformers.json", facts)
