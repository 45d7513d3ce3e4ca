"""A sparse model whose queries are looked up: sentence-transformers' Router with a table of weights
on the query's side.

modules.json then names one Router; router_config.json beside it says which modules each side goes
through, and each lies in a folder called as it is there ("" for the Router's own).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfield.errors import InputError, ModelError
from nearfield.formats.modules import Module, read_modules, write_modules
from nearfield.formats.remote_code import OWN_TYPES
from nearfield.formats.tokenizer_file import tokenizer_of
from nearfield.formats.weights import Weights
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_fields, read_optional
from nearfield.store.inside import inside
from nearfield.types.arrays import Floats

ROUTER = "Router"
CONFIG = "router_config.json"
_TABLE = "SparseStaticEmbedding"
_ROUTES = {"query": [_TABLE], "document": ["Transformer", "SpladePooling"]}
_TYPES = {
    "query_0_SparseStaticEmbedding": "sparse_encoder.modules."
    "sparse_static_embedding.SparseStaticEmbedding",
    "document_0_Transformer": "base.modules.transformer.Transformer",
    "document_1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling",
}
QUERY_FOLDER, DOCUMENT_FOLDER, POOLING_FOLDER = _TYPES
_UNLIMITED = 1_000_000  # tokens: what looks them up has no last position


@dataclass(frozen=True)
class LookedUp:
    """The folder of the table that queries are looked up in, how many of a query's tokens are read,
    and whether training leaves the table as it is.
    """

    folder: Path
    max_tokens: int
    frozen: bool


@dataclass(frozen=True)
class _Routes:
    """What the config of a Router says: the modules of each side, in order, and those of all."""

    file: Path
    sides: Mapping[str, list[Module]]
    modules: list[Module]


def routed(modules: list[Module]) -> list[Module]:
    """The modules that documents go through: those of a Router among `modules`, else `modules`
    themselves.

    Raises ModelError for a Router of any other shape than a table for queries and a SPLADE model
    for documents.
    """
    found = _routes(modules)
    if found is None:
        return modules
    kinds = {}
    for side, own in found.sides.items():
        kinds[side] = [module.kind for module in own]
    if kinds != _ROUTES:
        got = "; ".join(f"{side}: {', '.join(names)}" for side, names in kinds.items())
        raise ModelError(
            f"{found.file}: routes are {got}; only query: {_TABLE} with document: "
            "Transformer, SpladePooling is run"
        )
    return found.sides["document"]


def looked_up(path: Path) -> LookedUp | None:
    """The table of the queries of the folder at `path`, None where they go through the transformer
    as documents do.
    """
    found = _routes(read_modules(path))
    if found is None:
        return None
    # `routed`, which a layout calls first, has refused every other shape
    folder = found.sides["query"][0].folder
    config = read_optional(folder / "config.json")
    tokens = read_optional(folder / "tokenizer_config.json")
    limit = int(tokens.number("model_max_length", 0))
    if not 1 <= limit < _UNLIMITED:
        limit = _UNLIMITED
    return LookedUp(folder, limit, config.flag("frozen", False))


def routed_folders(path: Path) -> list[Path]:
    """The folders of the Router's modules under `path`, none where there is no Router."""
    found = _routes(read_modules(path))
    if found is None:
        return []
    return [module.folder for module in found.modules]


def read_term_weights(table: LookedUp, size: int) -> Floats:
    """The weight of each of `size` terms: (size,). Raises ModelError where there are not so many or
    some are not finite.
    """
    folder = table.folder
    config = read_optional(folder / "config.json")
    stated = config.text("path", "")
    if stated.endswith(".json"):
        weights = _stated_by_token(folder, inside(folder, stated, path=config.path))
    else:
        weights = Weights(folder).float32("weight")
    if weights.shape != (size,):
        raise ModelError(
            f"{folder}: holds weights of shape {weights.shape}; wanted ({size},), "
            "one a term of the documents' vocabulary"
        )
    if not np.isfinite(weights).all():
        raise ModelError(
            f"{folder}: some weights are NaN or infinite; the file is damaged or its "
            "training failed"
        )
    return weights


def write_router(stage: Path) -> None:
    """What says, in a folder that `QUERY_FOLDER`, `DOCUMENT_FOLDER` and `POOLING_FOLDER` lie in,
    which side goes through which.
    """
    write_modules(stage, [("", f"base.modules.router.{ROUTER}")])
    structure = {"query": [QUERY_FOLDER], "document": [DOCUMENT_FOLDER, POOLING_FOLDER]}
    types = {name: f"sentence_transformers.{kind}" for name, kind in _TYPES.items()}
    parameters = {"default_route": "document", "allow_empty_key": True}
    write_json(stage / CONFIG, {"types": types, "structure": structure, "parameters": parameters})


def _routes(modules: list[Module]) -> _Routes | None:
    """What the config of the Router that `modules` consist of says, None where they are others."""
    if len(modules) != 1 or modules[0].kind != ROUTER:
        return None
    root = modules[0].folder
    file = root / CONFIG
    if not file.exists() and (root / "config.json").exists():  # as older versions call it
        file = root / "config.json"
    config = read_fields(file)
    types = config.object("types")
    structure = config.object("structure")
    known = {name: Module(types.text(name), inside(root, name, path=file)) for name in types}
    sides = {}
    named = []
    for side in structure:
        names = structure.texts(side)
        sides[side] = [known[name] for name in names if name in known]
        named += names
    if not named or not known.keys() >= set(named):
        raise InputError(
            "names no modules for its routes; wanted structure and types, as "
            "sentence-transformers writes them",
            path=file,
        )
    foreign = [module.type for module in known.values() if not module.type.startswith(OWN_TYPES)]
    if foreign:
        raise ModelError(
            f"{file}: types has {foreign[0]}, which is not a module of "
            "sentence-transformers, and is not run here"
        )
    return _Routes(file, sides, list(known.values()))


def _stated_by_token(folder: Path, file: Path) -> Floats:
    """Weights that a JSON file gives by token, as (vocabulary,); tokens that it leaves out weigh
    nothing.
    """
    known = tokenizer_of(folder / "tokenizer.json").get_vocab()
    weights = np.zeros(len(known), np.float32)
    stated = read_fields(file)
    for token in stated:
        # one that the vocabulary lacks is in no query
        if token in known:
            weights[known[token]] = stated.number(token)
    return weights
