"""What may be wrong with a back-end, each as the vectors that the model would make then."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from nearfield.batch.late_tokens import LateTokens
from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.text import TextEncoder
from nearfield.formats.late_interaction import LateInteraction
from nearfield.formats.model_folder import ModelFolder
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import OpenOptions
from nearfield.serve.certificate import LONGEST
from nearfield.similarity import EMBEDDINGS
from nearfield.types.arrays import Floats
from nearfield.types.contract import POOLINGS, TERM_POOLINGS, UNPOOLED, Contract, pools_terms
from nearfield.types.role import DOCUMENT, QUERY, Role

_LARGE = 40  # a weight whose exponential float32 can still square
LENGTHS = (16, 32, 64, 128, 256, 384, 512, 1024, 2048, 4096, 8192)
Rows = Sequence[Floats] | Floats
"""Items as numbers: (dim,) each, or (tokens, dim)."""
Made = Callable[[Sequence[str], Role], Rows]
"""From texts and a role to what the model makes of each: (dim,) float32, or (tokens, dim)."""


@dataclass(frozen=True)
class Hypothesis:
    """What may be wrong, and the vectors that would be made then. `fault` is its kind in a few
    words, `what` says it in full.
    """

    fault: str
    what: str
    made: Made


def hypotheses(encoder: TextEncoder) -> Iterator[Hypothesis]:
    """Those that are worth a try; each opens what it takes when it is tried, and raises
    NearfieldError where the model cannot do it.
    """
    yield from _of_texts(encoder)
    yield from _of_prompts(encoder)
    yield from _of_tokens(encoder)
    yield from _of_lengths(encoder)
    yield from _of_pooling(encoder)
    if EMBEDDINGS[encoder.contract.kind].has_terms:
        yield from _of_terms(encoder)
    if encoder.late is not None:
        yield from _of_late_interaction(encoder, encoder.late.settings)


def floats(encoder: TextEncoder) -> Made:
    """The encoder as what makes vectors."""
    return lambda texts, role: encoder.encode_as(role, texts).numbers()


CHANGES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("lower-casing", "texts are lower-cased", str.lower),
    ("newlines", "line breaks are made spaces", lambda text: " ".join(text.split("\n"))),
    ("newlines", "texts end at their first line", lambda text: text.partition("\n")[0]),
    ("Unicode", "texts are normalised (NFKC)", lambda t: unicodedata.normalize("NFKC", t)),
    ("Unicode", "UTF-8 is read as Latin-1", lambda t: t.encode().decode("latin-1")),
    ("Unicode", "all but ASCII is dropped", lambda t: t.encode("ascii", "ignore").decode()),
)
"""What may be done to a text before it is read: the kind of fault, in words, and the change."""


def _of_texts(encoder: TextEncoder) -> Iterator[Hypothesis]:
    made = floats(encoder)
    for fault, what, change in CHANGES:
        yield Hypothesis(fault, what, _after(change, made))


def _after(change: Callable[[str], str], made: Made) -> Made:
    return lambda texts, role: made([change(text) for text in texts], role)


def _of_prompts(encoder: TextEncoder) -> Iterator[Hypothesis]:
    own = dict(encoder.contract.prompts)
    if not any(own.values()):
        return
    query = own.get(QUERY, "")
    document = own.get(DOCUMENT, "")
    doubled = {role: prompt * 2 for role, prompt in own.items()}
    swapped = own | {QUERY: document, DOCUMENT: query}
    for fault, what, prompts in (
        ("missing prompt", "no prompt is put before the texts", {}),
        ("doubled prompt", "the prompt is put before the texts twice", doubled),
        ("wrong prompt", "queries and documents have each other's prompt", swapped),
        ("wrong prompt", "all have the query's prompt", dict.fromkeys(own, query)),
        ("wrong prompt", "all have the document's", dict.fromkeys(own, document)),
    ):
        # a task's role without an entry would be unknown to the contract, which is an error
        known = dict.fromkeys(own, "") | prompts
        changed = encoder.under(replace(encoder.contract, prompts=known))
        yield Hypothesis(fault, what, floats(changed))


def _of_tokens(encoder: TextEncoder) -> Iterator[Hypothesis]:
    limit = encoder.contract.max_tokens
    own = encoder.tokeniser.json()
    cuts_start = encoder.tokeniser.cuts_start
    side = Tokeniser(Tokenizer.from_str(own), max_tokens=limit, from_start=not cuts_start)
    what = "long texts are cut at the other end"
    yield Hypothesis("truncation side", what, _read_by(encoder, side))
    bare = Tokeniser(Tokenizer.from_str(own), max_tokens=limit, specials=False)
    what = "no special tokens are put around a text"
    yield Hypothesis("special tokens", what, _read_by(encoder, bare))
    cased = json.loads(own, object_hook=_cased)
    as_written = Tokeniser(Tokenizer.from_str(json.dumps(cased)), max_tokens=limit)
    what = "texts are not lower-cased, and the model wants it"
    yield Hypothesis("lower-casing", what, _read_by(encoder, as_written))


def _cased(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a tokenizer.json that leaves upper case as it is."""
    if "lowercase" in part:
        part["lowercase"] = False
    return part


