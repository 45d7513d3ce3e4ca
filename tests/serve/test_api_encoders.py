"""The encoders and rerankers behind an API, asked of our own server, give the local model's vectors
and scores.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import nearfield as nf
from nearfield.encoders.load import load_reranker
from nearfield.encoders.vendors import VENDORS
from nearfield.errors import NearfieldWarning

TEXTS = ["a red cat", "the cat sat on the mat", "", "deep sea fish"]
SDK = {"openai": "openai", "cohere": "cohere", "voyage": "voyageai"}


@pytest.mark.parametrize(
    ("name", "variable", "path", "key", "roles"),
    [
        ("openai:tiny", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY", False),
        ("cohere:tiny", "CO_API_URL", "", "CO_API_KEY", True),
        ("voyage:tiny", "VOYAGE_BASE_URL", "/voyage/v1", "VOYAGE_API_KEY", True),
        ("jina:tiny", "JINA_BASE_URL", "/jina/v1", "JINA_API_KEY", True),
        ("ollama:tiny", "OLLAMA_HOST", "", "OLLAMA_API_KEY", False),
        ("tei:tiny", "TEI_BASE_URL", "", "TEI_API_KEY", False),
    ],
)
def test_they_give_the_local_models_vectors(
    name: str,
    variable: str,
    path: str,
    key: str,
    roles: bool,
    served: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if (sdk := SDK.get(name.partition(":")[0])) is not None:
        pytest.importorskip(sdk, reason=f"{sdk} is not installed")
    monkeypatch.setenv(variable, served.url + path)
    monkeypatch.setenv(key, "sk-tiny")

    with pytest.warns(NearfieldWarning) if not roles else nullcontext():
        encoder = nf.load(name)
    texts = [text for text in TEXTS if text]
    found = np.asarray(encoder.encode_document(texts))
    np.testing.assert_allclose(
        found, np.asarray(served.model.encode_document(texts)), rtol=0, atol=1e-6
    )
    if roles:
        asked = np.asarray(encoder.encode_query(texts))
        np.testing.assert_allclose(
            asked, np.asarray(served.model.encode_query(texts)), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize(
    ("vendor", "path"),
    [("cohere", ""), ("voyage", "/voyage/v1"), ("jina", "/jina/v1"), ("tei", "/tei")],
)
def test_rerankers_give_the_local_models_scores(
    vendor: str, path: str, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (sdk := SDK.get(vendor)) is not None:
        pytest.importorskip(sdk, reason=f"{sdk} is not installed")
    for name in VENDORS[vendor].key_variables:
        monkeypatch.setenv(name, "sk-tiny")
    remote = load_reranker(f"{vendor}:{served.url}{path}#judge")
    texts = ["the cat sat on the mat", "deep sea fish", "a list of files"]
    wanted = nf.Reranker.open(served.judge).score("a red cat", texts)
    found = remote.score_at(["a red cat"], texts, (np.zeros(3, int), np.arange(3)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
