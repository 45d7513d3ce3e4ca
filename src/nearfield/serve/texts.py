"""Texts as requests hold them: alone, in lists, as token ids, or cut by other rules."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.text import TextEncoder
from nearfield.serve.call import Call
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.role import DOCUMENT, Role

Given = str | list[str] | list[int] | list[list[int]]


async def texts_of(call: Call, name: str, given: Given) -> list[str]:
    """The texts of an input: one, a list, or the ids of the model's own tokens.

    Raises Refusal for ids that the model does not have.
    """
    if isinstance(given, str):
        return [given]
    if not given:
        return []
    # in OpenAI's API a list of numbers is one text, and a list of lists is several
    every: Sequence[str | int | list[int]] = [given] if isinstance(given[0], int) else given
    texts = []
    for item in every:
        if isinstance(item, str):
            texts.append(item)
            continue
        _, encoder, _ = await call.encoder(name)
        # text again, as the queue, the cache and the prompts of roles are of texts
        texts.append(_text(encoder, item))  # type: ignore[arg-type]
    return texts


def _text(encoder: Encoder[Embeddings], ids: list[int]) -> str:
    """The text of token ids."""
    tokeniser = _tokeniser(encoder)
    # langchain sends the ids of OpenAI's tokenisers unless it is told not to: those beyond this
    # vocabulary show it, smaller ones are read as other text
    wrong = [number for number in ids if not 0 <= number < tokeniser.size]
    if wrong:
        raise Refusal(
            INVALID,
            f"token id {wrong[0]} is not one of the {tokeniser.size:,} of {encoder.contract.name}; "
            "send texts, or ids by the model's own tokeniser",
        )
    return tokeniser.text_of(ids)


async def cut(
    call: Call,
    name: str,
    texts: Sequence[str],
    role: Role | None,
    *,
    tokens: int | None = None,
    start: bool,
) -> list[str]:
    """The texts cut to `tokens` (what the model called `name` reads by default), at their `start`
    or end; the call notes how many were longer.
    """
    _, encoder, _ = await call.encoder(name)
    contract = encoder.contract
    tokeniser = _tokeniser(encoder)
    before, after = tokeniser.around()
    # the prompt takes its share of the tokens
    prompt = tokeniser.prompt_cost(contract.prompts.get(role or DOCUMENT, ""))
    room = contract.max_tokens - len(before) - len(after) - prompt
    most = max(1, room if tokens is None else min(tokens, room))
    found = []
    for text, pieces in zip(texts, tokeniser.pieces(texts), strict=True):
        if len(pieces) <= most:
            found.append(text)
            continue
        call.truncated += 1
        # a piece is where a token begins and ends in the text
        if start:
            begin, _, _ = pieces[-most]
            found.append(text[begin:])
        else:
            _, end, _ = pieces[most - 1]
            found.append(text[:end])
    return found


def _tokeniser(encoder: Encoder[Embeddings]) -> Tokeniser:
    if not isinstance(encoder, TextEncoder):
        raise Refusal(INVALID, f"{encoder.contract.name} has no tokeniser here; send whole texts")
    return encoder.tokeniser
