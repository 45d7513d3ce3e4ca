"""A static model as a folder that model2vec and sentence-transformers open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.data.trained_on import keep_trained_on
from nearfield.formats.model_folder import contract_json
from nearfield.formats.static_folder import write_static_config
from nearfield.store.atomic import write_json
from nearfield.store.mapped import write_rows
from nearfield.store.regular import copy_regular
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract

if TYPE_CHECKING:
    from nearfield.models.model import TextModel


def write_static_model(model: TextModel, contract: Contract, stage: Path) -> None:
    """The table with its vectors as they stand. See Writer."""
    source = model.folder
    table: Floats = model.backbone.embeddings.detach().cpu().numpy()
    for file in ("tokenizer.json", "tokenizer_config.json", "words.arrow"):
        if (source.transformer / file).exists():
            copy_regular(source.transformer / file, stage / file)
    keep_trained_on([source.path], stage)
    made_from = model.contract.name
    write_static(stage, table, contract, made_from=made_from, drops_unknown=source.drops_unknown)


def write_static(
    stage: Path,
    table: Floats,
    contract: Contract,
    *,
    made_from: str,
    drops_unknown: bool = True,
) -> None:
    """Write all of a static folder but for its tokenizer.json: `table: (tokens, dim)` and what says
    how to use it.
    """
    # model2vec's name, by which a reader knows that tokens may be left out, or that of
    # sentence-transformers alone
    tensor = "embeddings" if drops_unknown else "embedding.weight"
    write_rows(stage / "model.safetensors", tensor, [table])
    write_static_config(stage, contract, made_from=made_from, drops_unknown=drops_unknown)
    write_json(stage / "nearfield.json", contract_json(contract))
