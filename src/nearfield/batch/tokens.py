"""Texts to token ids, with a count of what did not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Encoding, Tokenizer, models, normalizers

from nearfield.batch.open_tokenizer import open_tokenizer
from nearfield.batch.sequences import Sequences, joined, offsets_of, taken
from nearfield.errors import ModelError
from nearfield.formats.static_folder import UNLIMITED
from nearfield.formats.tokenizer_file import tokenizer_of
from nearfield.store.fields import read_optional
from nearfield.store.foreign import foreign
from nearfield.types.arrays import Integers

_FAILED = "the tokeniser failed on a text"


@dataclass(frozen=True)
class Tokens(Sequences):
    """n texts as token sequences.

    `lost`: (n,) int64, the tokens of each text that did not fit. `prompt_tokens`: how many tokens
    at the start of each sequence belong to the prompt, special tokens before it included (0 without
    a prompt). `unknown`: how many tokens were left out because the vocabulary lacks them.
    """

    lost: Integers
    prompt_tokens: int
    unknown: int = 0

    def of(self, item: int) -> npt.NDArray[np.int32]:
        """The token ids of one sequence."""
        return self.ids[self.offsets[item] : self.offsets[item + 1]]

    def followed_by(self, other: Tokens) -> Tokens:
        """These sequences and then those of `other`; the prompt is said to be as long as these
        sequences' is.
        """
        assert self.looked_up == other.looked_up
        later = other.offsets[1:] + self.offsets[-1]
        return replace(
            self,
            ids=np.concatenate([self.ids, other.ids]),
            offsets=np.concatenate([self.offsets, later]),
            lost=np.concatenate([self.lost, other.lost]),
            unknown=self.unknown + other.unknown,
            columns=joined([self, other]),
        )


_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a byte of a character that the vocabulary lacks


class Tokeniser:
    """A model's tokeniser: no padding, and truncation that is counted.

    Truncation keeps the special tokens at both ends and drops tokens from the end of the text, or
    from the start of prompt and text where `from_start`, as transformers does. Without `specials`
    nothing is put around a text; tokens with the id `left_out` are counted and left out. Of prompt
    and text the first `characters` are read, where that is given.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        lower_case: bool = False,
        from_start: bool = False,
        specials: bool = True,
        left_out: int | None = None,
        characters: int | None = None,
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if lower_case:
            own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
        self._tokenizer = tokenizer
        self._source = Path("tokenizer.json")  # what an error names
        self.max_tokens = max_tokens
        self._from_start = from_start
        self._specials = specials
        self._left_out = left_out
        self._characters = characters
        self._rows: int | None = None  # of the model's table of token embeddings, where known

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        max_tokens: int,
        lower_case: bool = False,
        markers: Sequence[str] = (),
        specials: bool = True,
        trust_remote_code: bool = False,
    ) -> Tokeniser:
        """The tokeniser in a model folder, see `open_tokenizer`.

        Each of `markers` is kept whole in a text where the vocabulary has it as one token. Without
        `specials` nothing is put around a text. Raises ModelError where the folder holds no
        tokeniser that can be read, or where it puts tokens around a text that the vocab_size of
        config.json leaves out.
        """
        tokenizer, from_start = open_tokenizer(folder, trust_remote_code=trust_remote_code)
        with foreign(folder, _FAILED):
            _keep_whole(tokenizer, markers)
        made = cls(
            tokenizer,
            max_tokens=max_tokens,
            lower_case=lower_case,
            from_start=from_start,
            specials=specials,
        )
        made._source = folder
        made._rows = _table_rows(folder)
        made.around()
        return made

    @classmethod
    def open_static(cls, folder: Path, *, max_tokens: int, drop_unknown: bool) -> Tokeniser:
        """The tokeniser of a static model's folder: its tokenizer.json as it stands, without
        special tokens.

        model2vec, which drops what is unknown, cuts a text to so many characters that `max_tokens`
        tokens of median length have before it splits it, and always at its end;
        sentence-transformers cuts where tokenizer.json says. Raises ModelError where the folder
        holds none that can be read.
        """
        tokenizer = tokenizer_of(folder / "tokenizer.json")
        from_start = False
        left_out = None
        characters = None
        if drop_unknown:
            left_out = unknown_id(tokenizer)
            lengths = [len(token) for token in tokenizer.get_vocab()]
            if max_tokens < UNLIMITED and lengths:
                characters = max_tokens * int(np.median(lengths))
        else:
            from_start = (tokenizer.truncation or {}).get("direction") == "left"
        made = cls(
            tokenizer,
            max_tokens=max_tokens,
            from_start=from_start,
            specials=False,
            left_out=left_out,
            characters=characters,
        )
        made._source = folder / "tokenizer.json"
        return made

    def tokenise(
        self, texts: Sequence[str], prompt: str = "", *, max_tokens: int | None = None
    ) -> Tokens:
        """Token ids of `prompt + text` for each text, at most `max_tokens` (the model's limit by
        default) each.
        """
        limit = min(max_tokens or self.max_tokens, self.max_tokens)
        whole = [prompt + text for text in texts]
        encodings = self._encode([text[: self._characters] for text in whole])
        rows = []
        lost = np.zeros(len(encodings), np.int64)
        for item, encoding in enumerate(encodings):
            ids = encoding.ids
            if len(ids) > limit:
                # cut here and not by the tokenizers library, which does not say how much it cut
                lost[item] = len(ids) - limit
                # one piece is taken out: behind the specials at the start, or before those at
                # the end
                kept = _specials_at_start(encoding)
                if not self._from_start:
                    kept = limit - _specials_at_end(encoding)
                ids = ids[:kept] + ids[kept + len(ids) - limit :]
            rows.append(ids)
            # of a text that was cut by characters, the tokens that it would have had are lost
            if self._characters is not None and len(whole[item]) > self._characters:
                uncut = self._encode([whole[item]])[0]
                lost[item] = max(1, len(uncut.ids) - len(ids))
        tokens = _flat(rows, lost, self._prompt_tokens(prompt))
        self.refuse_beyond(tokens.ids)
        if self._left_out is None:
            return tokens
        return _without(tokens, self._left_out)

    def bare(self, texts: Sequence[str]) -> Tokens:
        """Token ids of the texts alone: no special tokens around them, and none cut."""
        with foreign(self._source, _FAILED):
            encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        rows = [encoding.ids for encoding in encodings]
        tokens = _flat(rows, np.zeros(len(encodings), np.int64), 0)
        self.refuse_beyond(tokens.ids)
        return tokens

    def refuse_beyond(self, ids: Sequence[int] | npt.NDArray[np.int32]) -> None:
        """Raise ModelError where one of `ids` has no row in the model's table: transformers gives
        tokens that only its settings name the next free numbers.
        """
        greatest = int(np.max(ids, initial=0))
        if self._rows is not None and greatest >= self._rows:
            raise ModelError(
                f"{self._source}: the tokeniser gives {self.token_of(greatest)!r} the id "
                f"{greatest:,}, and config.json has a vocab_size of {self._rows:,}; correct the "
                "special tokens in tokenizer_config.json"
            )

    def count(self, texts: Sequence[str]) -> Integers:
        """(n,) int64, tokens of each text, special ones included, before any truncation."""
        encodings = self._encode(list(texts))
        return np.array([len(encoding.ids) for encoding in encodings], np.int64)

    def pieces(self, texts: Sequence[str]) -> list[list[tuple[int, int, bool]]]:
        """Where each token of each text begins and ends in it, and whether it is of the vocabulary:
        not unknown, and no byte.
        """
        unknown = unknown_id(self._tokenizer)
        found = []
        for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False):
            pieces = []
            tokens = zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True)
            for id_, token, (start, end) in tokens:
                known = id_ != unknown and not _BYTE.fullmatch(token)
                pieces.append((start, end, known))
            found.append(pieces)
        return found

    def prompt_cost(self, prompt: str) -> int:
        """How many tokens the prompt adds to a text: without the special tokens, which the text has
        anyway.
        """
        return max(0, self._prompt_tokens(prompt) - len(self.around()[0]))

    def json(self) -> str:
        """The tokeniser as a tokenizer.json."""
        return self._tokenizer.to_str()

    def around(self) -> tuple[list[int], list[int]]:
        """The special tokens that are put before and after a text."""
        with foreign(self._source, _FAILED):
            encoding = self._tokenizer.encode("a", add_special_tokens=self._specials)
        ids = encoding.ids
        self.refuse_beyond(ids)
        refuse_repeats(encoding)
        before = ids[: _specials_at_start(encoding)]
        after = ids[len(ids) - _specials_at_end(encoding) :]
        return before, after

    @property
    def types(self) -> frozenset[int]:
        """The types of the tokens of one text, its special tokens included."""
        with foreign(self._source, _FAILED):
            encoding = self._tokenizer.encode("a", add_special_tokens=self._specials)
        return frozenset(encoding.type_ids)

    def pair(self) -> Encoding:
        """What the tokeniser makes of a pair of one-letter texts: where special tokens go, and the
        type of each token.
        """
        with foreign(self._source, _FAILED):
            encoding = self._tokenizer.encode("a", "b", add_special_tokens=self._specials)
        self.refuse_beyond(encoding.ids)
        return encoding

    @property
    def cuts_start(self) -> bool:
        """Whether what does not fit is dropped from the start of a text."""
        return self._from_start

    def id_of(self, token: str) -> int | None:
        """The id of what the vocabulary holds as this very token, None where it doesn't."""
        return self._tokenizer.token_to_id(token)

    def token_of(self, id_: int) -> str:
        """The token with this id, as the vocabulary has it; its number where it has none."""
        return self._tokenizer.id_to_token(id_) or f"#{id_}"

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self._tokenizer.decode(list(ids))

    @property
    def size(self) -> int:
        """How many tokens the vocabulary has, added ones included."""
        return self._tokenizer.get_vocab_size()

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token's number, added ones included."""
        return self._tokenizer.get_vocab()

    @property
    def special_ids(self) -> frozenset[int]:
        """The numbers of the tokens that stand for no text."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    def _encode(self, texts: list[str]) -> list[Encoding]:
        with foreign(self._source, _FAILED):
            return self._tokenizer.encode_batch_fast(texts, add_special_tokens=self._specials)

    def _prompt_tokens(self, prompt: str) -> int:
        if not prompt:
            return 0
        with foreign(self._source, _FAILED):
            alone = self._tokenizer.encode(prompt, add_special_tokens=self._specials)
        return len(alone.ids) - _specials_at_end(alone)


def _flat(rows: list[list[int]], lost: Integers, prompt_tokens: int) -> Tokens:
    offsets = offsets_of([len(row) for row in rows])
    ids = np.fromiter(chain.from_iterable(rows), np.int32, count=int(offsets[-1]))
    return Tokens(ids, offsets, lost, prompt_tokens)


def _table_rows(folder: Path) -> int | None:
    """How many tokens the transformer in `folder` has embeddings of, where its config.json says
    so.
    """
    config = read_optional(folder / "config.json")
    sizes = config.object("text_config", None) or config
    rows: int | None = sizes.integer("vocab_size", None)
    return rows


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id that a tokeniser gives what its vocabulary lacks, None where it has none."""
    if isinstance(tokenizer.model, models.Unigram):
        # which its own object does not tell
        found: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")
        return found
    token = tokenizer.model.unk_token
    if token is None:
        return None
    return tokenizer.token_to_id(token)


