"""What a model makes of each token of its vocabulary on its own, and the tokeniser of the static
model that this makes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokens, unknown_id
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.types.arrays import Floats, Mask
from nearfield.types.progress import Progress


def static_tokeniser(teacher: TextEncoder, words: Sequence[str]) -> tuple[Tokenizer, list[str]]:
    """The teacher's tokeniser without special tokens around a text, with `words` as tokens of their
    own at the end; and which were new.

    Words that its own rules would split, and those that it has, are left out. Raises ModelError
    where there are words and the tokeniser is none of word pieces: others have no place for whole
    words.
    """
    facts: dict[str, Any] = json.loads(teacher.tokeniser.json())
    facts |= {"post_processor": None, "truncation": None, "padding": None}
    if not words:
        return Tokenizer.from_str(json.dumps(facts)), []
    if facts["model"]["type"] not in ("WordPiece", "WordLevel"):
        raise ModelError(
            f"{teacher.contract.name}: words can be added to a tokeniser of word "
            f"pieces, and this is {facts['model']['type']}"
        )
    plain = Tokenizer.from_str(json.dumps(facts))
    vocabulary: dict[str, int] = facts["model"]["vocab"]
    first = plain.get_vocab_size()
    seen = [word_texts(plain, word) for word in words]
    new = [
        word
        for word in dict.fromkeys(pieces[0] for pieces in seen if len(pieces) == 1)
        if word not in vocabulary
    ]
    vocabulary |= {word: first + at for at, word in enumerate(new)}
    return Tokenizer.from_str(json.dumps(facts)), new


def word_texts(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words of a text as the tokeniser sees them before it cuts them into pieces."""
    normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer is not None else text
    if tokenizer.pre_tokenizer is not None:
        return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
    return [normal]


def frequent_words(tokenizer: Tokenizer, texts: Sequence[str], count: int) -> list[str]:
    """The `count` most frequent words of the texts that the tokeniser cuts into pieces, in that
    order; equals in alphabetical order.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word_texts(tokenizer, text))
    cut = [
        (-times, word)
        for word, times in counts.items()
        if times > 1 and tokenizer.token_to_id(word) is None
    ]
    return [word for _, word in sorted(cut)[:count]]


def token_vectors(
    teacher: TextEncoder, tokenizer: Tokenizer, new: Sequence[str], *, progress: Progress
) -> tuple[Floats, Mask]:
    """The teacher's vector (tokens, dim) of each token alone, special tokens around it, and which
    tokens stand for text at all.

    Special tokens, the unknown one and those that a vocabulary keeps unused ("[unused7]") stand for
    none; their vectors are zeros.
    """
    size = tokenizer.get_vocab_size()
    special = {
        id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special
    } | {unknown_id(tokenizer)}
    own = size - len(new)
    real = np.array(
        [
            id_ not in special
            and not (tokenizer.id_to_token(id_) or "[unused").startswith("[unused")
            for id_ in range(size)
        ]
    )
    head, tail = teacher.tokeniser.around()
    rows: list[list[int]] = [[*head, id_, *tail] for id_ in range(own)]
    words = teacher.tokeniser.tokenise(list(new))
    rows += [words.of(at).tolist() for at in range(len(new))]
    chosen = np.flatnonzero(real)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    tokens = Tokens(
        np.array([id_ for row in rows for id_ in row], np.int32),
        offsets,
        np.zeros(size, np.int64),
        0,
    )
    vectors = np.zeros((size, teacher.contract.dim), np.float32)
    done = 0
    for batch in packed_batches(tokens, teacher.runtime.batch_tokens, items=chosen):
        made: Any = teacher.runtime.run(batch)
        vectors[batch.items] = made.floats()
        done += len(batch)
        progress(done, len(chosen))
    return vectors, real
