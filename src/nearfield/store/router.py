"""A sparse model whose queries are looked up: sentence-transformers' Router with a table of weights on the query's side.

modules.json then names one Router; router_config.json beside it says which modules each side goes through, and each lies in a folder
called as it is there ("" for the Router's own).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError, ModelError
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_json
from nearfield.store.remote_code import OWN_TYPES
from nearfield.store.weights import Weights

ROUTER, CONFIG = "Router", "router_config.json"
_ROUTERS = (ROUTER, "Asym")  # its name in older folders
_TABLE = "SparseStaticEmbedding"
_DOCUMENT = ("Transformer", "MLMTransformer"), ("SpladePooling",)
_TYPES = {
    "query_0_SparseStaticEmbedding": "sparse_encoder.modules.sparse_static_embedding.SparseStaticEmbedding",
    "document_0_Transformer": "base.modules.transformer.Transformer",
    "document_1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling",
}
QUERY_FOLDER, DOCUMENT_FOLDER, POOLING_FOLDER = _TYPES


@dataclass(frozen=True)
class LookedUp:
    """The folder of the table that queries are looked up in, how many of a query's tokens are read, and whether training leaves the
    table as it is."""

    folder: Path
    max_tokens: int
    frozen: bool


def routed(path: Path, modules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The modules that documents go through: those of a Router among `modules`, else `modules` themselves.

    Raises ModelError for a Router of any other shape than a table for queries and a SPLADE model for documents.
    """
    found = _router(path, modules)
    if found is None:
        return modules
    root, config = found
    kinds = {side: [_kind(config, name) for name in names] for side, names in config["structure"].items()}
    document = kinds.get("document", [])
    whole = len(document) == 2 and all(kind in known for kind, known in zip(document, _DOCUMENT, strict=True))
    if kinds.get("query") != [_TABLE] or not whole or set(kinds) != {"query", "document"}:
        got = "; ".join(f"{side}: {', '.join(names)}" for side, names in kinds.items())
        raise ModelError(f"{root / CONFIG}: routes are {got}; only query: {_TABLE} with document: Transformer, SpladePooling is run")
    places = [(root / name).relative_to(path).as_posix() for name in config["structure"]["document"]]
    return [
        {"idx": at, "name": str(at), "path": "" if place == "." else place, "type": kind}
        for at, (place, kind) in enumerate(zip(places, document, strict=True))
    ]


def looked_up(path: Path) -> LookedUp | None:
    """The table of the queries of the folder at `path`, None where they go through the transformer as documents do."""
    file = path / "modules.json"
    found = _router(path, read_json(file)) if file.exists() else None
    if found is None:
        return None
    folder = found[0] / found[1]["structure"]["query"][0]
    config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    tokens = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    limit = int(tokens.get("model_max_length") or 0)
    return LookedUp(folder, limit if 0 < limit < _UNLIMITED else _UNLIMITED, bool(config.get("frozen", False)))


_UNLIMITED = 1_000_000  # tokens: what looks them up has no last position


def routed_folders(path: Path) -> list[str]:
    """The folders of the Router's modules under `path`, none where there is no Router."""
    file = path / "modules.json"
    found = _router(path, read_json(file)) if file.exists() else None
    return [] if found is None else [(found[0] / name).relative_to(path).as_posix() for name in found[1]["types"]]


def read_term_weights(table: LookedUp, size: int) -> npt.NDArray[np.float32]:
    """The weight of each of `size` terms: (size,). Raises ModelError where there are not so many or some are not finite."""
    folder = table.folder
    config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    weights = (
        _stated_by_token(folder, config["path"]) if str(config.get("path", "")).endswith(".json") else Weights(folder).float32("weight")
    )
    if weights.shape != (size,):
        raise ModelError(f"{folder}: holds weights of shape {weights.shape}; wanted ({size},), one a term of the documents' vocabulary")
    if not np.isfinite(weights).all():
        raise ModelError(f"{folder}: some weights are NaN or infinite; the file is damaged or its training failed")
    return weights


def write_router(stage: Path) -> None:
    """What says, in a folder that `QUERY_FOLDER`, `DOCUMENT_FOLDER` and `POOLING_FOLDER` lie in, which side goes through which."""
    router = {"idx": 0, "name": "0", "path": "", "type": f"sentence_transformers.base.modules.router.{ROUTER}"}
    write_json(stage / "modules.json", [router])
    structure = {"query": [QUERY_FOLDER], "document": [DOCUMENT_FOLDER, POOLING_FOLDER]}
    types = {name: f"sentence_transformers.{kind}" for name, kind in _TYPES.items()}
    parameters = {"default_route": "document", "allow_empty_key": True}
    write_json(stage / CONFIG, {"types": types, "structure": structure, "parameters": parameters})


def _router(path: Path, modules: list[dict[str, Any]]) -> tuple[Path, dict[str, Any]] | None:
    """The folder and the config of the Router that `modules` consist of, None where they are others."""
    if len(modules) != 1 or str(modules[0]["type"]).rsplit(".", 1)[-1] not in _ROUTERS:
        return None
    root = path / modules[0]["path"]
    file = next((root / name for name in (CONFIG, "config.json") if (root / name).exists()), root / CONFIG)
    config: dict[str, Any] = read_json(file)
    names = {name for side in config.get("structure", {}).values() for name in side}
    if not names or not names <= set(config.get("types", {})):
        raise InputError("names no modules for its routes; wanted structure and types, as sentence-transformers writes them", path=file)
    foreign = [str(kind) for kind in config["types"].values() if not str(kind).startswith(OWN_TYPES)]
    if foreign:
        raise ModelError(f"{file}: types has {foreign[0]}, which is no module of sentence-transformers, and is not run here")
    return root, config


def _kind(config: dict[str, Any], name: str) -> str:
    return str(config["types"][name]).rsplit(".", 1)[-1]


def _stated_by_token(folder: Path, file: str) -> npt.NDArray[np.float32]:
    """Weights that a JSON file gives by token, as (vocabulary,); tokens that it leaves out weigh nothing."""
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    weights = np.zeros(len(known), np.float32)
    for token, weight in json.loads((folder / file).read_text(encoding="utf-8")).items():
        if token in known:
            weights[known[token]] = weight
    return weights
