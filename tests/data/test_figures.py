"""Documents with figures: rows name them, each has a vector, and the best part counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import nearfield as nf
from nearfield.cli.app import build
from nearfield.data.open import open_stream
from nearfield.data.readers.image import image_url
from nearfield.errors import InputError
from nearfield.types.figures import Figure, figures_in, has_figures, with_figures, worded
from tiny import tiny_model
from towers import images_of_each_kind, tiny_towers

TEXTS = ["a red cat", "the blue dog of the house", "a green tree"]
URLS = st.from_regex(r"data:image/png;base64,[A-Za-z0-9+/]{0,20}=?", fullmatch=True)


@given(st.text(), st.lists(st.builds(Figure, URLS, st.text(max_size=40)), max_size=3))
def test_figures_come_back_out_of_a_text(text: str, figures: list[Figure]) -> None:
    whole = with_figures(text, figures)
    assert has_figures(whole) == bool(figures)
    plain, found = figures_in(whole)
    assert found == figures
    if figures:
        assert plain == text.strip()
        captions = [figure.caption for figure in figures]
        assert worded(whole) == "\n\n".join([text, *captions] if text else captions).strip()
    else:
        assert plain == worded(whole) == text


def test_what_only_looks_like_a_figure_costs_no_time() -> None:
    text = "![" * 20_000 + "](data:image/"
    assert figures_in(text) == (text.strip(), [])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Path]]:
    """A model, documents with figures in JSON lines, and the figures' files."""
    home = tmp_path_factory.mktemp("figures")
    folder = tiny_towers(home / "clip", "clip")
    images = images_of_each_kind(home / "data" / "figures", 4)
    names = [f"figures/{image.name}" for image in images]
    rows: list[dict[str, Any]] = [
        {"id": "cat", "text": TEXTS[0], "figures": {"image": names[0]}["image"]},
        {
            "id": "dog",
            "text": TEXTS[1],
            "figures": [{"image": names[1], "caption": "a [blue] star"}, {"image": names[2]}],
        },
        {"id": "tree", "text": TEXTS[2]},
        {"id": "page", "text": "", "figures": [names[3]]},
    ]
    data = home / "data" / "pages.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder, data, images


def test_each_part_has_a_vector_and_the_best_counts(
    place: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    folder, data, images = place
    whole = nf.load(folder)
    parts = [
        [TEXTS[0], images[0]],
        [TEXTS[1], images[1], "a [blue] star", images[2]],
        [TEXTS[2]],
        [images[3]],
    ]
    found = nf.index(f"{folder}@chunk=50", data, tmp_path / "kept")
    for asked in ("a photo of a star", image_url(images[2])):
        query = np.asarray(whole.encode_query([asked]))[0]
        best = [float((np.asarray(whole.encode_document(part)) @ query).max()) for part in parts]
        hits = found.search(asked, k=4)
        order = np.argsort(-np.array(best)).tolist()
        assert [hit.id for hit in hits] == [("cat", "dog", "tree", "page")[at] for at in order]
        np.testing.assert_allclose([hit.score for hit in hits], sorted(best)[::-1], atol=1e-5)
    assert hits[0].id == "dog", "its figure is the query"
    assert nf.open_index(tmp_path / "kept").search(asked, k=1)[0].id == "dog"
    rows = [{"id": "dog", "text": TEXTS[1], "figures": [{"image": images[2], "caption": "x"}]}]
    in_memory = nf.index(f"{folder}@chunk=50", rows).search(asked, k=1)[0]
    assert in_memory.score == pytest.approx(1, abs=1e-5)
    told = CliRunner().invoke(
        build(), ["search", str(data), asked, "--model", f"{folder}@chunk=50", "--json"]
    )
    assert told.exit_code == 0, told.stderr
    shown = CliRunner().invoke(build(), ["data", "show", str(data)])
    assert "base64" not in shown.stdout
    assert "ignored" not in shown.stdout
    first = json.loads(told.stdout)["results"][0]
    assert (first["id"], first["text"].split("\n")[0]) == ("dog", TEXTS[1])
    assert "base64" not in told.stdout.replace(asked, "")


def test_a_model_of_texts_reads_captions(
    place: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    folder, data, _ = place
    documents = nf.open_collection(data).document_texts
    assert [row.text for row in open_stream(data, "document").rows()] == list(documents)
    with pytest.raises(InputError, match="item 0 has figures; clip@chunk=200 gives each"):
        nf.load(folder).encode_document(documents)
    plain = [TEXTS[0], f"{TEXTS[1]}\n\na [blue] star", TEXTS[2], ""]
    model = nf.load(tiny_model(tmp_path / "texts"))
    made = np.asarray(model.encode(list(documents)[:3]))
    np.testing.assert_allclose(made, np.asarray(model.encode(plain[:3])), atol=1e-6)
    hits = nf.index("bm25", data).search("star base64 png image", k=4)
    assert [hit.id for hit in hits] == ["dog"]


def test_what_a_row_says_is_checked(place: tuple[Path, Path, list[Path]], tmp_path: Path) -> None:
    outside = place[2][0]
    (tmp_path / "no.png").write_text("no image")
    for figures, said in (
        (str(outside), "leads out of"),
        ("../x.png", "leads out of"),
        ("gone.png", r"rows\.jsonl:1: .*gone\.png: does not exist"),
        ("no.png", "is no image that can be read"),
        ([{"caption": "x"}], "has the image 'None'; wanted a file beside the rows"),
        ([{"image": "no.png", "caption": "x" * 6000}], "a caption has 6,000 characters"),
    ):
        file = tmp_path / "rows.jsonl"
        file.write_text(json.dumps({"id": "a", "text": "b", "figures": figures}))
        with pytest.raises(InputError, match=said):
            nf.open_collection(file)
    with pytest.raises(InputError, match="wanted a Path, the bytes of a file, a data URL"):
        nf.open_collection([{"id": "a", "text": "b", "figures": "x.png"}])
