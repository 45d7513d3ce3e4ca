"""Choose, tune and prove embedding models on your own data, and search with them.

    import nearfield as nf

    model = nf.load("minilm")
    vectors = model.encode(["a cat on a mat", "tax law"])
    index = nf.index(model, ["A kitten sleeps on the rug.", "Income tax is due in May."])
    hits = index.search("feline", k=1)

`compare` says which of several models is best on your data, `tune` makes one better or says that it
did not, `examine` finds what is wrong with data, `split` cuts it into train, dev and test. Data is
a path, a list of strings or dicts, a table (pandas, polars, Arrow), a Hugging Face data set, or a
`Collection`.

Each public name is imported from its module when it is first used, so that `import nearfield` costs
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfield.catalog.fetch import fetch as fetch
    from nearfield.data.collection import Collection as Collection
    from nearfield.data.new_split import split as split
    from nearfield.data.open import open_collection as open_collection
    from nearfield.data.open import open_pairs as open_pairs
    from nearfield.data.pairs import Pairs as Pairs
    from nearfield.encoders.encoder import Encoder as Encoder
    from nearfield.encoders.load import load as load
    from nearfield.encoders.reranker import Reranker as Reranker
    from nearfield.errors import NearfieldError as NearfieldError
    from nearfield.errors import NearfieldWarning as NearfieldWarning
    from nearfield.evaluate.compare import compare as compare
    from nearfield.evaluate.examine import examine as examine
    from nearfield.retrieval.searchable import index as index
    from nearfield.retrieval.searchable import open_index as open_index
    from nearfield.retrieval.searchable import search as search
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
    "compare": "nearfield.evaluate.compare",
    "examine": "nearfield.evaluate.examine",
    "fetch": "nearfield.catalog.fetch",
    "index": "nearfield.retrieval.searchable",
    "load": "nearfield.encoders.load",
    "open_collection": "nearfield.data.open",
    "open_index": "nearfield.retrieval.searchable",
    "open_pairs": "nearfield.data.open",
    "search": "nearfield.retrieval.searchable",
    "split": "nearfield.data.new_split",
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
    return sorted([*_HOMES, "__version__"])