def _read_by(encoder: TextEncoder, tokeniser: Tokeniser, contract: Contract | None = None) -> Made:
    """The model with another tokeniser before it."""
    other = copy.copy(encoder)
    other.tokeniser = tokeniser
    other.contract = contract or encoder.contract
    return floats(other)


def _of_lengths(encoder: TextEncoder) -> Iterator[Hypothesis]:
    own = encoder.contract.max_tokens
    # usual limits, and those of a back-end that takes one or both special tokens off once more
    for length in sorted({*LENGTHS, own - 2, own - 1, own // 2}):
        # two special tokens leave nothing of a text; beyond LONGEST, hardly any text is cut
        if length == own or not 2 < length <= LONGEST * own:
            continue
        tokeniser = Tokeniser(
            Tokenizer.from_str(encoder.tokeniser.json()),
            max_tokens=length,
            from_start=encoder.tokeniser.cuts_start,
        )
        # an encoder cuts at the smaller one of its tokeniser's limit and its contract's
        contract = replace(encoder.contract, max_tokens=length)
        yield Hypothesis(
            "truncation length",
            f"texts are cut to {length} tokens, and the model reads {own}",
            _read_by(encoder, tokeniser, contract),
        )


def _of_pooling(encoder: TextEncoder) -> Iterator[Hypothesis]:
    contract = encoder.contract
    if contract.pooling in UNPOOLED:
        return
    poolings = TERM_POOLINGS if pools_terms(contract.kind) else POOLINGS
    for pooling in poolings:
        if pooling != contract.pooling:
            made = _pooled(encoder.folder, replace(encoder.folder.contract, pooling=pooling))
            what = f"token states are pooled by {pooling}, and the model wants {contract.pooling}"
            yield Hypothesis("wrong pooling", what, made)
    if any(contract.prompts.values()):
        other = not contract.include_prompt
        made = _pooled(encoder.folder, replace(encoder.folder.contract, include_prompt=other))
        what = f"the prompt's tokens are {'' if other else 'not '}pooled"
        yield Hypothesis("wrong pooling", what, made)


def _of_terms(encoder: TextEncoder) -> Iterator[Hypothesis]:
    """What servers of sparse models do to weights: log(1 + w) left out or taken twice, or only the
    greatest weights returned.
    """
    made = floats(encoder)
    yield Hypothesis(
        "wrong activation",
        "weights are not log(1 + w)",
        lambda texts, role: np.expm1(np.minimum(made(texts, role), _LARGE)),
    )
    yield Hypothesis(
        "wrong activation",
        "log(1 + w) is taken twice",
        lambda texts, role: np.log1p(np.maximum(made(texts, role), 0)),
    )
    for most in LENGTHS:
        yield Hypothesis(
            "terms dropped", f"only the {most} greatest weights are kept", _greatest(made, most)
        )


def _greatest(made: Made, most: int) -> Made:
    def cut(texts: Sequence[str], role: Role) -> Floats:
        rows = np.array(made(texts, role))
        if most < rows.shape[1]:
            # (n, 1) the least weight that each row keeps
            least = np.partition(rows, -most, axis=1)[:, -most, None]
            rows[rows < least] = 0
        return rows

    return cut


def _of_late_interaction(encoder: TextEncoder, settings: LateInteraction) -> Iterator[Hypothesis]:
    """What multi-vector models do beside a Transformer, left out."""
    changes = []
    if settings.expansion is not None:
        what = "queries are not filled up with the mask token"
        changes.append(("query expansion", what, replace(settings, expansion=None)))
    if settings.skipped:
        what = "tokens that the model skips, such as punctuation, have a vector"
        changes.append(("skipped tokens", what, replace(settings, skipped=())))
    for fault, what, other in changes:
        changed = copy.copy(encoder)
        changed.late = LateTokens(other, encoder.tokeniser, encoder.folder.transformer)
        yield Hypothesis(fault, what, floats(changed))


def _pooled(folder: ModelFolder, contract: Contract) -> Made:
    """The model with its states pooled otherwise; opened when it is asked."""

    def made(texts: Sequence[str], role: Role) -> Rows:
        other = replace(folder, contract=contract)
        runtime, _ = open_runtime(other, OpenOptions())
        return floats(TextEncoder(other, runtime))(texts, role)

    return made
