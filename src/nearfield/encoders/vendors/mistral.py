"""Mistral's API. Source: docs.mistral.ai/api."""

from __future__ import annotations

from nearfield.encoders.vendors.vendor import Chatting, Limits


class Mistral(Chatting):
    """The rates are those of its first paid tier."""

    title = "Mistral AI"
    url = "https://api.mistral.ai/v1"
    url_variables = ("MISTRAL_BASE_URL",)
    key_variables = ("MISTRAL_API_KEY",)
    cuts = False
    limits = Limits(128, 16_000, 360, 20_000_000)
    dim_field = "output_dimension"
