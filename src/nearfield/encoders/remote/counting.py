"""How many tokens a vendor counts in a text."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from nearfield.extras import installed

log = logging.getLogger(__name__)
_OTHER = re.compile(r"[^\x00-\x7f]")


@dataclass(frozen=True)
class Counter:
    """`count` gives the tokens of each text; `by` names what counts, "" where it only estimates."""

    count: Callable[[Sequence[str]], list[int]]
    by: str = ""

    def cut(self, text: str, most: int) -> str:
        """The beginning of the text, of at most so many tokens."""
        while (count := self.count([text])[0]) > most:
            # in proportion, as characters make no whole tokens, and one fewer at least, so that it
            # ends
            text = text[: min(len(text) - 1, len(text) * most // count)]
        return text


def counter_of(*, encoding: str, tokenizer: str) -> Counter:
    """What counts as the vendor does: tiktoken's `encoding`, or the `tokenizer` of this name on the
    hub, fetched or from its cache. Where neither can be had, tokens are estimated.
    """
    if encoding and installed("tiktoken"):
        import tiktoken

        try:
            found = tiktoken.get_encoding(encoding)
        except Exception as error:  # it fetches the encoding, by requests
            log.debug("tiktoken: %s: %s", encoding, error)
        else:
            # what looks like a special token is text to the API
            ids = partial(found.encode_batch, disallowed_special=())
            return Counter(lambda texts: [*map(len, ids(list(texts)))], "tiktoken")
    if tokenizer:
        from huggingface_hub import hf_hub_download
        from tokenizers import Tokenizer

        try:
            own = Tokenizer.from_file(hf_hub_download(tokenizer, "tokenizer.json"))
        except Exception as error:  # of the hub's client, or of Rust
            log.debug("%s: %s", tokenizer, error)
        else:
            # a tokenizer.json may cut and pad by itself, and the vendor counts what it is sent
            own.no_truncation()
            own.no_padding()
            return Counter(
                lambda texts: [len(one.ids) for one in own.encode_batch(list(texts))],
                f"the tokeniser {tokenizer}",
            )
    return Counter(lambda texts: [estimated(text) for text in texts])


def estimated(text: str) -> int:
    """A token for four characters of ASCII, and one for each other character: about right for
    English, and rather too many for all else.
    """
    other = len(_OTHER.findall(text))
    return math.ceil((len(text) - other) / 4) + other
