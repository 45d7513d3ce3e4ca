"""Any server in the shape of OpenAI's API: vLLM, infinity, llama.cpp, LM Studio and others."""

from __future__ import annotations

from nearfield.encoders.vendors.vendor import Chatting, Limits


class Compatible(Chatting):
    """It has no roles, so that the model's own prompts are put before the texts here."""

    title = "the server"
    url = ""
    key_variables = ("NEARFIELD_API_KEY",)
    cuts = False
    limits = Limits(64)
    free = True
    timeout = 600.0
