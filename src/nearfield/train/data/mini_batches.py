"""The texts of a step, cut into mini-batches that go through a model one by one."""

from __future__ import annotations

import math
from dataclasses import replace

from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.train.data.batch import PLAIN, Asked
from nearfield.types.contract import Contract

# of one forward pass of torch on a processor: the states of a layer then stay in its cache (see
# docs/log.md)
MINI_TOKENS = 2048


def mini_batches(
    queries: Tokens, documents: Tokens, contract: Contract, asked: Asked = PLAIN
) -> list[Packed]:
    """All texts, longest first, in mini-batches as they are `asked` for. Documents are numbered
    after the queries.

    Queries and documents share mini-batches, unless the prompt of one is longer than the other's
    and isn't pooled, or queries are looked up.
    """
    total = len(queries.ids) + len(documents.ids)
    budget = max(1, min(asked.budget or MINI_TOKENS, math.ceil(total / asked.processes)))
    longest = max(int(part.lengths.max(initial=0)) for part in (queries, documents))
    # as many mini-batches, but of about the same size; a batch ends before the text that is too
    # much for it, so that each needs room for one more
    count = max(1, math.ceil(total / budget))
    budget = min(budget, math.ceil(total / count) + longest)
    alike = contract.include_prompt or queries.prompt_tokens == documents.prompt_tokens
    if alike and queries.looked_up == documents.looked_up:
        return packed_batches(queries.followed_by(documents), budget)
    parts = packed_batches(queries, budget)
    after = len(queries.lengths)
    for part in packed_batches(documents, budget):
        parts.append(replace(part, items=part.items + after))
    return parts
