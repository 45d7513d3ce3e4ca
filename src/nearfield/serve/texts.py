"""Texts as requests hold them: alone, in lists, as token ids, or cut by other rules."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.text import TextEncoder
from nearfield.serve.call import Call
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.similarity.embeddings import Embeddings

Given = str | list[str] | list[int] | list[list[int]]


async def texts_of(call: Call, name: str, given: Given) -> list[str]:
    """The texts of an input: one, a list, or the ids of the model's own tokens.

    Raises Refusal for ids that the model does not have.
    """
    if isinstance(given, str):
        return [given]
    if not given:
        return []
    every: Sequence[str | int | list[int]] = [given] if isinstance(given[0], int) else given
    texts = []
    for item in every:
        if isinstance(item, str):
            texts.append(item)
            continue
        _, encoder, _ = await call.encoder(name)
        texts.append(_text(encoder, item))  # type: ignore[arg-type]
    return texts


def _text(encoder: Encoder[Embeddings], ids: list[int]) -> str:
    """The text of token ids."""
    tokeniser = _tokeniser(encoder)
    wrong = [number for number in ids if not 0 <= number < tokeniser.size]
    if wrong:
        raise Refusal(
            INVALID,
            f"token id {wrong[0]} is not one of the {tokeniser.size:,} of {encoder.contract.name}; "
            "send texts, or ids by the model's own tokeniser",
        )
    return tokeniser.text_of(ids)


def cut(
    encoder: Encoder[Embeddings], text: str, role: str, *, tokens: int | None, start: bool
) -> tuple[str, bool]:
    """The text cut to `tokens` (what the model reads by default), at its `start` or end, and
    whether something was cut.
    """
    tokeniser = _tokeniser(encoder)
    before, after = tokeniser.around()
    prompt = tokeniser.prompt_cost(encoder.contract.prompt(role))
    room = encoder.contract.max_tokens - len(before) - len(after) - prompt
    most = max(1, room if tokens is None else min(tokens, room))
    pieces = tokeniser.pieces([text])[0]
    if len(pieces) <= most:
        return text, False
    return (text[pieces[-most][0] :] if start else text[: pieces[most - 1][1]]), True


def _tokeniser(encoder: Encoder[Embeddings]) -> Tokeniser:
    if not isinstance(encoder, TextEncoder):
        raise Refusal(INVALID, f"{encoder.contract.name} has no tokeniser here; send whole texts")
    return encoder.tokeniser
