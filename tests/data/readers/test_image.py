from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nearfield.data.open import open_collection, open_stream
from nearfield.data.readers.image import image_url, open_image
from nearfield.errors import InputError
from towers import PIXELS, bad_files, images_of_each_kind, png


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "png", exif=exif)
    # EXIF 2.32, table 6: which side of the stored image is the top, and which is the left
    turned = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.swapaxes(0, 1),
        6: np.rot90(PIXELS, -1),
        7: PIXELS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(PIXELS),
    }
    np.testing.assert_array_equal(open_image(file.getvalue()), turned[orientation])


def test_bits_channels_and_frames_become_rgb() -> None:
    grey = PIXELS[:, :, 0]
    for given in (
        grey,
        grey[:, :, None],
        grey.astype(np.uint16) * 257,
        png(grey.astype(np.uint16) * 257),
    ):
        np.testing.assert_array_equal(open_image(given), np.repeat(grey[:, :, None], 3, 2))
    clear = np.dstack([PIXELS, np.zeros((9, 7), np.uint8)])
    np.testing.assert_array_equal(open_image(clear), PIXELS)
    file = io.BytesIO()
    first, second = (Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in (9, 200))
    first.save(file, "webp", save_all=True, append_images=[second], lossless=True)
    assert np.asarray(open_image(file.getvalue())).max() == 9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 2), np.float32), r"is an array \(2, 2\) of float32; wanted"),
        (np.zeros((2, 2, 2), np.uint8), "wanted .height, width"),
        (np.zeros((0, 2, 3), np.uint8), "wanted .height, width"),
        (3, "an image is a int; wanted a path"),
        ("data:image/png;base64,!", "holds no base64"),
        (Path("nowhere.png"), "nowhere.png"),
        (Image.fromarray(np.zeros((2, 2), np.float32)), "floating-point pixels"),
    ],
)
def test_what_is_no_image_is_refused(given: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_image(given)


def test_damaged_files_of_a_folder_are_rows_with_a_fault(tmp_path: Path) -> None:
    good = images_of_each_kind(tmp_path, 10)
    said = bad_files(tmp_path)
    rows = list(open_stream(tmp_path, "document").rows())
    faults = {row.key: row.fault for row in rows if row.fault}
    assert set(faults) == set(said)
    for name, why in said.items():
        assert f"{tmp_path / name}: {why}" in faults[name]
        assert "\n" not in faults[name]
    fine = {row.key: row.text for row in rows if not row.fault}
    assert fine == {path.name: image_url(path) for path in good}
    with pytest.raises(InputError, match=r"corrupt\.png: is a damaged image"):
        open_collection(tmp_path)
    for name in said:
        (tmp_path / name).unlink()
    data = open_collection(tmp_path)
    assert dict(zip(data.document_ids, data.document_texts, strict=True)) == fine
