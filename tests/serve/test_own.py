"""Search over HTTP, the contracts, and the page's files."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

import nearfield as nf
from nearfield.retrieval.searchable import Plan
from nearfield.serve.app import application
from serving import models_of, prompted, running

DOCUMENTS = [
    {"id": str(at), "title": title, "text": text}
    for at, (title, text) in enumerate(
        [
            ("cats", "a cat and a dog"),
            ("law", "tax law and the court"),
            ("music", "a red song is music"),
            ("files", "read and write a file"),
        ]
    )
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = prompted(tmp_path_factory.mktemp("own") / "tiny")
    found = nf.index(folder, DOCUMENTS, plan=Plan(fuse=True))
    app = application(models_of([f"tiny={folder}"]), found=found)
    with running(app) as address:
        yield address


def test_search(url: str) -> None:
    asked = {"query": "the court", "k": 3, "explain": True}
    rows = httpx2.post(f"{url}/search", json=asked).json()["results"]
    assert len(rows) == 3
    assert {"rank", "score", "id", "title", "text", "ranks", "matches"} <= set(rows[0])
    assert "court" in {match["query"] for row in rows for match in row["matches"]}
    only = {"query": "the court", "filter": {"title": ["music", "files"]}}
    kept = httpx2.post(f"{url}/search", json=only).json()["results"]
    assert {row["title"] for row in kept} == {"music", "files"}
    cut = {"query": "the court", "dim": 8, "storage": "binary", "k": 4}
    moved = httpx2.post(f"{url}/search", json=cut).json()["results"]
    assert sorted(row["whole"] for row in moved) == [1, 2, 3, 4]
    for wrong in (
        {"query": ""},
        {"query": "a", "k": 0},
        {"query": "a", "dim": 99},
        {"query": "a", "storage": "int3"},
        {"query": "a", "filter": {"x": []}},
    ):
        answer = httpx2.post(f"{url}/search", json=wrong)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


def test_contracts_and_page(url: str) -> None:
    said = httpx2.get(f"{url}/contracts").json()
    assert said["search"] == {"dim": 32}
    assert said["contracts"][0]["prompts"] == {"query": "query : ", "document": "passage : "}
    page = httpx2.get(f"{url}/")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for file in ("page.js", "page.css"):
        assert f"/page/{file}" in page.text
        assert "http" not in httpx2.get(f"{url}/page/{file}").text
