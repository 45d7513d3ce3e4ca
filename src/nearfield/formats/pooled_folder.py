"""A transformer whose token states are pooled to one vector, as sentence-transformers writes it, or
transformers alone; with the two other heads beside it where it makes three kinds, as BGE-M3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ContractError, ModelError, nearest
from nearfield.formats.honoured import LEGACY_POOLING, POOLING, refuse_unhonoured
from nearfield.formats.layout import Files, Layout
from nearfield.formats.lora_folder import role_adapters
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.stated import whole_contract
from nearfield.formats.torch_file import read_torch_file
from nearfield.formats.transformer_settings import dim_of, max_tokens_of, read_settings
from nearfield.store.fields import read_fields
from nearfield.types.arrays import Floats
from nearfield.types.contract import POOLINGS, Contract

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize")
_POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "weightedmean": "weighted",
    "lasttoken": "last",
}
TOKEN_HEADS = {"multi-vector": "colbert_linear.pt", "sparse": "sparse_linear.pt"}
"""The files beside a dense model that make three heads of it, named as BGE-M3's: a linear layer
each, as torch saves its weights.
"""


@dataclass(frozen=True)
class Pooled(Layout):
    """Modules: Transformer, Pooling, then Dense and Normalize where used; or none of them, and
    nearfield.json states the pooling. `name` is the layout's, `kind` that of the embeddings.
    """

    name: str = "pooled"
    kind: str = Contract.kind
    head: str = "dense"

    def recognises(self, files: Files) -> bool:
        """See Layout: with one head alone whatever no other layout has recognised."""
        return self is LAYOUT or _has_token_heads(files)

    def read(self, files: Files) -> ModelFolder:
        """See Layout."""
        files.refuse_modules(
            _KINDS,
            f"{', '.join(_KINDS[:2])}, then Dense and Normalize where used; or Transformer and "
            "SpladePooling",
            fit=_fit(files.kinds),
        )
        limits = read_settings(files.transformer, "dense")
        projections = files.folders("Dense")
        facts: dict[str, Any] = {
            "kind": self.kind,
            **_pooling(files),
            "normalise": files.normalises(default=True),
            "max_tokens": max_tokens_of(files.transformer, files.config, limits, files.stated),
            "dim": dim_of(projections, files.config),
        }
        adapters = role_adapters(files.path)
        contract = whole_contract(
            facts, files.stated, files.own, similarity="cosine", roles=adapters
        )
        return ModelFolder(
            files.path,
            self.name,
            contract,
            files.transformer,
            tuple(projections),
            limits.flag("do_lower_case", False),
            adapters=adapters,
            code=files.code(),
        )


LAYOUT = Pooled()
THREE = Pooled("three", kind="several", head="three")


def _fit(kinds: list[str]) -> bool:
    """Whether modules of these kinds are one model: none, or those of `_KINDS` in their order, of
    which Dense alone may come more than once, and with Normalize may be missing.
    """
    if not kinds:
        return True
    known = [kind for kind in kinds if kind in _KINDS]
    in_order = known == sorted(known, key=_KINDS.index)
    pooled_once = kinds.count("Transformer") == kinds.count("Pooling") == 1
    return in_order and pooled_once and kinds.count("Normalize") <= 1


def _has_token_heads(files: Files) -> bool:
    """Whether the two other heads lie beside the dense one; nearfield.json may ask for that
    alone.
    """
    found = [file for file in TOKEN_HEADS.values() if (files.path / file).exists()]
    if len(found) == 1:
        raise ModelError(
            f"{files.path}: holds {found[0]} and not the other of "
            f"{' and '.join(TOKEN_HEADS.values())}; wanted both or neither"
        )
    return bool(found) and files.stated.get("kind") != Contract.kind


def _pooling(files: Files) -> dict[str, Any]:
    """Pooling and include_prompt, by the Pooling module or by nearfield.json."""
    stated = files.stated
    if files.modules:
        return _module_pooling(files.folders("Pooling")[0])
    if "pooling" not in stated:
        sparse = ""
        classes = files.config.texts("architectures", [])
        if any(name.endswith("ForMaskedLM") for name in classes):
            sparse = '; for a SPLADE model {"contract": {"kind": "sparse"}}'
        raise ContractError(
            f"{files.path}: nothing says how token states are pooled (no modules.json); state it "
            f"in {files.path / 'nearfield.json'}: "
            f'{{"contract": {{"pooling": "mean"}}}}, one of {", ".join(POOLINGS)}{sparse}'
        )
    if stated["pooling"] not in POOLINGS:
        known = f"wanted one of {', '.join(POOLINGS)}.{nearest(stated['pooling'], POOLINGS)}"
        raise ContractError(
            f"{files.path / 'nearfield.json'}: pooling is {stated['pooling']!r}; {known}"
        )
    return {"pooling": stated["pooling"], "include_prompt": stated.get("include_prompt", True)}


def _module_pooling(folder: Path) -> dict[str, Any]:
    facts = read_fields(folder / "config.json")
    refuse_unhonoured(facts, POOLING)
    stated = facts.get("pooling_mode")
    if stated is None:
        modes = [name for key, name in LEGACY_POOLING.items() if facts.flag(key, False)]
        modes = modes or ["mean"]  # as in sentence-transformers, where nothing is said
    elif isinstance(stated, list):
        modes = facts.texts("pooling_mode")
    else:
        modes = [facts.text("pooling_mode")]
    if len(modes) != 1 or modes[0] not in _POOLING_NAMES:
        raise ModelError(
            f"{folder / 'config.json'}: pooling {' + '.join(modes)} is not "
            f"supported; wanted {', '.join(_POOLING_NAMES)}"
        )
    return {
        "pooling": _POOLING_NAMES[modes[0]],
        "include_prompt": facts.flag("include_prompt", True),
    }


def pooling_json(contract: Contract, hidden: int) -> dict[str, Any]:
    """What the config.json of a sentence-transformers pooling over states of `hidden` dimensions
    holds.
    """
    theirs = {ours: name for name, ours in _POOLING_NAMES.items()}
    return {
        "embedding_dimension": hidden,
        "pooling_mode": theirs[contract.pooling],
        "include_prompt": contract.include_prompt,
    }


def read_token_head(
    file: Path, hidden: int, *, outputs: int | None = None
) -> tuple[Floats, Floats | None]:
    """Weight (out, hidden) and bias (out,) of the layer in `file`; no bias where it has none.

    Raises ModelError where the file is damaged or its layer does not take states of `hidden`
    dimensions, or gives another number of `outputs` than is asked for.
    """
    weights = read_torch_file(file)
    weight = weights.get("weight")
    shapes = {name: value.shape for name, value in weights.items()}
    fits = False
    if weight is not None and weight.ndim == 2:
        wanted = {"weight": (outputs or len(weight), hidden), "bias": weight.shape[:1]}
        fits = shapes.items() <= wanted.items()  # a layer without a bias is one as well
    if weight is None or not fits:
        raise ModelError(
            f"{file}: is not a linear layer over states of {hidden} dimensions: it holds {shapes}; "
            f"wanted a weight ({outputs or 'any'}, {hidden}) and a bias of as many numbers"
        )
    if not all(np.isfinite(values).all() for values in weights.values()):
        raise ModelError(
            f"{file}: holds NaN or infinite values; the file is damaged or its training failed"
        )
    return weight, weights.get("bias")
