"""The HTTP interfaces of other embedding services, by name."""

from __future__ import annotations

from nearfield.registry import Registry
from nearfield.serve.dialect import Dialect

DIALECTS: Registry[Dialect] = Registry(
    "dialect",
    {
        "openai": "nearfield.serve.dialects.openai:DIALECT",
        "cohere": "nearfield.serve.dialects.cohere:DIALECT",
        "voyage": "nearfield.serve.dialects.voyage:DIALECT",
        "jina": "nearfield.serve.dialects.jina:DIALECT",
        "tei": "nearfield.serve.dialects.tei:DIALECT",
        "ollama": "nearfield.serve.dialects.ollama:DIALECT",
    },
)
