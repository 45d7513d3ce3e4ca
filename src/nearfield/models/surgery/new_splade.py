"""A SPLADE head on the transformer of a dense model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.router import DOCUMENT_FOLDER, QUERY_FOLDER
from nearfield.models.backbones.backbone import from_files, quiet, write_backbone
from nearfield.models.backbones.language_heads import LANGUAGE_HEADS, language_head
from nearfield.models.heads.splade import Splade
from nearfield.models.model import TextModel
from nearfield.models.saving.save_sparse import copy_tokeniser, write_sparse
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.query_weights import rarity
from nearfield.models.surgery.start import states_alone, usable_terms
from nearfield.models.surgery.start_splade import start_splade
from nearfield.models.tokeniser import tokeniser_of
from nearfield.store.atomic import write_json
from nearfield.store.tensors import write_tensors
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress


def write_splade(
    source: ModelFolder, stage: Path, name: str, options: HeadOptions, progress: Progress
) -> None:
    """Write the model of `source` as a SPLADE model into `stage`, laid out as sentence-transformers
    lays a SparseEncoder out.

    Where its checkpoint holds the masked-language-model head that its backbone was trained with,
    that is kept as it is; else the head begins as `start_splade` says, with the word embeddings for
    a decoder. Raises ModelError for a backbone whose head is not known.
    """
    options.refuse("splade", "dim")
    whole, missing = _masked_language_model(source)
    transform, decoder = language_head(whole)
    tokeniser = tokeniser_of(source)
    usable = usable_terms(tokeniser, len(decoder.weight))
    if missing:
        # by the dense model: the masked-language model's own head is still random here
        own, states = states_alone(TextModel(source), usable, progress)
        start_splade(Splade(transform, decoder), states, own, torch.from_numpy(usable))
    kept = source.contract
    contract = Contract(
        name,
        len(decoder.weight),
        kept.max_tokens,
        pooling="max",
        normalise=False,
        similarity="dot",
        prompts=kept.prompts,
        kind=Splade.kind,
        templates=kept.templates,
        terms=kept.terms,
        max_terms=options.max_terms,
    )
    document = stage
    if options.inference_free:
        document = stage / DOCUMENT_FOLDER
        weights = rarity(tokeniser, options.texts, usable)
        _write_queries(source, stage / QUERY_FOLDER, tokeniser, weights)
    copy_tokeniser(source.transformer, document)
    write_backbone(whole, document)
    write_sparse(source, contract, stage, inference_free=options.inference_free)


def _write_queries(
    source: ModelFolder, folder: Path, tokeniser: Tokeniser, weights: Floats
) -> None:
    """The table that queries are looked up in. Raises ModelError where it would not have a weight
    for each token of the tokeniser.
    """
    if tokeniser.size != len(weights):
        said = f"the tokeniser has {tokeniser.size:,} tokens and the vocabulary {len(weights):,}"
        raise ModelError(
            f"{source.path}: {said}; queries that are looked up want one weight per token"
        )
    copy_tokeniser(source.transformer, folder)
    write_json(folder / "config.json", {"frozen": False})
    write_tensors(folder / "model.safetensors", {"weight": torch.from_numpy(weights)})


def _masked_language_model(source: ModelFolder) -> tuple[Any, list[str]]:
    """transformers' model for masked language modelling, and the names of its head's weights that
    the checkpoint lacks.
    """
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.from_pretrained(source.transformer, local_files_only=True)
    if config.model_type not in LANGUAGE_HEADS:
        raise ModelError(
            f"{source.path}: its architecture {config.model_type} has no masked-language-model "
            "head that is known; known are those of "
            f"{', '.join(LANGUAGE_HEADS)}"
        )
    opened, missing = _opened(AutoModelForMaskedLM, source, config)
    if missing:
        # the head is to be made: with the word embeddings for a decoder, and biases to be set
        config.tie_word_embeddings = True
        # ModernBERT's transform has none, and begins with one
        if hasattr(config, "classifier_bias"):
            config.classifier_bias = True
        opened, missing = _opened(AutoModelForMaskedLM, source, config)
    lacking = [key for key in missing if key.startswith(opened.base_model_prefix + ".")]
    if lacking:
        raise ModelError(
            f"{source.path}: the weights do not fit the architecture "
            f"{config.model_type}: missing: {', '.join(lacking[:3])}"
        )
    return opened.eval(), missing


def _opened(auto: Any, source: ModelFolder, config: Any) -> tuple[Any, list[str]]:
    # what the checkpoint lacks is drawn at random, and replaced afterwards
    with quiet(), torch.random.fork_rng(devices=[]):
        opened, report = from_files(auto, source.transformer, config=config)
    return opened, sorted(report["missing_keys"])
