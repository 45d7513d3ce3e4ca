"""Texts and images in one collection from files to the server, and images in requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest
from PIL import Image

import nearfield as nf
from nearfield.data.open import open_stream
from nearfield.data.readers.image import image_url
from nearfield.encoders.vendors import VENDORS
from nearfield.errors import InputError
from nearfield.retrieval.searchable import Plan
from nearfield.serve.app import application
from nearfield.vectors.encode_to import encode_to
from serving import models_of, running
from towers import images_of_each_kind, save, tiny_towers

SDK = {"cohere": "cohere", "voyage": "voyageai"}
CAPTIONS = ["a red cat", "a blue dog", "the green tree"]
TEXTS = {"note": "the red house", "page": "a dog of the blue star"}


class Place(NamedTuple):
    url: str
    model: Any
    data: Path
    images: list[Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("mixed")
    folder, data = tiny_towers(home / "clip", "siglip"), home / "data"
    images = images_of_each_kind(data, 3)
    rows: list[Any] = [
        {"file": image.name, "caption": caption}
        for image, caption in zip(images, CAPTIONS, strict=True)
    ]
    rows.append({"file": "note", "caption": "where is a red house"})
    (data / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"id": key, "text": text} for key, text in TEXTS.items()]
    (data / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = nf.load(folder)
    app = application(
        models_of([f"clip={folder}"]), found=nf.index(model, data, plan=Plan(fuse=True))
    )
    with running(app) as url:
        yield Place(url, model, data, images)


def test_texts_and_images_are_one_collection(place: Place, tmp_path: Path) -> None:
    found = nf.open_collection(place.data)
    assert list(found.document_ids) == [*(path.name for path in place.images), *TEXTS]
    documents = np.asarray(place.model.encode([*place.images, *TEXTS.values()]))
    scores = np.asarray(place.model.encode(found.query_texts)) @ documents.T
    table = nf.compare([place.model], found, measures=["Success@1"])
    right = (scores.argmax(1) == np.arange(4)).mean()
    assert table.rows[0].means["Success@1"] == pytest.approx(right)
    kept = nf.index(place.model, found, tmp_path / "kept")
    hits = kept.search("a red cat", k=5)
    order = np.argsort(-scores[0])
    assert [hit.id for hit in hits] == [found.document_ids[at] for at in order.tolist()]
    stream = open_stream(place.data, "document")
    assert stream.total() == 5
    encode_to(place.model, stream, tmp_path / "vectors")
    np.testing.assert_allclose(np.load(tmp_path / "vectors" / "vectors.npy"), documents, atol=1e-5)
    keys = (tmp_path / "vectors" / "ids.jsonl").read_text().splitlines()
    assert [*map(json.loads, keys)] == list(found.document_ids)
    listed = nf.index(place.model, [*place.images, *TEXTS.values()]).search("a red cat", k=5)
    assert [hit.text for hit in listed] == [hit.text for hit in hits]
    with pytest.raises(InputError, match=r":2: .*captions\.jsonl: is no image"):
        nf.index(place.model, ["a text", place.data / "captions.jsonl"])


def test_bm25_reads_no_image(place: Place) -> None:
    hits = nf.index("bm25", place.data).search("image png base64 house", k=5)
    assert [hit.id for hit in hits] == ["note"]


def test_search_finds_images_by_texts_and_by_images(place: Place) -> None:
    query = image_url(place.images[1])
    for asked in ("a red cat", query):
        rows = httpx2.post(f"{place.url}/search", json={"query": asked, "k": 5}).json()["results"]
        assert {row["id"] for row in rows} == {*TEXTS, *(path.name for path in place.images)}
    assert rows[0]["id"] == place.images[1].name
    assert rows[0]["text"] == query


def test_images_in_each_dialect(place: Place) -> None:
    path = place.images[0]
    own = np.asarray(place.model.encode([path, "a cat"]))
    plain, url = base64.b64encode(path.read_bytes()).decode(), image_url(path)

    def asked(path: str, **body: Any) -> Any:
        answer = httpx2.post(place.url + path, json={"model": "clip"} | body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    jina = asked("/v1/embeddings", input=[{"image": plain}, {"text": "a cat"}], task="x")
    found = [[row["embedding"] for row in jina["data"]]]
    content = [
        [{"type": "image_url", "image_url": {"url": url}}],
        [{"type": "text", "text": "a cat"}],
    ]
    inputs = [{"content": parts} for parts in content]
    for body in (
        {"input_type": "search_document", "images": [url], "texts": ["a cat"]},
        {"input_type": "search_document", "inputs": inputs},
    ):
        cohere = asked("/v2/embed", **body)
        found.append(cohere["embeddings"]["float"])
        assert cohere["texts"] == ["a cat"]
    alone = asked("/v2/embed", input_type="image", images=[url])["embeddings"]["float"]
    content[0] = [{"type": "image_base64", "image_base64": url}]
    voyage = asked("/v1/multimodalembeddings", inputs=[{"content": parts} for parts in content])
    found.append([row["embedding"] for row in voyage["data"]])
    for made in found:
        # a text before an image, or behind it, is the same text
        assert np.allclose(np.sort(np.asarray(made), 0), np.sort(own, 0), atol=1e-5)
    np.testing.assert_allclose(alone, own[:1], atol=1e-5)


def test_vendors_encoders_give_the_images_vectors(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each vendor's shape, answered by the server here."""
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path))
    drawn = Image.open(place.images[0]).convert("RGB")
    bitmap = save(drawn.convert("RGBA"), tmp_path / "other", 7)
    items = ["a cat", *place.images, place.images[1].read_bytes(), bitmap, drawn]
    own = np.asarray(place.model.encode(items))
    for vendor, path in (("voyage", "/voyage/v1"), ("cohere", ""), ("jina", "/jina/v1")):
        if vendor in SDK:
            pytest.importorskip(SDK[vendor], reason=f"{SDK[vendor]} is not installed")
        for name in VENDORS[vendor].key_variables:
            monkeypatch.setenv(name, "sk-tiny")
        encoder = nf.load(f"{vendor}:{place.url}{path}#clip")
        found = np.asarray(encoder.encode_document(items))
        np.testing.assert_allclose(found, own, rtol=0, atol=1e-5)


