"""Images as a vendor takes them: files of four kinds in base64, within its limits."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

from nearfield.data.readers.image import data_url, file_of, open_image
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.client import Client
from nearfield.encoders.remote.known import image_price_of, images_of
from nearfield.errors import InputError
from nearfield.extras import require
from nearfield.types.item import Item, is_image
from nearfield.types.role import Role

_TAKEN = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "GIF": "gif"}
"""The data URL's word for the formats of Pillow's that every vendor reads; a phone's MPO is a JPEG
with a second image behind it.
"""


class Shown(NamedTuple):
    """An image as it is sent, and about how many tokens the vendor counts in it."""

    url: str
    tokens: int


def image_client(address: Address) -> Client | None:
    """What asks for the vectors of images; None where the model takes none."""
    limits = images_of(address)
    if limits is None:
        return None
    return Client(address, price=image_price_of(address), limits=limits, estimates=True)


def as_text(item: Item, role: Role, place: int) -> str:
    """A text as it is; an image as the data URL of its file, by which it is cached. Nothing is
    decoded. Raises InputError, naming the item, for what is neither.
    """
    if not is_image(item, role):
        return str(item)
    try:
        return data_url(file_of(item))
    except InputError as error:
        raise InputError(f"item {place}: {error}") from error


def shown(url: str, place: int, client: Client) -> Shown:
    """The image of a data URL as the vendor takes it; of a format that not every vendor reads, it
    becomes a PNG file. Raises InputError, naming the item, for an image that is damaged, or has
    more pixels or bytes than the vendor takes.
    """
    images = client.vendor.images
    assert images is not None
    name = f"item {place}"
    content = base64.b64decode(url.partition(",")[2])
    image = open_image(content, name=name)
    pixels = image.width * image.height
    # an opened image no longer knows of what format its file was
    with require("PIL.Image", extra="vision").open(io.BytesIO(content)) as file:
        kind = _TAKEN.get(file.format)
    # such as BMP or TIFF: sent as PNG
    if kind is None:
        content = file_of(image)
    for number, most, of in (
        (pixels, images.pixels, "pixels"),
        (len(content), client.limits.size, "bytes"),
    ):
        if most is not None and number > most:
            said = f"has {number:,} {of}; {client.vendor.title} takes {most:,} at most"
            raise InputError(said, path=name)
    return Shown(data_url(content, kind or "png"), images.tokens(pixels))
