"""Every vendor's wire format against a vendor that fails: nothing is lost, nothing is paid twice,
the order is right, and so is the ledger.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pytest

import nearfield as nf
from nearfield.encoders.remote import caller
from nearfield.encoders.remote.encoder import RemoteEncoder
from nearfield.encoders.remote.ledger import LOST, WRONG, entries
from nearfield.encoders.vendors import VENDORS
from nearfield.encoders.vendors.vendor import Limits, Vendor
from nearfield.errors import ModelError, NearfieldWarning, VendorError
from nearfield.store.home import home
from nearfield.types.role import DOCUMENT, QUERY
from vendors import KEY, PASSING, Loopback, vector
from vendors import WRONG as WRONG_ANSWERS

MODELS = {
    "openai": "openai:text-embedding-3-small@dim=24",
    "cohere": "cohere:embed-english-v3.0",
    "voyage": "voyage:voyage-3-large@dim=24",
    "jina": "jina:jina-embeddings-v3@dim=24",
    "gemini": "gemini:gemini-embedding-001@dim=24",
    "mistral": "mistral:mistral-embed",
    "nomic": "nomic:nomic-embed-text-v1.5@dim=24",
    "tei": "tei:minilm",
    "ollama": "ollama:all-minilm",
    "compatible": "compatible:{url}/compatible/v1#some",
}
SDK = {"openai": "openai", "cohere": "cohere", "voyage": "voyageai"}
TEXTS = [f"the text number {number} of{' many' * (number % 5)}" for number in range(30)]
ITEMS = 7  # texts of a request


def opened(name: str, url: str, patch: pytest.MonkeyPatch) -> RemoteEncoder:
    """The encoder of a vendor's model, with small requests that wait for no rate."""
    patch.setenv("NEARFIELD_RPM", "1e6")
    patch.setenv("NEARFIELD_TPM", "1e9")
    if name in SDK:
        pytest.importorskip(SDK[name], reason=f"the SDK of {name} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfieldWarning)  # of models without a card
        encoder = nf.load(MODELS[name].format(url=url))
    assert isinstance(encoder, RemoteEncoder)
    patch.setattr(encoder.client, "limits", Limits(ITEMS))
    return encoder


def expected(encoder: RemoteEncoder, texts: list[str], role: str) -> Any:
    word = encoder.words.get(role)
    return np.stack([vector(text, word, encoder.contract.dim) for text in texts])


def billed() -> int:
    return sum(entry.tokens for entry in entries())


@pytest.mark.parametrize("name", MODELS)
def test_what_passes_is_asked_again_and_nothing_is_lost_or_paid_twice(
    name: str,
    vendor: Loopback,
    word_tokenisers: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(VENDORS[name], "timeout", 0.3)
    vendor.slow = 0.5
    encoder = opened(name, vendor.url, monkeypatch)
    before = len(list(entries()))
    vendor.forget()
    vendor.faults = [*PASSING, *([] if encoder.client.vendor.in_order else ["shuffled"])]
    doubled = [*TEXTS, TEXTS[0], "", TEXTS[7]]
    forecast = encoder.forecast(doubled, DOCUMENT)
    made = encoder.encode_document(doubled)
    assert forecast.items == len(TEXTS)
    wanted = expected(encoder, TEXTS, DOCUMENT)
    found = np.asarray(made)
    np.testing.assert_allclose(found[: len(TEXTS)], wanted, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(found[[30, 32]], found[[0, 7]])
    assert not found[31].any()
    assert sorted(vendor.texts) == sorted(TEXTS), "each text is answered once"
    assert vendor.most_at_once <= caller.AT_ONCE
    told = [entry for entry in list(entries())[before:] if entry.outcome != LOST]
    assert sum(entry.items for entry in told) == len(TEXTS)
    tells = not any(entry.estimated for entry in told)
    assert tells == (name not in ("gemini", "tei"))
    if tells:
        assert made.counts is not None
        counted = int(made.counts[: len(TEXTS), 0].sum())
        assert sum(entry.tokens for entry in told) == vendor.billed == counted
    if forecast.counted_by:
        assert forecast.tokens == vendor.billed
    asked = len(vendor.bodies)
    again = encoder.encode_document(doubled)
    assert len(vendor.bodies) == asked, "the second time everything is in the cache"
    np.testing.assert_array_equal(np.asarray(again), found)
    assert again.usage.tokens == made.usage.tokens
    assert encoder.forecast(doubled, DOCUMENT).tokens == 0
    if encoder.words:  # the same texts as queries are other vectors
        np.testing.assert_allclose(
            np.asarray(encoder.encode_query(TEXTS[:3])),
            expected(encoder, TEXTS[:3], QUERY),
            atol=1e-7,
        )
    assert not hides_no_key(caplog.text)


def hides_no_key(text: str) -> list[str]:
    """Where the key can be read: in what was logged, or in a file of the cache."""
    files = [path for path in home().rglob("*") if path.is_file()]
    found = [str(path) for path in files if KEY.encode() in path.read_bytes()]
    return found + (["the log"] if KEY in text else [])


@pytest.mark.parametrize("fault", WRONG_ANSWERS)
@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_answer_names_vendor_request_and_item_and_the_rest_is_kept(
    name: str, fault: str, vendor: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = opened(name, vendor.url, monkeypatch)
    vendor.forget()
    before = len(list(entries()))
    monkeypatch.setattr(caller, "AT_ONCE", 1)
    vendor.faults = ["", fault]
    in_order = encoder.client.vendor.in_order
    title = encoder.client.vendor.title
    request = "" if name == "voyage" else r".*\(request req-"  # whose SDK drops the header
    with pytest.raises(VendorError, match=rf"{title} at .*item \d+ .*{request}") as raised:
        encoder.encode_document(TEXTS)
    # the first request holds items 0 to 6, and the second item of the second is spoilt
    item = 13 if fault == "short" and not in_order else 7 if fault == "short" else 8
    assert f"item {item} " in str(raised.value)
    lost = 7 if fault == "short" and in_order else 1
    asked = len(vendor.texts)
    assert asked == len(TEXTS), "the others are asked for nevertheless"
    found = np.asarray(encoder.encode_document(TEXTS))
    np.testing.assert_allclose(found, expected(encoder, TEXTS, DOCUMENT), rtol=0, atol=1e-7)
    assert len(vendor.texts) == asked + lost, "only what was wrong is paid again"
    told = list(entries())[before:]
    assert [entry.outcome for entry in told].count(WRONG) == 1
    if not any(entry.estimated for entry in told):
        assert sum(entry.tokens for entry in told) == vendor.billed


@pytest.mark.parametrize("name", MODELS)
def test_a_refused_item_is_found_and_named(
    name: str, vendor: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = opened(name, vendor.url, monkeypatch)
    vendor.forget()
    vendor.refuse = "number 17 "
    with pytest.raises(ModelError, match="item 17 is refused: an input is not allowed"):
        encoder.encode_document(TEXTS)
    assert sorted(vendor.texts) == sorted(text for text in TEXTS if vendor.refuse not in text)


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_key_ends_at_once_and_is_not_repeated(
    name: str, vendor: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = opened(name, vendor.url, monkeypatch)
    vendor.forget()
    monkeypatch.setattr(caller, "AT_ONCE", 1)
    vendor.faults = ["401"]
    with pytest.raises(VendorError, match=r"HTTP 401: no: .*; the key is the one in") as raised:
        encoder.encode_document(TEXTS)
    assert KEY not in str(raised.value)
    assert raised.value.__cause__ is None
    assert len(vendor.bodies) == 1


def test_each_vendor_is_in_the_suite() -> None:
    assert set(MODELS) == set(VENDORS)
    for name in VENDORS:
        kind: type[Vendor] = VENDORS[name]
        assert kind.title
        assert kind.free or kind.key_variables


def test_a_run_that_is_stopped_pays_for_nothing_twice(
    vendor: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = opened("tei", vendor.url, monkeypatch)
    monkeypatch.setattr(encoder.client, "limits", Limits(2))
    vendor.forget()

    def stop(done: int, total: int, note: str = "") -> None:
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode_document(TEXTS, progress=stop)
    paid = len(vendor.texts)
    assert 10 <= paid < len(TEXTS)
    assert paid == sum(entry.items for entry in entries())
    found = np.asarray(encoder.encode_document(TEXTS))
    np.testing.assert_allclose(found, expected(encoder, TEXTS, DOCUMENT), rtol=0, atol=1e-7)
    assert sorted(vendor.texts) == sorted(TEXTS)


def test_openai_is_forecast_by_tiktoken(vendor: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    bytes_of = tiktoken.Encoding(
        "cl100k_base", pat_str=r"\S+|\s+", mergeable_ranks={bytes([at]): at for at in range(256)},
        special_tokens={"<|endoftext|>": 256},
    )  # fmt: skip
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", bytes_of)
    vendor.count = lambda text: len(text.encode())
    encoder = opened("openai", vendor.url, monkeypatch)
    texts = [*TEXTS, "ein Ärgernis <|endoftext|>"]
    forecast = encoder.forecast(texts, DOCUMENT)
    encoder.encode_document(texts)
    assert (forecast.counted_by, forecast.tokens) == ("tiktoken", vendor.billed)
    assert forecast.price == pytest.approx(vendor.billed * 0.02e-6)
    assert sum(entry.price or 0 for entry in entries()) == pytest.approx(forecast.price)
    monkeypatch.setattr(encoder, "contract", encoder.contract.__class__("x", 24, 40))
    with pytest.warns(
        nf.TruncationWarning if hasattr(nf, "TruncationWarning") else Warning, match="lost 60"
    ):
        encoder.encode_document(["x" * 100])
    assert vendor.texts[-1] == "x" * 40
