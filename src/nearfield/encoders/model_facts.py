"""What the data doctor asks of an encoder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from nearfield.batch.unread import unread_letters
from nearfield.catalog.card import Card, cards
from nearfield.data.doctor.subject import ModelFacts
from nearfield.encoders.encoded import encoded
from nearfield.encoders.text import TextEncoder
from nearfield.errors import TruncationWarning
from nearfield.models.find import RUN
from nearfield.similarity import EMBEDDINGS
from nearfield.store.home import models_folder
from nearfield.types.arrays import Floats
from nearfield.types.role import DOCUMENT, QUERY

_LANGUAGES = 15  # that a card names: of a model of many


def model_facts(encoder: TextEncoder[Any]) -> ModelFacts:
    """The encoder's contract, how it counts tokens and reads letters, and models of the catalog
    that know more languages.
    """
    return ModelFacts(
        encoder.contract,
        encoder.count_tokens,
        partial(unread_letters, encoder.tokeniser),
        multilingual(encoder),
        partial(similarities, encoder),
    )


def similarities(
    encoder: TextEncoder[Any], queries: Sequence[str], documents: Sequence[str]
) -> Floats:
    """(n, m) the similarities of n queries and m documents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # which another check counts
        asked = encoded(encoder, queries, QUERY)
        given = encoded(encoder, documents, DOCUMENT)
    return asked.scores(given)


def multilingual(encoder: TextEncoder[Any]) -> tuple[str, ...]:
    """The models of many languages in the catalog that run here, of the encoder's kind or else
    dense: first those whose weights are here, small ones before large ones.
    """
    known = [card for card in cards().values() if card.local and card.kind in RUN and _many(card)]
    alike = [card for card in known if card.kind == encoder.contract.kind]
    if not alike:
        alike = [card for card in known if EMBEDDINGS[card.contract.kind].one_vector]

    def effort(card: Card) -> tuple[bool, int]:
        return not (models_folder() / card.name).is_dir(), card.parameters or 0

    alike.sort(key=effort)
    return tuple(card.name for card in alike)


def _many(card: Card) -> bool:
    languages = card.contract.terms.languages
    return "*" in languages or len(languages) >= _LANGUAGES
