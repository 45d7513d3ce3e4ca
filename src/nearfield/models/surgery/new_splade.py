"""A SPLADE head on the transformer of a dense model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError

from nearfield.batch.packed import Packed
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError, StorageError
from nearfield.formats.model_folder import ModelFolder, contract_json
from nearfield.formats.router import DOCUMENT_FOLDER, POOLING_FOLDER, QUERY_FOLDER, write_router
from nearfield.formats.transformer_settings import processor_arguments, settings_of
from nearfield.models.backbones.backbone import quiet
from nearfield.models.backbones.language_heads import LANGUAGE_HEADS, language_head
from nearfield.models.heads.splade import Splade
from nearfield.models.heads.splade_start import start_splade
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import HeadOptions
from nearfield.models.surgery.query_weights import rarity
from nearfield.store.atomic import write_json
from nearfield.store.tensors import write_tensors
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress

TOKENS = 8192  # looked at to begin with: many times the dimensions of any backbone
_TOGETHER = 512  # tokens run at once
_UNUSED = re.compile(r"[\[<]/?unused_?\d+[\]>]")
TOKENISER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


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
    tokeniser = Tokeniser.open(
        source.transformer, max_tokens=source.contract.max_tokens, lower_case=source.lower_case
    )
    usable = usable_terms(tokeniser, len(decoder.weight))
    if missing:
        own, states = token_states(TextModel(source), tokeniser, usable, progress)
        start_splade(Splade(transform, decoder), states, own, torch.from_numpy(usable))
    contract = replace(
        Contract(
            name,
            len(decoder.weight),
            source.contract.max_tokens,
            pooling="max",
            normalise=False,
            similarity="dot",
            kind="sparse",
        ),
        prompts=source.contract.prompts,
        templates=source.contract.templates,
        terms=source.contract.terms,
        max_terms=options.max_terms,
    )
    document = stage
    if options.inference_free:
        document = stage / DOCUMENT_FOLDER
        _write_queries(
            source, stage / QUERY_FOLDER, tokeniser, rarity(tokeniser, options.texts, usable)
        )
    copy_tokeniser(source.transformer, document)
    try:
        with quiet():
            whole.save_pretrained(document)
    except SafetensorError as error:
        raise StorageError(f"{stage}: the weights could not be written: {error}") from error
    write_modules(source, contract, stage, inference_free=options.inference_free)


def _write_queries(
    source: ModelFolder, folder: Path, tokeniser: Tokeniser, weights: npt.NDArray[np.float32]
) -> None:
    """The table that queries are looked up in. Raises ModelError where it would not have a weight
    for each token of the tokeniser.
    """
    if tokeniser.size != len(weights):
        said = f"the tokeniser has {tokeniser.size:,} tokens and the vocabulary {len(weights):,}"
        raise ModelError(
            f"{source.path}: {said}; queries that are looked up want one weight a token"
        )
    copy_tokeniser(source.transformer, folder)
    write_json(folder / "config.json", {"frozen": False})
    write_tensors(folder / "model.safetensors", {"weight": torch.from_numpy(weights)})


def copy_tokeniser(source: Path, to: Path) -> None:
    """Copy the files that make the tokeniser in `source`."""
    to.mkdir(exist_ok=True)
    for file in TOKENISER_FILES:
        if (source / file).exists():
            shutil.copyfile(source / file, to / file)


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
    # what the checkpoint lacks is drawn, and replaced below
    with quiet(), torch.random.fork_rng(devices=[]):
        opened, report = auto.from_pretrained(
            source.transformer,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
    return opened, sorted(report["missing_keys"])


def usable_terms(tokeniser: Tokeniser, size: int) -> npt.NDArray[np.bool_]:
    """(size,) bool: True at tokens that stand for text: no special ones, none that a vocabulary
    keeps for later.
    """
    usable = np.zeros(size, bool)
    special = tokeniser.special_ids
    for token, at in tokeniser.vocabulary.items():
        usable[at] = at not in special and not _UNUSED.fullmatch(token)
    return usable


def token_states(
    model: TextModel, tokeniser: Tokeniser, usable: npt.NDArray[np.bool_], progress: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to `TOKENS` of the usable tokens, spread over the vocabulary, and the state (n, hidden) of
    each as a text of its own.
    """
    (terms,) = np.nonzero(usable)
    own = terms[np.unique(np.linspace(0, len(terms) - 1, min(TOKENS, len(terms))).astype(np.int64))]
    before, after = tokeniser.around()
    parts = []
    with torch.inference_mode():
        for batch in _alone(own, before, after):
            states = model.states(batch).view(len(batch), -1, model.backbone.config.hidden_size)
            parts.append(states[:, len(before)])
            progress(int(batch.items[-1]) + 1, len(own))
    return torch.from_numpy(own), torch.cat(parts)


def _alone(own: npt.NDArray[np.int64], before: list[int], after: list[int]) -> Iterator[Packed]:
    for start in range(0, len(own), _TOGETHER):
        part = own[start : start + _TOGETHER]
        rows = np.concatenate(
            [np.tile(before, (len(part), 1)), part[:, None], np.tile(after, (len(part), 1))], axis=1
        ).astype(np.int32)
        yield Packed(
            rows.ravel(),
            np.arange(len(part) + 1) * rows.shape[1],
            np.arange(start, start + len(part)),
        )


def write_modules(
    source: ModelFolder, contract: Contract, stage: Path, *, inference_free: bool = False
) -> None:
    """What says how the folder's parts make a sparse model, to sentence-transformers and to us."""
    document, pooler = (
        ("", "1_SpladePooling") if not inference_free else (DOCUMENT_FOLDER, POOLING_FOLDER)
    )
    if inference_free:
        write_router(stage)
    else:
        kinds = {
            document: "base.modules.transformer.Transformer",
            pooler: "sparse_encoder.modules.splade_pooling.SpladePooling",
        }
        rows = [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.{kind}"}
            for at, (path, kind) in enumerate(kinds.items())
        ]
        write_json(stage / "modules.json", rows)
    (stage / pooler).mkdir()
    pooling = {
        "pooling_strategy": contract.pooling,
        "activation_function": "relu",
        "embedding_dimension": contract.dim,
    }
    write_json(stage / pooler / "config.json", pooling)
    output = {"text": {"method": "forward", "method_output_name": "logits"}}
    limits: dict[str, Any] = {
        "transformer_task": "fill-mask",
        "modality_config": output,
        "module_output_name": "token_embeddings",
    }
    limits |= {
        "max_seq_length": contract.max_tokens,
        "do_lower_case": settings_of(source.transformer).flag("do_lower_case", False),
    }
    given = processor_arguments(source.transformer)
    limits |= {"processor_kwargs": given} if given else {}
    write_json(stage / document / "sentence_bert_config.json", limits)
    stated: dict[str, Any] = {
        "model_type": "SparseEncoder",
        "prompts": dict(contract.prompts),
        "default_prompt_name": None,
    }
    stated |= {"max_active_dims": contract.max_terms} if contract.max_terms else {}
    write_json(
        stage / "config_sentence_transformers.json",
        stated | {"similarity_fn_name": contract.similarity},
    )
    write_json(stage / "nearfield.json", contract_json(contract))
