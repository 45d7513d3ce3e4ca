"""A changed encoder as a model folder that sentence-transformers opens."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from nearfield.encoders.text import TextEncoder
from nearfield.errors import StorageError
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.model_folder import contract_json

_LEFT_BEHIND = (".safetensors", ".bin", ".onnx", ".h5", ".msgpack", ".ot", ".gguf", ".index.json")
_NOT_CONFIG = ("README.md", ".gitattributes", "nearfield.json")


def save_encoder(encoder: TextEncoder, path: str | Path, *, name: str, matryoshka_dims: tuple[int, ...] = ()) -> None:
    """Write `encoder` with its weights as they stand: the files of the folder it came from, new weights, `nearfield.json`.

    Weights that the original folder left out (a pooler that nothing reads) are left out again. Whole or not at all. Raises
    StorageError when writing fails.
    """
    source = encoder.folder
    contract = replace(encoder.contract, name=name, matryoshka_dims=matryoshka_dims or encoder.contract.matryoshka_dims)
    with staged_folder(path) as stage:
        for file in sorted(source.path.rglob("*")):
            place = stage / file.relative_to(source.path)
            if file.is_file() and file.name not in _NOT_CONFIG and not file.name.endswith(_LEFT_BEHIND) and not _hidden(file, source.path):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
        for folder in (module for module in json.loads((stage / "modules.json").read_text()) if module["path"]):
            (stage / folder["path"]).mkdir(exist_ok=True)  # 2_Normalize may hold no file
        try:
            _save_weights(encoder, stage)
        except SafetensorError as error:
            raise StorageError(f"{path}: the weights could not be written: {error}") from error
        write_json(stage / "nearfield.json", contract_json(contract))


def _save_weights(encoder: TextEncoder, stage: Path) -> None:
    source = encoder.folder
    weights = {name: weight.detach() for name, weight in encoder.backbone.state_dict().items() if name not in encoder.unread}
    encoder.backbone.save_pretrained(stage / source.transformer.relative_to(source.path), state_dict=weights)
    for folder, projection in zip(source.projections, encoder.projections, strict=True):
        save_file(projection.state_dict(), stage / folder.relative_to(source.path) / "model.safetensors")


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
