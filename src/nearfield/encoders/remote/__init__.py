"""Models that are asked over HTTP: one file per vendor."""

from __future__ import annotations

from nearfield.encoders.remote.vendor import Vendor
from nearfield.registry import Registry

VENDORS: Registry[type[Vendor]] = Registry(
    "vendor",
    {
        "openai": "nearfield.encoders.remote.openai:OpenAI",
        "cohere": "nearfield.encoders.remote.cohere:Cohere",
        "voyage": "nearfield.encoders.remote.voyage:Voyage",
        "jina": "nearfield.encoders.remote.jina:Jina",
        "gemini": "nearfield.encoders.remote.gemini:Gemini",
        "mistral": "nearfield.encoders.remote.mistral:Mistral",
        "nomic": "nearfield.encoders.remote.nomic:Nomic",
        "tei": "nearfield.encoders.remote.tei:TextEmbeddingsInference",
        "ollama": "nearfield.encoders.remote.ollama:Ollama",
        "compatible": "nearfield.encoders.remote.compatible:Compatible",
    },
)
"""By what stands before the colon of a spec; a URL without that is asked as `compatible`."""
