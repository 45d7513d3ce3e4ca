"""Images as requests hold them: data URLs, base64, and parts of an input beside texts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from nearfield.serve.refusal import INVALID, Refusal
from nearfield.types.item import URL, is_image_url


def as_url(image: str) -> str:
    """The data URL of an image given so, or as the base64 of a file. Raises Refusal for an address,
    which is not fetched: a client could reach through it what it cannot reach itself.
    """
    if is_image_url(image):
        return image
    # base64 has no colon; an address has one behind its scheme
    if ":" in image:
        message = f"an image is at {image[:60]!r}, and this server fetches none; send it in base64"
        raise Refusal(INVALID, message)
    return f"{URL}*;base64,{image}"


class Address(BaseModel):
    """Where an image is."""

    url: str


class Part(BaseModel):
    """A part of an input: a text, or an image by its data URL or base64."""

    type: Literal["text", "image_url", "image_base64"]
    text: str = ""
    image_url: str | Address = ""
    image_base64: str = ""


class Content(BaseModel):
    """An input in parts: texts, which are read one after the other, or one image."""

    content: list[Part] = Field(min_length=1)

    @property
    def item(self) -> str:
        """The text, or the image's data URL. Raises Refusal for an image among other parts."""
        if all(part.type == "text" for part in self.content):
            return "\n".join(part.text for part in self.content)
        if len(self.content) > 1:
            message = "an input has an image among other parts; wanted texts alone, or one image"
            raise Refusal(INVALID, message)
        (image,) = self.content
        given = getattr(image, image.type)
        return as_url(given.url if isinstance(given, Address) else given)
