"""Folders of images, as people keep them: with captions, beside texts and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nearfield.data.open import open_collection, open_labelled, open_pairs, recognise
from nearfield.data.sources.image_folder import ImageFolder
from nearfield.data.sources.texts import TextFolder
from nearfield.errors import InputError

NAMES = ("cat.png", "red dog.jpg", "in a folder/grün.gif")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), "red").save(path)
    return folder


def captions(folder: Path, *rows: dict[str, Any], name: str = "captions.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_splits_of_captions_are_called_as_those_of_every_source(photos: Path) -> None:
    splits = ["Train", "valid", "TEST"]
    captions(
        photos,
        *(
            {"file": name, "caption": name, "split": split}
            for name, split in zip(NAMES, splits, strict=True)
        ),
    )
    assert open_collection(photos).splits == ("train", "dev", "test")


def test_captions_under_no_known_name_are_refused(photos: Path) -> None:
    captions(photos, {"file": "cat.png", "description": "a cat"})
    with pytest.raises(InputError, match=r"captions\.jsonl: has no captions; wanted a column"):
        open_collection(photos)


def test_captions_are_read_as_a_list_of_json(photos: Path) -> None:
    text = json.dumps([{"file": "cat.png", "caption": "a cat"}])
    (photos / "captions.json").write_text(text, encoding="utf-8")
    assert open_collection(photos).queries["text"].to_pylist() == ["a cat"]


def test_a_caption_of_what_is_not_read_as_an_image_is_refused(photos: Path) -> None:
    (photos / "drawing.svg").write_text("<svg/>", encoding="utf-8")
    captions(
        photos,
        {"file": "cat.png", "caption": "a cat"},
        {"file": "drawing.svg", "caption": "a drawing"},
    )
    with pytest.raises(InputError, match=r"captions\.jsonl:2: image 'drawing\.svg' is not a file"):
        open_collection(photos)


@pytest.mark.parametrize("about", ["README.md", "LICENSE.txt"])
def test_what_says_something_of_images_does_not_make_them_texts(photos: Path, about: str) -> None:
    (photos / about).write_text("Photos of last summer.", encoding="utf-8")
    assert isinstance(recognise(photos), ImageFolder)


def test_captions_make_a_folder_one_of_images_whatever_lies_beside(photos: Path) -> None:
    (photos / "notes.txt").write_text("Photos of last summer.", encoding="utf-8")
    assert isinstance(recognise(photos), TextFolder)
    captions(photos, {"file": "cat.png", "caption": "a cat"})
    assert isinstance(recognise(photos), ImageFolder)


def test_columns_are_known_whatever_their_case_and_underscores(photos: Path) -> None:
    captions(photos, {"FileName": "cat.png", "Caption": "a cat", "Foils": ["a dog"]})
    assert open_collection(photos).queries["text"].to_pylist() == ["a cat"]
    (row,) = open_pairs(photos).table.to_pylist()
    assert row["negatives"] == ["a dog"]


def test_columns_that_name_no_image_are_said(photos: Path) -> None:
    captions(photos, {"photo": "cat.png", "caption": "a cat"})
    with pytest.raises(
        InputError,
        match=r"captions\.jsonl:1: has columns photo, caption; wanted the name of an",
    ):
        open_collection(photos)


def test_captions_that_were_printed_as_a_list_are_several(photos: Path) -> None:
    text = "file,captions,foils\ncat.png,\"['a cat', 'a red cat']\",\"['a dog']\"\n"
    (photos / "captions.csv").write_text(text, encoding="utf-8")
    assert open_collection(photos).queries["text"].to_pylist() == ["a cat", "a red cat"]
    first, _ = open_pairs(photos).table.to_pylist()
    assert (first["query"][:10], first["positive"]) == ("data:image", "a cat")
    assert first["negatives"] == ["a dog"]


def test_folders_of_splits_are_known_by_their_usual_names(tmp_path: Path) -> None:
    for at, place in enumerate(["Training/cat", "validation/cat", "testing/dog", "training/dog"]):
        path = tmp_path / "photos" / place / f"{at}.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (4, 3 + at), "red").save(path)
    found = open_labelled(tmp_path / "photos")
    assert (sorted(found.train.labels), found.test.labels) == (["cat", "dog"], ("dog",))
    with pytest.raises(InputError, match="or images that lie in folders called as their labels"):
        open_labelled(tmp_path / "photos" / "testing")
