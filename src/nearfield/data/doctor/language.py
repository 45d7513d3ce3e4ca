"""Whether the model knows the script that the data is written in."""

from __future__ import annotations

from collections import Counter

from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.types.finding import WARNING

_SAMPLE = 200  # texts of each column
# of the letters; English is at .002, German and French at .05 of a vocabulary of English words
_MUCH = 0.2
_NAMED = 4  # models and scripts in a message


@check(BOTH)
def unread_language(subject: Subject) -> Found | None:
    """Letters that the model's tokeniser has no words of, where they are a fifth or more; on an
    even sample of 200 texts a column.

    Languages in the letters that the model knows are not told apart: a model of English reads
    Swahili letter for letter.
    """
    model = subject.model
    if model is None or model.unread is None:
        return None
    unread = Counter[str]()
    total = 0
    for texts in (subject.queries, subject.documents):
        found, letters = model.unread([texts[int(row)] for row in sample(len(texts), _SAMPLE)])
        unread = unread + found
        total += letters
    count = unread.total()
    if not total or count < _MUCH * total:
        return None
    shares = []
    for script, letters in unread.most_common(_NAMED):
        shares.append(f"{script.title()} {letters / total:.0%}")
    example = (
        f"{', '.join(shares)} of the letters are unknown to {model.contract.name} or single "
        "pieces; it was hardly trained on this script"
    )
    others = ""
    if model.multilingual:
        others = f": {', '.join(model.multilingual[:_NAMED])} of the catalog, say"
    return Found(WARNING, count, total, example, f"take a model of the data's language{others}")
