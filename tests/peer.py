"""sentence-transformers as the oracle of what a model folder's vectors are."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from nearfield.encoders.text import TextEncoder


def assert_same_as_sentence_transformers(
    folder: Path, texts: list[str], *, encoder: TextEncoder | None = None
) -> None:
    """Queries and documents get the same vectors by sentence-transformers from `folder` and by
    `encoder`, by default that of `folder`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SentenceTransformer(str(folder), device="cpu")
        encoder = encoder or TextEncoder.open(folder)
        made = {}  # by the prompt, so that the peer encodes once where both roles have the same
        for role, peer_encode in (("query", peer.encode_query), ("document", peer.encode_document)):
            prompt = (peer.prompts or {}).get(role, peer.default_prompt_name)
            if prompt not in made:
                made[prompt] = peer_encode(texts)
            np.testing.assert_allclose(
                encoder.encode(texts, role).vectors, made[prompt], atol=1e-5, rtol=0
            )
