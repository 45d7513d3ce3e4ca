"""What a model makes of each token of its vocabulary on its own, and the tokeniser of the static
model that this makes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain
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
    # nothing is put around a text, and nothing of it is cut off
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
    new: list[str] = []
    for word in words:
        seen = word_texts(plain, word)
        # it holds those that were added, too, so that none is added twice
        if len(seen) == 1 and seen[0] not in vocabulary:
            vocabulary[seen[0]] = first + len(new)
            new.append(seen[0])
    return Tokenizer.from_str(json.dumps(facts)), new


def word_texts(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words of a text as the tokeniser sees them before it cuts them into pieces."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def frequent_words(tokenizer: Tokenizer, texts: Sequence[str], count: int) -> list[str]:
    """The `count` most frequent words of the texts that the tokeniser cuts into pieces, in that
    order; equals in alphabetical order.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word_texts(tokenizer, text))
    cut = []
    for word, times in counts.items():
        if times > 1 and tokenizer.token_to_id(word) is None:
            cut.append((-times, word))
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
    real = _stand_for_text(tokenizer)
    head, tail = teacher.tokeniser.around()
    # a token that the teacher lacks is a word, which it reads as its pieces
    rows: list[list[int]] = [[*head, id_, *tail] for id_ in range(size - len(new))]
    words = teacher.tokeniser.tokenise(list(new))
    rows += [words.of(at).tolist() for at in range(len(new))]
    chosen = np.flatnonzero(real)
    ids = np.array(list(chain.from_iterable(rows)), np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    tokens = Tokens(ids, offsets, np.zeros(size, np.int64), 0)
    vectors = np.zeros((size, teacher.contract.dim), np.float32)
    done = 0
    for batch in packed_batches(tokens, teacher.runtime.batch_tokens, items=chosen):
        made: Any = teacher.runtime.run(batch)
        vectors[batch.items] = made.floats()
        done += len(batch)
        progress(done, len(chosen))
    return vectors, real


def _stand_for_text(tokenizer: Tokenizer) -> Mask:
    """(tokens,) True for each token that does."""
    left_out = {unknown_id(tokenizer)}
    for id_, token in tokenizer.get_added_tokens_decoder().items():
        if token.special:
            left_out.add(id_)
    real = np.zeros(tokenizer.get_vocab_size(), bool)
    for id_ in range(len(real)):
        name = tokenizer.id_to_token(id_) or "[unused]"  # a number that no token has
        real[id_] = id_ not in left_out and not name.startswith("[unused")
    return real