def test_a_client_reaches_no_file_and_no_address(place: Place) -> None:
    secret = str(place.images[0])
    for path, body in {
        "/v1/embeddings": {"model": "clip:image", "input": [secret]},
        "/v2/embed": {"input_type": "image", "texts": [secret]},
        "/cohere/v2/embed": {"input_type": "image", "images": ["http://127.0.0.1/x.png"]},
        "/jina/v1/embeddings": {"input": [{"image": "file:///etc/hostname"}]},
        "/v1/multimodalembeddings": {
            "inputs": [{"content": [{"type": "image_url", "image_url": "https://x.org/y.png"}]}]
        },
    }.items():
        answer = httpx2.post(place.url + path, json={"model": "clip"} | body)
        assert 400 <= answer.status_code < 500
        assert "base64" in answer.text


def test_an_image_that_is_none_is_refused(place: Place) -> None:
    both = [{"type": "text", "text": "a"}, {"type": "image_base64", "image_base64": "AAAA"}]
    for path, body, said in (
        ("/jina/v1/embeddings", {"input": [{"image": "AAAA"}]}, "is no image that can be read"),
        ("/jina/v1/embeddings", {"input": [{"image": "***"}]}, "holds no base64"),
        ("/v1/multimodalembeddings", {"inputs": [{"content": both}]}, "wanted texts alone, or one"),
    ):
        answer = httpx2.post(place.url + path, json={"model": "clip"} | body)
        assert 400 <= answer.status_code < 500
        assert said in answer.text