def _keep_whole(tokenizer: Tokenizer, markers: Sequence[str]) -> None:
    """Make of each marker that the vocabulary knows, with the space after it or without, a token
    that no text cuts into pieces.

    As sentence-transformers 6 does for checkpoints whose makers put the markers' ids where they
    belong.
    """
    for marker in markers:
        candidates = (marker, *marker.split(None, 1)[:1])
        known = [text for text in candidates if tokenizer.token_to_id(text) is not None]
        if not known:
            continue
        token = known[0]
        if tokenizer.encode(token, add_special_tokens=False).tokens != [token]:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])


def _without(tokens: Tokens, id_: int) -> Tokens:
    kept = tokens.ids != id_
    if kept.all():
        return tokens
    # how many tokens are kept before each place, so that an offset becomes the one among these
    before = offsets_of(kept)
    return replace(
        tokens,
        ids=tokens.ids[kept],
        offsets=before[tokens.offsets],
        unknown=int((~kept).sum()),
        columns=taken(tokens.columns, tokens=kept, sequences=slice(None)),
    )


def refuse_repeats(encoding: Encoding) -> None:
    """Raise ModelError where a text stands in its sequence twice, as a template may say: no place
    would be the right one to cut it.
    """
    # tokenizers counts only the last of the places as the text's, and none of them as special
    owners = [
        owner
        for owner, special in zip(encoding.sequence_ids, encoding.special_tokens_mask, strict=True)
        if not special
    ]
    if None in owners and owners != [None] * len(owners):
        raise ModelError(
            "the tokeniser puts a text in more than once (post_processor in tokenizer.json); "
            "wanted once"
        )


def _specials_at_start(encoding: Encoding) -> int:
    return _before_text(encoding.special_tokens_mask)


def _specials_at_end(encoding: Encoding) -> int:
    mask = encoding.special_tokens_mask
    if mask and all(mask):  # all but the one that counts as the start
        return len(mask) - 1
    return _before_text(mask[::-1])


def _before_text(mask: Sequence[int]) -> int:
    return mask.index(0) if 0 in mask else 0
