"""A SPLADE model as a folder that sentence-transformers 6 opens as a SparseEncoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfield.formats.model_folder import ModelFolder, contract_json
from nearfield.formats.modules import read_modules, write_modules
from nearfield.formats.router import DOCUMENT_FOLDER, POOLING_FOLDER, write_router
from nearfield.formats.transformer_settings import processor_arguments, settings_of
from nearfield.models.model import TextModel
from nearfield.models.saving.save import copy_folders, state, write_parts
from nearfield.store.atomic import write_json
from nearfield.store.regular import copy_regular
from nearfield.types.contract import Contract

# How the names of a tokeniser's files begin.
_TOKENISER = (
    "added_tokens",
    "merges",
    "sentencepiece",
    "special_tokens",
    "spiece",
    "tokenizer",
    "vocab",
)
_TYPES = {
    "": "base.modules.transformer.Transformer",
    "1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling",
}


def copy_tokeniser(source: Path, to: Path) -> None:
    """Copy the files that make the tokeniser in `source`."""
    to.mkdir(exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and file.name.startswith(_TOKENISER):
            copy_regular(file, to / file.name)


def write_splade(model: TextModel, contract: Contract, stage: Path) -> None:
    """The folder's own files, with modules where it named none. See Writer."""
    source = model.folder
    copy_folders(source.path, stage)
    if read_modules(source.path):
        state(contract, source, stage)
    else:
        write_sparse(source, contract, stage)
    write_parts(model, stage)


def write_sparse(
    source: ModelFolder, contract: Contract, stage: Path, *, inference_free: bool = False
) -> None:
    """Write into `stage` what says how the folder's parts make a sparse model, to
    sentence-transformers and to us; `inference_free`: queries are looked up.
    """
    if inference_free:
        document = DOCUMENT_FOLDER
        pooler = POOLING_FOLDER
        write_router(stage)
    else:
        document, pooler = _TYPES
        write_modules(stage, _TYPES.items())
    (stage / pooler).mkdir(exist_ok=True)
    pooling = {
        "pooling_strategy": contract.pooling,
        "activation_function": "relu",
        "embedding_dimension": contract.dim,
    }
    write_json(stage / pooler / "config.json", pooling)
    write_json(stage / document / "sentence_bert_config.json", _limits(source, contract))
    stated: dict[str, Any] = {
        "model_type": "SparseEncoder",
        "prompts": dict(contract.prompts),
        "default_prompt_name": None,
    }
    if contract.max_terms:
        stated["max_active_dims"] = contract.max_terms
    stated["similarity_fn_name"] = contract.similarity
    write_json(stage / "config_sentence_transformers.json", stated)
    write_json(stage / "nearfield.json", contract_json(contract))


def _limits(source: ModelFolder, contract: Contract) -> dict[str, Any]:
    """What the transformer reads and gives."""
    limits: dict[str, Any] = {
        "transformer_task": "fill-mask",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "token_embeddings",
        "max_seq_length": contract.max_tokens,
        "do_lower_case": settings_of(source.transformer).flag("do_lower_case", False),
    }
    given = processor_arguments(source.transformer)
    if given:
        limits["processor_kwargs"] = given
    return limits
