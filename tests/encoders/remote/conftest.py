"""The vendors on loopback, reached through the environment as their users reach them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from nearfield.encoders.remote import caller
from vendors import KEY, Loopback, loopback

PLACES = {
    "OPENAI": ("OPENAI_BASE_URL", "/openai/v1"),
    "CO": ("CO_API_URL", "/cohere"),
    "VOYAGE": ("VOYAGE_BASE_URL", "/voyage/v1"),
    "JINA": ("JINA_BASE_URL", "/jina/v1"),
    "GEMINI": ("GEMINI_BASE_URL", "/gemini/v1beta"),
    "MISTRAL": ("MISTRAL_BASE_URL", "/mistral/v1"),
    "NOMIC": ("NOMIC_BASE_URL", "/nomic/v1"),
    "TEI": ("TEI_BASE_URL", "/tei"),
    "OLLAMA": ("OLLAMA_HOST", "/ollama"),
}
HUB = (
    "Cohere/Cohere-embed-english-v3.0",
    "voyageai/voyage-3-large",
    "jinaai/jina-embeddings-v3",
    "nomic-ai/nomic-embed-text-v1.5",
)


@pytest.fixture(scope="session")
def served() -> Iterator[Loopback]:
    with loopback() as vendor:
        yield vendor


@pytest.fixture
def vendor(served: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The vendor, without what it was asked before; the cache is empty, waits are short."""
    for name, (variable, path) in PLACES.items():
        monkeypatch.setenv(variable, served.url + path)
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(caller, "FIRST_WAIT", 0.002)
    served.faults.clear()
    served.forget()
    served.refuse = ""
    served.count = lambda text: len(text.split())
    yield served
    assert served.faults == [], "a fault that no request met"


@pytest.fixture
def word_tokenisers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's cache with tokenisers that count words, as the loopback vendors bill."""
    cache = tmp_path / "hub"
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for name in HUB:
        folder = cache / f"models--{name.replace('/', '--')}"
        snapshot = folder / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        words.save(str(snapshot / "tokenizer.json"))
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
