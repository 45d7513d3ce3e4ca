"""A SPLADE model: sentence-transformers' Transformer and SpladePooling, or a masked language model
that nearfield.json calls sparse.
"""

from __future__ import annotations

from typing import Any

from nearfield.formats.honoured import SPLADE_POOLING, refuse_unhonoured
from nearfield.formats.layout import Files, Layout
from nearfield.formats.lora_folder import role_adapters
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.router import looked_up
from nearfield.formats.stated import whole_contract
from nearfield.formats.transformer_settings import max_tokens_of, read_settings
from nearfield.store.fields import read_fields
from nearfield.types.contract import pools_terms

KIND = "sparse"
_MODULES = ("Transformer", "SpladePooling")


class SpladeLayout(Layout):
    """Modules: Transformer and SpladePooling, documents' ones of a Router too."""

    head = "splade"

    def recognises(self, files: Files) -> bool:
        """See Layout."""
        if files.modules:
            return "SpladePooling" in files.kinds
        return pools_terms(files.stated.get("kind"))

    def read(self, files: Files) -> ModelFolder:
        """See Layout."""
        wanted = " and ".join(_MODULES)
        files.refuse_modules(_MODULES, wanted, fit=files.kinds in ([], list(_MODULES)))
        limits = read_settings(files.transformer, KIND)
        # the defaults are sentence-transformers'
        pooling = files.stated.get("pooling", "max")
        activation = "relu"
        for folder in files.folders("SpladePooling"):  # at most one
            stated = read_fields(folder / "config.json")
            refuse_unhonoured(stated, SPLADE_POOLING)
            pooling = stated.text("pooling_strategy", "max")
            activation = stated.text("activation_function", "relu")
        facts: dict[str, Any] = {
            "kind": KIND,
            "pooling": pooling,
            "include_prompt": True,
            "normalise": files.normalises(default=False),
            "max_tokens": max_tokens_of(files.transformer, files.config, limits, files.stated),
            # a dimension is a term, whatever the states have
            "dim": files.config.integer("vocab_size", low=1),
            "max_terms": files.own.integer("max_active_dims", None),
        }
        adapters = role_adapters(files.path)
        contract = whole_contract(facts, files.stated, files.own, similarity="dot", roles=adapters)
        return ModelFolder(
            files.path,
            self.head,
            contract,
            files.transformer,
            lower_case=limits.flag("do_lower_case", False),
            activation=activation,
            adapters=adapters,
            queries=looked_up(files.path),
            code=files.code("fill-mask"),
        )


LAYOUT = SpladeLayout()
