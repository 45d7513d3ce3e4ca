"""Images asked of vendors: in their shapes, within their limits, apart from texts, paid once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nearfield as nf
from nearfield.encoders.remote.encoder import RemoteEncoder
from nearfield.encoders.remote.ledger import LOST, WRONG, entries
from nearfield.encoders.vendors.vendor import Limits
from nearfield.errors import InputError, ModelError, VendorError
from nearfield.types.role import DOCUMENT
from vendors import Loopback, vector

MODELS = {
    "voyage:voyage-multimodal-3": "voyageai",
    "cohere:embed-v4.0": "cohere",
    "cohere:embed-english-v3.0": "cohere",
    "jina:jina-clip-v2": "httpx2",
}


def images(folder: Path, count: int = 3) -> list[Path]:
    """Files of 1,200 pixels each; the second has a format that vendors do not read."""
    made = []
    for number in range(count):
        path = folder / f"{number}{'.bmp' if number == 1 else '.png'}"
        Image.new("RGB", (40, 30), (number, 20, 30)).save(path)
        made.append(path)
    return made


def opened(name: str) -> RemoteEncoder:
    pytest.importorskip(MODELS[name], reason=f"{MODELS[name]} is not installed")
    encoder = nf.load(name)
    assert isinstance(encoder, RemoteEncoder)
    return encoder


@pytest.mark.parametrize("name", MODELS)
def test_images_are_asked_for_apart_from_texts_and_paid_once(
    name: str, vendor: Loopback, tmp_path: Path
) -> None:
    encoder = opened(name)
    items = ["a cat", *images(tmp_path), Image.new("RGB", (40, 30), (0, 20, 30))]
    before = len(list(entries()))
    alone = encoder.images is not None and encoder.images.limits.items == 1
    vendor.faults = ["429", "", *([] if alone else ["short"])]
    if alone:
        made = encoder.encode_document(items)
    else:
        with pytest.raises(VendorError, match=r"item \d "):
            encoder.encode_document(items)
        made = encoder.encode_document(items)
    found = np.asarray(made)
    dim = encoder.contract.dim
    word = encoder.words.get(DOCUMENT) or None
    np.testing.assert_allclose(found[0], vector("a cat", word, dim), atol=1e-6)
    of_images = encoder.words.get("image", word)
    sent = [text for text in vendor.texts if text != "a cat"]
    known = np.stack([vector(text, of_images, dim) for text in dict.fromkeys(sent)])
    # as PNG, the PIL image is the first file
    *files, drawn = (found[1:] @ known.T).argmax(1).tolist()
    assert sorted(files) == [0, 1, 2]
    assert drawn == files[0]
    assert (found[1:] @ known.T).max(1) == pytest.approx(1, abs=1e-5)
    assert made.usage.images == 4
    asked = len(vendor.bodies)
    np.testing.assert_array_equal(np.asarray(encoder.encode_document(items)), found)
    assert len(vendor.bodies) == asked
    outcomes = [entry.outcome for entry in list(entries())[before:]]
    assert outcomes.count(WRONG) == (0 if alone else 1)
    assert LOST not in outcomes


def test_a_forecast_of_images_has_their_price(vendor: Loopback, tmp_path: Path) -> None:
    encoder = opened("voyage:voyage-multimodal-3")
    large = Image.new("RGB", (1_000, 1_000))
    found = encoder.forecast(["a cat on a mat", *images(tmp_path), large], DOCUMENT)
    texts = encoder.forecast(["a cat on a mat"], DOCUMENT)
    # docs.voyageai.com/docs/pricing: $0.0006 for a million pixels, $0.00003 for 50,000 or fewer
    assert texts.price is not None
    assert found.price == pytest.approx(texts.price + 0.0006 + 3 * 0.00003, rel=0.01)
    assert (found.items, found.counted_by) == (5, "")
    assert not vendor.bodies


def test_what_the_vendor_would_refuse_is_refused_before_it_is_asked(
    vendor: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = opened("voyage:voyage-multimodal-3")
    assert encoder.images is not None
    with pytest.raises(InputError, match="item 1: has 20,250,000 pixels; Voyage AI takes 16,000"):
        encoder.encode(["a cat", Image.new("1", (4_500, 4_500))], role=DOCUMENT)
    monkeypatch.setattr(encoder.images, "limits", Limits(9, size=50))
    with pytest.raises(InputError, match=r"item 0: has \d+ bytes; Voyage AI takes 50 at most"):
        encoder.encode_document(images(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="item 0: is no image that can be read"):
        encoder.encode_document([tmp_path / "broken.png"])
    texts = nf.load("jina:jina-embeddings-v3")
    for item, said in (
        ("data:image/png;base64,AAAA", "item 0 is an image, and .* reads texts alone"),
        (tmp_path / "0.png", "item 0 is .*; wanted a text"),
    ):
        with pytest.raises((ModelError, InputError), match=said):
            texts.encode_document([item])
    assert not vendor.bodies


def test_requests_keep_the_limits_of_images(vendor: Loopback, tmp_path: Path) -> None:
    encoder = opened("voyage:voyage-multimodal-3")
    assert encoder.images is not None
    encoder.images.limits = Limits(2)
    encoder.encode_document(images(tmp_path, 5))
    assert sorted(map(len, vendor.answered)) == [1, 2, 2]
    assert list(encoder.images.parts([1, 1, 1], [6, 6, 1])) == [[0, 1], [2]]
    encoder.images.limits = Limits(9, size=10)
    assert list(encoder.images.parts([1, 1, 1], [6, 6, 1])) == [[0], [1, 2]]
