"""Images from wherever they come, as RGB; and as data URLs, as which they travel among texts."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nearfield.errors import InputError, first_line
from nearfield.extras import require
from nearfield.store.regular import read_bytes
from nearfield.types.item import URL, is_image_url

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# of one image, 192 MB as RGB; a phone's largest photo has 50 million
MOST_PIXELS: Final = 64_000_000
MOST_BYTES: Final = 64 << 20  # of one file


def open_image(item: object, *, name: str = "") -> Image:
    """The image as RGB, 8 bits per channel, upright as its EXIF orientation says.

    `item` is a path, the bytes of a file, a data URL, a PIL image, or an array (height, width) or
    (height, width, 1, 3 or 4) of uint8 or uint16. Alpha is dropped, as the models' own processors
    do; of an animation the first frame is taken; 16 bits keep their upper 8. Errors call it `name`.
    Raises InputError for what is not an image, is damaged or has more than 64 million pixels, and
    MissingExtra without pillow.
    """
    library = require("PIL.Image", extra="vision")
    if isinstance(item, np.ndarray):
        item = _of_array(item, name or "the array")
    if isinstance(item, library.Image):
        return _upright_rgb(item, name or "the image")
    content, where = _content(item)
    where = name or where
    if not content:
        raise InputError("is empty; wanted an image", path=where)
    try:
        with library.open(io.BytesIO(content)) as image:
            return _upright_rgb(image, where)
    except InputError:
        raise
    except (library.DecompressionBombError, library.DecompressionBombWarning) as error:
        raise _too_large(where) from error
    except library.UnidentifiedImageError as error:
        raise InputError(
            f"is no image that can be read; it begins with {content[:8]!r}", path=where
        ) from error
    # what pillow raises for a damaged file depends on the format: a dozen kinds of errors
    except Exception as error:
        raise InputError(f"is a damaged image: {first_line(error)}", path=where) from error


def image_url(item: Path | bytes) -> str:
    """The data URL of an image file. Raises InputError as `open_image` does: it is decoded once."""
    content, where = _content(item)
    open_image(content, name=where)
    return data_url(content)


def file_of(item: object) -> bytes:
    """The file of an image, which is not decoded; an array and a PIL image become a PNG file.
    Raises InputError for anything that `open_image` does not take.
    """
    if isinstance(item, str | bytes | Path):
        return _content(item)[0]
    written = io.BytesIO()
    open_image(item).save(written, "PNG")
    return written.getvalue()


def data_url(content: bytes, kind: str = "*") -> str:
    """The data URL of an image file of the kind png, jpeg, webp or gif; * stands for any."""
    return f"{URL}{kind};base64,{base64.b64encode(content).decode()}"


def _content(item: object) -> tuple[bytes, str]:
    """The bytes of an image file, and what errors call it."""
    if is_image_url(item):
        head, _, body = str(item).partition(",")
        try:
            return base64.b64decode(body, validate=True), "the data URL"
        except binascii.Error as error:
            raise InputError(f"holds no base64: {error}", path=f"{head},...") from error
    if isinstance(item, bytes):
        return item, "the bytes"
    if isinstance(item, str | Path):
        try:
            return read_bytes(item, limit=MOST_BYTES), str(item)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=item) from error
    raise InputError(
        f"an image is a {type(item).__name__}; wanted a path, the bytes of a file, a data URL, "
        "an array or a PIL image"
    )


def _upright_rgb(image: Image, where: str) -> Image:
    operations = require("PIL.ImageOps", extra="vision")
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(where, f"{image.width:,} x {image.height:,}")
    upright: Image = operations.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits: pillow's I;16, or I of 32
        upright = _of_array(np.clip(np.asarray(upright), 0, 65535).astype(np.uint16), where)
    if upright.mode == "F":
        raise InputError("has floating-point pixels, whose range is unknown", path=where)
    if upright.mode == "P" and "transparency" in upright.info:
        upright = upright.convert("RGBA")  # pillow warns where such an image becomes RGB at once
    return upright.convert("RGB")


def _of_array(array: Any, where: str) -> Image:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not shaped or not array.size or array.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"is an array {array.shape} of {array.dtype}; wanted (height, width) or (height, "
            "width, 1, 3 or 4) of uint8 or uint16",
            path=where,
        )
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    made: Image = require("PIL.Image", extra="vision").fromarray(array)
    return made


def _too_large(where: str, size: str = "it") -> InputError:
    return InputError(
        f"is too large: {size} is more than {MOST_PIXELS:,} pixels; make it smaller", path=where
    )
