"""A changed model as a model folder that sentence-transformers opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.formats.model_folder import ModelFolder, contract_json
from nearfield.formats.modules import read_modules, write_modules
from nearfield.formats.pooled_folder import pooling_json
from nearfield.formats.router import routed_folders
from nearfield.formats.transformer_settings import settings_of
from nearfield.models.backbones.backbone import write_backbone
from nearfield.models.lora.attached import NONE
from nearfield.models.model import TextModel
from nearfield.models.saving import WRITERS
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_optional
from nearfield.store.regular import copy_regular
from nearfield.store.tensors import write_tensors
from nearfield.types.contract import Contract

# they say how a folder was made, which does not hold of a changed model
MADE = ("head.json", "distil.json", "algebra.json")
# weights, in any tool's format: the old ones must not lie beside the new
_LEFT_BEHIND = (".safetensors", ".bin", ".onnx", ".h5", ".msgpack", ".ot", ".gguf", ".index.json")
_NOT_CONFIG = ("README.md", ".gitattributes", "nearfield.json", *MADE)


def save_encoder(
    model: TextModel, path: str | Path, *, name: str, matryoshka_dims: tuple[int, ...] = ()
) -> None:
    """Write `model` with its weights as they stand: the files of the folder it came from, new
    weights, `nearfield.json`.

    sentence-transformers reads the whole contract from its own files there, also what only
    nearfield.json stated before. Weights that the original folder left out (a pooler that nothing
    reads) are left out again. An adapter that all sequences go through is merged into them,
    adapters of roles stay beside them. Whole or not at all. Raises StorageError when writing fails.
    """
    contract = replace(
        model.contract, name=name, matryoshka_dims=matryoshka_dims or model.contract.matryoshka_dims
    )
    # a static model's head is a dense one, and its folder is of two other libraries
    layout = "static" if model.folder.static else model.head.layout
    with staged_folder(path) as stage:
        WRITERS[layout](model, contract, stage)
        write_json(stage / "nearfield.json", contract_json(contract) | _save_adapters(model, stage))


def write_pooled(model: TextModel, contract: Contract, stage: Path) -> None:
    """The folder's own files, with modules where it named none."""
    copy_folders(model.folder.path, stage)
    if not read_modules(model.folder.path):
        _write_modules(model, stage)
    state(contract, model.folder, stage)
    write_parts(model, stage)


def copy_folders(source: Path, stage: Path) -> None:
    """Copy what `copy_files` does, of a model's folder and those of all its modules."""
    modules = [module.folder for module in read_modules(source)]
    for folder in {source, *modules, *routed_folders(source)}:
        copy_files(folder, stage / folder.relative_to(source))


def copy_files(source: Path, to: Path) -> None:
    """Copy what lies in `source` itself and is neither weights nor a description: what a changed
    model keeps of the one it came from.
    """
    to.mkdir(parents=True, exist_ok=True)  # 2_Normalize may hold no file
    for file in source.glob("[!.]*"):
        if file.is_file() and file.name not in _NOT_CONFIG and not file.name.endswith(_LEFT_BEHIND):
            copy_regular(file, to / file.name)


def write_weights(model: TextModel, folder: Path) -> None:
    """Write the backbone's config and weights to `folder`. Raises StorageError."""
    weights = {
        name: weight.detach()
        for name, weight in model.whole.state_dict().items()
        if name not in model.unread
    }
    if model.adapters is not None and model.adapters.shared != NONE:
        weights = model.adapters.merged(weights, model.adapters.shared)
    write_backbone(model.whole, folder, weights=weights)


def write_parts(model: TextModel, stage: Path) -> None:
    """Write the weights of backbone and head where the model's folder has them."""
    source = model.folder
    write_weights(model, stage / source.transformer.relative_to(source.path))
    folders = [stage / folder.relative_to(source.path) for folder in source.projections]
    model.head.save(stage, folders)
    if model.queries is not None and source.queries is not None:
        folder = stage / source.queries.folder.relative_to(source.path)
        # weights that it named in a file of their own are here now
        write_json(folder / "config.json", {"frozen": source.queries.frozen})
        write_tensors(folder / "model.safetensors", {"weight": model.queries.weight.detach().cpu()})


def _save_adapters(model: TextModel, stage: Path) -> dict[str, Any]:
    """Write the adapters of roles into their folders, and give what nearfield.json says of them."""
    # a shared one is merged into the weights
    if model.adapters is None or model.adapters.shared != NONE:
        return {}
    source = model.folder
    for place, adapter in zip(source.adapter_folders, model.adapters.adapters, strict=True):
        adapter.save(stage / place.relative_to(source.path))
    places = source.adapters.items()
    return {"adapters": {role: at.relative_to(source.path).as_posix() for role, at in places}}


def _write_modules(model: TextModel, stage: Path) -> None:
    """The modules of a folder that named none: transformer, pooling, and normalisation where the
    contract asks for it.
    """
    modules = [("", "models.Transformer"), ("1_Pooling", "models.Pooling")]
    if model.contract.normalise:
        modules.append(("2_Normalize", "models.Normalize"))
    write_modules(stage, modules)
    # without a Dense module, a vector has as many dimensions as a state
    pooling = pooling_json(model.contract, model.contract.dim)
    write_json(stage / "1_Pooling" / "config.json", pooling)


def state(contract: Contract, source: ModelFolder, stage: Path) -> None:
    """Put the contract's length, prompts and similarity where sentence-transformers reads them,
    beside what stood there.
    """
    # stated here under today's name of the file, whichever of the older ones held it
    limits = {"do_lower_case": False} | dict(settings_of(source.transformer))
    limits["max_seq_length"] = contract.max_tokens
    transformer = stage / source.transformer.relative_to(source.path)
    write_json(transformer / "sentence_bert_config.json", limits)
    file = stage / "config_sentence_transformers.json"
    stated = dict(read_optional(file))
    stated["prompts"] = dict(contract.prompts)
    stated["similarity_fn_name"] = contract.similarity
    if contract.max_terms:
        stated["max_active_dims"] = contract.max_terms
    write_json(file, stated)
