from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from nearfield.batch.pairs import PairTokeniser, longest_first
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from tiny_cross import pair_tokenizer

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=5)


@settings(max_examples=60)
@given(first=TEXTS, second=TEXTS, limit=st.integers(4, 40), left=st.booleans())
def test_pairs_joined_from_texts_are_those_that_the_tokeniser_makes_of_both(
    first: list[str], second: list[str], limit: int, left: bool
) -> None:
    pairs = PairTokeniser(
        Tokeniser(pair_tokenizer(), max_tokens=limit, from_start=left), typed=True
    )
    at = np.array(list(product(range(len(first)), range(len(second)))), np.int64)
    joined = pairs.join(pairs.texts(first), pairs.texts(second), (at[:, 0], at[:, 1]))
    peer = pair_tokenizer()
    uncut = [len(peer.encode(first[a], second[b]).ids) for a, b in at.tolist()]
    peer.enable_truncation(limit, strategy="longest_first", direction="left" if left else "right")
    types = joined.column("types")
    assert types is not None
    for row, (a, b) in enumerate(at.tolist()):
        theirs, span = (
            peer.encode(first[a], second[b]),
            slice(joined.offsets[row], joined.offsets[row + 1]),
        )
        assert joined.ids[span].tolist() == theirs.ids
        assert types[span].tolist() == theirs.type_ids
        assert joined.lost[row] == max(0, uncut[row] - limit)


def test_the_longer_text_gives_way_first() -> None:
    kept = longest_first(np.array([3, 9, 9, 2]), np.array([4, 2, 9, 20]), 10)
    assert [part.tolist() for part in kept] == [[3, 8, 5, 2], [4, 2, 5, 8]]


def test_a_prompt_goes_before_each_text() -> None:
    pairs = PairTokeniser(Tokeniser(pair_tokenizer(), max_tokens=20), typed=False)
    np.testing.assert_array_equal(
        pairs.texts(["cat"], "query : ").ids, pairs.texts(["query : cat"]).ids
    )
    joined = pairs.join(pairs.texts(["cat"]), pairs.texts(["dog"]), (np.array([0]), np.array([0])))
    assert joined.column("types") is None


def test_a_tokeniser_that_is_none_of_pairs_is_refused() -> None:
    turned = pair_tokenizer()
    turned.post_processor = processors.TemplateProcessing(
        single="$A", pair="$B:1 [SEP] $A", special_tokens=[("[SEP]", 3)]
    )
    with pytest.raises(ModelError, match="first text before its second"):
        PairTokeniser(Tokeniser(turned, max_tokens=20), typed=False)
    for pair in ("$A [SEP] $A [SEP] $B:1", "$A [SEP] $B:1 [SEP] $B:1"):
        turned.post_processor = processors.TemplateProcessing(
            single="$A", pair=pair, special_tokens=[("[SEP]", 3)]
        )
        with pytest.raises(ModelError, match="puts a text in more than once"):
            PairTokeniser(Tokeniser(turned, max_tokens=20), typed=True)
