"""Vendors of models behind an API: one file for each wire format."""

from __future__ import annotations

from nearfield.encoders.vendors.vendor import Vendor
from nearfield.registry import Registry

VENDORS: Registry[type[Vendor]] = Registry(
    "vendor",
    {
        "openai": "nearfield.encoders.vendors.openai:OpenAI",
        "cohere": "nearfield.encoders.vendors.cohere:Cohere",
        "voyage": "nearfield.encoders.vendors.voyage:Voyage",
        "jina": "nearfield.encoders.vendors.jina:Jina",
        "gemini": "nearfield.encoders.vendors.gemini:Gemini",
        "mistral": "nearfield.encoders.vendors.mistral:Mistral",
        "nomic": "nearfield.encoders.vendors.nomic:Nomic",
        "tei": "nearfield.encoders.vendors.tei:TextEmbeddingsInference",
        "ollama": "nearfield.encoders.vendors.ollama:Ollama",
        "compatible": "nearfield.encoders.vendors.compatible:Compatible",
    },
)
"""By what stands before the colon of a spec; a URL without that is asked as `compatible`."""
