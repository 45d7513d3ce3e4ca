"""Choose, tune and prove embedding models on your own data, and search with them.

Each public name is imported from its module when it is first used, so that `import nearfield` costs
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfield.catalog.fetch import fetch as fetch
    from nearfield.data.collection import Collection as Collection
    from nearfield.data.open import open_collection as open_collection
    from nearfield.data.open import open_pairs as open_pairs
    from nearfield.data.pairs import Pairs as Pairs
    from nearfield.encoders.encoder import Encoder as Encoder
    from nearfield.encoders.load import load_encoder as load_encoder
    from nearfield.encoders.reranker import Reranker as Reranker
    from nearfield.errors import NearfieldError as NearfieldError
    from nearfield.errors import NearfieldWarning as NearfieldWarning
    from nearfield.evaluate.compare import compare as compare
    from nearfield.evaluate.systems import bm25_system as bm25_system
    from nearfield.evaluate.systems import fused_system as fused_system
    from nearfield.evaluate.systems import model_systems as model_systems
    from nearfield.similarity.dense import Dense as Dense
    from nearfield.train.recipe import Recipe as Recipe
    from nearfield.train.runs.tune import tune as tune
    from nearfield.types.comparison import Comparison as Comparison
    from nearfield.types.contract import Contract as Contract
    from nearfield.types.ranking import Ranking as Ranking
    from nearfield.types.verdict import Verdict as Verdict

__version__ = "0.1.0"

_HOMES = {
    "Collection": "nearfield.data.collection",
    "Comparison": "nearfield.types.comparison",
    "Contract": "nearfield.types.contract",
    "Dense": "nearfield.similarity.dense",
    "Encoder": "nearfield.encoders.encoder",
    "NearfieldError": "nearfield.errors",
    "NearfieldWarning": "nearfield.errors",
    "Pairs": "nearfield.data.pairs",
    "Ranking": "nearfield.types.ranking",
    "Recipe": "nearfield.train.recipe",
    "Reranker": "nearfield.encoders.reranker",
    "Verdict": "nearfield.types.verdict",
    "bm25_system": "nearfield.evaluate.systems",
    "compare": "nearfield.evaluate.compare",
    "fetch": "nearfield.catalog.fetch",
    "fused_system": "nearfield.evaluate.systems",
    "load_encoder": "nearfield.encoders.load",
    "model_systems": "nearfield.evaluate.systems",
    "open_collection": "nearfield.data.open",
    "open_pairs": "nearfield.data.open",
    "tune": "nearfield.train.runs.tune",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'nearfield' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}"
        )
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
