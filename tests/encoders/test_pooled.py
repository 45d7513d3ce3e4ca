from __future__ import annotations

import numpy as np
import pytest

from counting import Counting, CountingTokens
from nearfield.encoders.pooled import PooledTokens
from nearfield.errors import ContractError

TEXTS = ["abc def ghi", "", "one two three four"]


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_documents_are_pooled_and_queries_are_not() -> None:
    encoder = PooledTokens(CountingTokens(), 3)
    whole = CountingTokens().encode(TEXTS, "document")
    pooled = encoder.encode(TEXTS, "document")
    np.testing.assert_array_equal(pooled.tokens.vectors, whole.pool(3).tokens.vectors)
    np.testing.assert_array_equal(pooled.lengths, [4, 0, 6])
    asked = encoder.encode(TEXTS, "query")
    np.testing.assert_array_equal(
        asked.tokens.vectors, CountingTokens().encode(TEXTS, "query").tokens.vectors
    )
    assert encoder.contract == CountingTokens().contract


def test_what_has_no_tokens_is_refused() -> None:
    with pytest.raises(
        ContractError, match="counting makes dense embeddings, which have no tokens to pool"
    ):
        PooledTokens(Counting(), 2)
    with pytest.raises(ContractError, match="merge every 0 tokens into one"):
        PooledTokens(CountingTokens(), 0)
