"""A certificate of a tiny model, what passes it, and planted faults, each called by its name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import OpenOptions
from nearfield.serve.certificate import Certificate
from nearfield.serve.limits import Limits
from nearfield.serve.models import Models, ServedModel
from nearfield.serve.verify import compare, verify
from nearfield.similarity.functions import unit
from nearfield.store.fingerprint import model_hash
from serving import PROMPTS, prompted, serving

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
Made = Callable[[Sequence[str], str], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prompted(tmp_path_factory.mktemp("certified") / "tiny", max_tokens=40)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    return load_text_encoder(folder)


@pytest.fixture(scope="module")
def certificate(encoder: TextEncoder) -> Certificate:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Certificate.make(encoder)


def plain(encoder: TextEncoder) -> Made:
    return lambda texts, role: np.asarray(encoder.encode_as(role, texts))


def pooled(encoder: TextEncoder, pooling: str) -> Made:
    other = replace(encoder.folder, contract=replace(encoder.folder.contract, pooling=pooling))
    return plain(TextEncoder(other, open_runtime(other, OpenOptions())[0]))


def told(encoder: TextEncoder, prompts: dict[str, str]) -> Made:
    return plain(encoder.under(replace(encoder.contract, prompts=prompts)))


def read(encoder: TextEncoder, *, limit: int = 40, cased: bool = False, **how: bool) -> Made:
    facts = json.loads(encoder.tokeniser.json())
    if cased:
        facts["normalizer"]["lowercase"] = False
    other = copy.copy(encoder)
    other.tokeniser = Tokeniser(Tokenizer.from_str(json.dumps(facts)), max_tokens=limit, **how)
    other.contract = replace(encoder.contract, max_tokens=limit)
    return plain(other)


def changed(encoder: TextEncoder, change: Callable[[Any], Any]) -> Made:
    return lambda texts, role: change(plain(encoder)(texts, role))


def first_lines(encoder: TextEncoder) -> Made:
    return lambda texts, role: plain(encoder)([text.split("\n")[0] for text in texts], role)


def padded(encoder: TextEncoder) -> Made:
    """Pools what pads a batch to its longest text."""

    def made(texts: Sequence[str], role: str) -> Any:
        vectors = plain(encoder)(texts, role)
        lengths = encoder.tokenise(texts, role).lengths
        return unit(vectors + 0.01 * (lengths.max() - lengths)[:, None])

    return made


def another(encoder: TextEncoder) -> Made:
    def made(texts: Sequence[str], role: str) -> Any:
        return np.stack([np.random.default_rng(len(text)).normal(size=32) for text in texts])

    return made


SWAPPED = {"query": PROMPTS["document"], "document": PROMPTS["query"]}
TWICE = {role: prompt * 2 for role, prompt in PROMPTS.items()}
FAULTS: dict[str, tuple[str, Callable[[TextEncoder], Made]]] = {
    "cls": ("wrong pooling", lambda e: pooled(e, "cls")),
    "max": ("wrong pooling", lambda e: pooled(e, "max")),
    "last": ("wrong pooling", lambda e: pooled(e, "last")),
    "no prompt": ("missing prompt", lambda e: told(e, {"query": "", "document": ""})),
    "prompt twice": ("doubled prompt", lambda e: told(e, TWICE)),
    "prompts swapped": ("wrong prompt", lambda e: told(e, SWAPPED)),
    "not unit": ("missing normalisation", lambda e: changed(e, lambda v: v * 3.7)),
    "cut at the start": ("truncation side", lambda e: read(e, from_start=True)),
    "cut at 16": ("truncation length", lambda e: read(e, limit=16)),
    "cut at 64": ("truncation length", lambda e: read(e, limit=64)),
    "upper case kept": ("lower-casing", lambda e: read(e, cased=True)),
    "no special tokens": ("special tokens", lambda e: read(e, specials=False)),
    "rounded": ("precision", lambda e: changed(e, lambda v: np.rint(v * 100) / 100)),
    "dims reversed": ("wrong dims order", lambda e: changed(e, lambda v: v[:, ::-1])),
    "half the dims": ("dimensions", lambda e: changed(e, lambda v: v[:, :16])),
    "items reversed": ("wrong order", lambda e: changed(e, lambda v: v[::-1])),
    "pads": ("depends on its batch", padded),
    "other model": ("another model", another),
    "one line": ("newlines", first_lines),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(
    fault: str, encoder: TextEncoder, certificate: Certificate
) -> None:
    name, plant = FAULTS[fault]
    found = compare(plant(encoder), certificate, encoder)
    assert name in [each.fault for each in found.faults], found
    # beside a fault that changes directions, norms and order are as they are
    assert len(found.faults) == 1 or name in ("precision", "another model", "depends on its batch")


def test_clean_back_ends_pass(folder: Path, encoder: TextEncoder, certificate: Certificate) -> None:
    assert certificate.files == model_hash(folder)
    certificate.save(folder)
    assert model_hash(folder) == certificate.files
    again = Certificate.open(folder)
    assert again.texts == certificate.texts
    for spec in (str(folder), f"{folder}@torch"):
        found = verify(spec, folder)
        assert found.faults == ()
        assert [row.role for row in found.roles] == ["document", "query"]
        assert min(row.worst for row in found.roles) > 0.99999


def test_a_damaged_certificate_or_another_model_is_refused(
    certificate: Certificate, tmp_path: Path
) -> None:
    other = prompted(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match="there is no certificate; nearfield certify"):
        Certificate.open(other)
    path = certificate.save(other)
    with pytest.raises(InputError, match="is of other files"):
        Certificate.open(other)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="cannot be read"):
        Certificate.open(other)


class Bare:
    """An encoder as plain servers have it: it puts no prompt before a text."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder.under(replace(encoder.contract, prompts={}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


@pytest.fixture(scope="module")
def url(folder: Path, encoder: TextEncoder, certificate: Certificate) -> Iterator[str]:
    certificate.save(folder)
    limits = Limits()
    bare: Any = Bare(encoder)
    models = Models(
        [
            ServedModel(f"tiny={folder}", limits),
            ServedModel(f"bare={folder}", limits, encoder=lambda _: bare),
        ],
        limits,
    )
    with serving(models) as address:
        yield address


@pytest.mark.parametrize("dialect", ["", "cohere:", "voyage:", "jina:", "ollama:", "tei:"])
def test_the_server_passes_in_each_dialect(
    dialect: str, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COHERE_API_KEY", "CO_API_KEY", "VOYAGE_API_KEY", "JINA_API_KEY"):
        monkeypatch.setenv(name, "none")
    places = {"": f"{url}/v1#tiny:{{role}}"}
    places |= {name: f"{name}{url}#tiny:{{role}}" for name in ("ollama:", "tei:")}
    versions = {"cohere:": "", "voyage:": "/v1", "jina:": "/v1"}
    target = places.get(dialect) or f"{dialect}{url}{versions[dialect]}#tiny"
    found = verify(target, folder)
    assert found.faults == ()


@pytest.mark.parametrize("target", ["{url}/v1#bare:{{role}}", "ollama:{url}#bare", "{url}/v1#tiny"])
def test_servers_that_drop_prompts_are_told_so(target: str, url: str, folder: Path) -> None:
    found = verify(target.format(url=url), folder)
    expected = "wrong prompt" if target.endswith("#tiny") else "missing prompt"
    assert [each.fault for each in found.faults] == [expected]
