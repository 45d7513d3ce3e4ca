"""A cross-encoder as a folder that sentence-transformers opens: a changed one, or a new one on an
encoder's backbone.
"""

from __future__ import annotations

from pathlib import Path

import torch

from nearfield.data.trained_on import keep_trained_on
from nearfield.errors import ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.modules import read_modules, write_modules
from nearfield.formats.remote_code import TASKS
from nearfield.formats.reranker_folder import CLASSIFIER, reranker_json
from nearfield.formats.transformer_settings import processor_arguments
from nearfield.models.backbones.backbone import from_files, quiet, write_backbone
from nearfield.models.backbones.classifiers import CLASSIFIERS
from nearfield.models.pair_model import PairModel
from nearfield.models.saving.save import copy_files, copy_folders
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_fields, read_optional
from nearfield.store.foreign import foreign

_FUNCTIONS = {
    "identity": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
}


def save_reranker(model: PairModel, path: str | Path, *, name: str) -> None:
    """Write `model` with its weights as they stand: the files of the folder it came from, new
    weights, `nearfield.json`.

    Whole or not at all. Raises StorageError when writing fails.
    """
    source = model.folder
    with staged_folder(path) as stage:
        copy_folders(source.path, stage)
        place = stage / source.transformer.relative_to(source.path)
        if not read_modules(source.path) and source.task == CLASSIFIER:
            _state(stage, source.max_tokens, activation=source.activation, prompt=source.prompt)
            _keep_arguments(source.transformer, stage)
        write_backbone(model.whole, place)
        write_json(stage / "nearfield.json", reranker_json(name, source.max_tokens))


def new_reranker(
    encoder: str | Path,
    path: str | Path,
    *,
    name: str,
    max_tokens: int | None = None,
    seed: int = 0,
) -> None:
    """Write a cross-encoder whose backbone is that of the model folder `encoder` and whose head is
    random, to be trained.

    It reads as many tokens as the encoder's files allow, or `max_tokens`, and its scores are
    logits. Raises ModelError for an architecture whose cross-encoder is not known, StorageError
    when writing fails.
    """
    source = read_model_folder(encoder)
    config_json = read_optional(source.transformer / "config.json")
    if source.static or config_json.get("model_type") not in CLASSIFIERS:
        raise ModelError(
            f"{encoder}: its architecture makes no cross-encoder; known are "
            f"{', '.join(CLASSIFIERS)}"
        )
    import transformers
    from transformers import AutoConfig

    with quiet(), torch.random.fork_rng(devices=[]):  # the weights are drawn on the processor
        # transformers draws from the global generator alone; the fork leaves that as it was
        torch.random.manual_seed(seed)
        with foreign(Path(encoder), "the weights could not be read"):
            config = AutoConfig.from_pretrained(
                source.transformer, num_labels=1, local_files_only=True
            )
            auto = getattr(transformers, TASKS[CLASSIFIER])
            whole, report = from_files(auto, source.transformer, config=config)
    base = f"{whole.base_model_prefix}."
    # the classifier and the pooler are random where the encoder has none
    missing = [name for name in report["missing_keys"] if name.startswith(base)]
    missing = [name for name in missing if not name.startswith(f"{base}pooler.")]
    if missing or report["mismatched_keys"]:
        raise ModelError(
            f"{encoder}: the weights do not fit the architecture: missing: "
            f"{', '.join(missing[:3]) or report['mismatched_keys']}"
        )
    limit = min(max_tokens or source.contract.max_tokens, source.contract.max_tokens)
    with staged_folder(path) as stage:
        copy_files(source.transformer, stage)
        # they say that the folder is an encoder's
        for file in (
            "modules.json",
            "config_sentence_transformers.json",
            "sentence_bert_config.json",
        ):
            (stage / file).unlink(missing_ok=True)
        _state(stage, limit, activation="identity", lower_case=source.lower_case)
        _keep_arguments(source.transformer, stage)
        write_backbone(whole, stage)
        keep_trained_on([source.path], stage)
        write_json(stage / "nearfield.json", reranker_json(name, limit))


def _state(
    stage: Path, max_tokens: int, *, activation: str, prompt: str = "", lower_case: bool = False
) -> None:
    """What sentence-transformers reads of a cross-encoder that is one transformer in the folder
    itself.
    """
    write_modules(stage, [("", "base.modules.transformer.Transformer")])
    settings = {
        "transformer_task": CLASSIFIER,
        "max_seq_length": max_tokens,
        "do_lower_case": lower_case,
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "scores",
    }
    write_json(stage / "sentence_bert_config.json", settings)
    stated = {
        "model_type": "CrossEncoder",
        "activation_fn": _FUNCTIONS[activation],
        "prompts": {"query": prompt} if prompt else {},
        "default_prompt_name": "query" if prompt else None,
    }
    write_json(stage / "config_sentence_transformers.json", stated)


def _keep_arguments(transformer: Path, stage: Path) -> None:
    """Put into `stage` what the tokeniser of `transformer` is built with besides its own files."""
    given = processor_arguments(transformer)
    if given:
        file = stage / "sentence_bert_config.json"
        write_json(file, {**read_fields(file), "processor_kwargs": given})
