"""What the model does not read because texts are longer than it takes."""

from __future__ import annotations

import numpy as np

from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.types.finding import NOTE, WARNING
from nearfield.types.role import DOCUMENT, QUERY

_SAMPLE = 1000  # texts of each column: the share's standard error is below 2 %
_MUCH = 0.05  # from this share of tokens lost on it is a warning


@check(
    BOTH,
    fix=(
        "let the model read them in chunks (MODEL@chunk=200), cut them with nearfield chunk, or "
        "choose a model that reads more; these tokens of a sample are lost"
    ),
)
def truncated_texts(subject: Subject) -> Found | None:
    """Share of tokens, prompts included, beyond the model's length; counted on an even sample of
    1,000 texts a column.
    """
    model = subject.model
    if model is None:
        return None
    limit = model.contract.max_tokens
    lost = 0
    total = 0
    longest = 0
    example = ""
    for role, texts, show in (
        (QUERY, subject.queries, subject.show_query),
        (DOCUMENT, subject.documents, subject.show_document),
    ):
        rows = sample(len(texts), _SAMPLE)
        prompt = model.contract.prompt(role)
        counts = model.count_tokens([prompt + texts[int(row)] for row in rows])
        lost += int(np.maximum(counts - limit, 0).sum())
        total += int(counts.sum())
        if len(counts) and counts.max() > max(limit, longest):
            longest = int(counts.max())
            example = (
                f"{show(int(rows[counts.argmax()]))} has {longest:,} tokens, "
                f"{model.contract.name} reads {limit:,}"
            )
    if not lost:
        return None
    severity = WARNING if lost >= _MUCH * total else NOTE
    return Found(severity, lost, total, example)
