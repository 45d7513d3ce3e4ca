"""Certificates of sparse and multi-vector models and of rerankers: what passes, and what is named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from late_models import tiny_late
from nearfield.batch.late_tokens import LateTokens
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.reranker import Reranker
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, VendorError
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import OpenOptions
from nearfield.serve.certificate import Certificate
from nearfield.serve.verify import compare, verify
from nearfield.serve.verify_reranker import compare_scores, verify_reranker
from serving import models_of, prompted, serving
from sparse_models import tiny_splade
from tiny_cross import tiny_cross

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
Made = Callable[[Sequence[str], str], Any]


@dataclass(frozen=True)
class Certified:
    sparse: Path
    late: Path
    judge: Path
    url: str


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    """A server of a dense model and one of each other kind; TEI asks for each by its path."""
    home = tmp_path_factory.mktemp("kinds")
    folders = [
        tiny_splade(home / "sparse"),
        tiny_late(home / "late", layout="stanford"),
        tiny_cross(home / "judge"),
    ]
    for folder in folders[:2]:
        Certificate.make(load_text_encoder(folder)).save(folder)
    Certificate.of_reranker(folders[2]).save(folders[2])
    specs = [f"{folder.name}={folder}" for folder in (prompted(home / "dense"), *folders)]
    with serving(models_of(specs)) as url:
        yield Certified(*folders, url)


def made_by(encoder: TextEncoder) -> Made:
    return lambda texts, role: encoder.encode_as(role, texts).numbers()


def changed(encoder: TextEncoder, change: Callable[[Any], Any]) -> Made:
    return lambda texts, role: change(made_by(encoder)(texts, role))


def told(encoder: TextEncoder, **prompts: str) -> Made:
    return made_by(encoder.under(replace(encoder.contract, prompts=prompts)))


def pooled(encoder: TextEncoder, pooling: str) -> Made:
    other = replace(encoder.folder, contract=replace(encoder.folder.contract, pooling=pooling))
    return made_by(TextEncoder(other, open_runtime(other, OpenOptions())[0]))


def late(encoder: TextEncoder, **settings: Any) -> Made:
    other = copy.copy(encoder)
    assert encoder.late is not None
    changed = replace(encoder.late.settings, **settings)
    other.late = LateTokens(changed, encoder.tokeniser, encoder.folder.transformer)
    return made_by(other)


def greatest(rows: Any) -> Any:
    return np.where(rows >= np.sort(rows, axis=1)[:, -16, None], rows, 0)


def padded(encoder: TextEncoder) -> Made:
    """Another vector in a batch than alone."""
    return lambda texts, role: made_by(encoder)(texts, role) + 0.3 * (len(texts) > 1)


SPARSE: dict[str, Callable[[TextEncoder], Made]] = {
    "missing prompt": lambda e: told(e, query="", document=""),
    "wrong pooling": lambda e: pooled(e, "sum"),
    "wrong activation": lambda e: changed(e, lambda rows: np.log1p(rows)),
    "terms dropped": lambda e: changed(e, greatest),
    "precision": lambda e: changed(e, lambda rows: np.rint(rows * 4) / 4),
    "wrong dims order": lambda e: changed(e, lambda rows: rows[:, ::-1]),
    "wrong order": lambda e: changed(e, lambda rows: rows[::-1]),
    "depends on its batch": padded,
    "dimensions": lambda e: changed(e, lambda rows: rows[:, :7]),
    "another model": lambda e: changed(e, lambda rows: np.roll(np.sqrt(rows), 5, 1) % 1),
}
LATE: dict[str, Callable[[TextEncoder], Made]] = {
    "query expansion": lambda e: late(e, expansion=None),
    "skipped tokens": lambda e: late(e, skipped=()),
    "dimensions": lambda e: changed(e, lambda rows: rows[..., :4]),
    "wrong order": lambda e: changed(e, lambda rows: rows[::-1]),
    "wrong norms": lambda e: changed(e, lambda rows: rows * 3),
    "depends on its batch": padded,
}


def test_faults_of_sparse_and_multi_vector_models_are_named(certified: Certified) -> None:
    for folder, faults in ((certified.sparse, SPARSE), (certified.late, LATE)):
        encoder, certificate = load_text_encoder(folder), Certificate.open(folder)
        clean = compare(made_by(encoder), certificate, encoder)
        assert clean.faults == ()
        assert min(row.worst for row in clean.roles) > 0.99999
        for name, plant in faults.items():
            found = compare(plant(encoder), certificate, encoder)
            assert name in [each.fault for each in found.faults], (folder.name, name, found)


def test_faults_of_rerankers_are_named(certified: Certified) -> None:
    judge, certificate = Reranker.open(certified.judge), Certificate.open(certified.judge)

    def plain(query: str, documents: Sequence[str]) -> Any:
        everyone = np.arange(len(documents))
        return judge.score_at([query], documents, (np.zeros_like(everyone), everyone))

    def exchanged(query: str, documents: Sequence[str]) -> Any:
        return np.concatenate([plain(document, [query]) for document in documents])

    shorter = Reranker(replace(judge.folder, max_tokens=16), judge.runtime)
    faults: dict[str, Callable[[str, Sequence[str]], Any]] = {
        "exchanged": exchanged,
        "newlines": lambda q, ds: plain(q.split("\n")[0], [each.split("\n")[0] for each in ds]),
        "truncation length": lambda q, ds: np.array([shorter.score(q, [d])[0] for d in ds]),
        "wrong order": lambda q, ds: plain(q, ds)[::-1],
        "another scale": lambda q, ds: plain(q, ds) * 3 + 1,
        "precision": lambda q, ds: np.rint(plain(q, ds) * 30) / 30,
        "depends on its batch": lambda q, ds: plain(q, ds) + (len(ds) > 1),
        "another model": lambda q, ds: np.array([float(len(text) % 7) for text in ds]),
    }
    for scale, through in (("logits", np.array), ("0 to 1", expit)):
        clean = compare_scores(lambda q, ds: through(plain(q, ds)), certificate, judge)  # noqa: B023
        assert (clean.scale, clean.faults) == (scale, ())
        assert min(row.order for row in clean.queries) > 0.9999
    for name, scored in faults.items():
        found = compare_scores(scored, certificate, judge)
        assert name in [each.fault for each in found.faults], (name, found)


def test_a_server_passes_in_tei_s_dialect_and_the_command_says_so(
    certified: Certified, cli: Any
) -> None:
    for folder in (certified.sparse, certified.late):
        target = f"tei:{certified.url}#{folder.name}:{{role}}"
        assert verify(target, folder).faults == ()
        with pytest.raises(ContractError, match=r"has no .* embeddings; ask by tei:"):
            verify(f"{certified.url}/v1#{folder.name}:{{role}}", folder)
    for target in (f"tei:{certified.url}", f"jina:{certified.url}/jina/v1#judge"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JINA_API_KEY", "none")
            found = verify_reranker(target, certified.judge)
        assert (found.scale, found.faults) == ("0 to 1", ())
    said = cli("verify", f"tei:{certified.url}", "--model", certified.judge)
    assert said.exit_code == 0, said.output
    assert "gives what judge gives" in " ".join(said.stdout.split())
    said = cli("verify", f"tei:{certified.url}", "--model", certified.sparse, "--json")
    assert said.exit_code == 1  # its queries have the prompt of documents
    assert "wrong prompt" in said.stdout or "missing prompt" in said.stdout
    assert cli("certify", certified.judge).exit_code == 0
    unreached = cli("verify", "tei:http://127.0.0.1:9#x", "--model", certified.sparse)
    assert unreached.exit_code == 2
    assert "Traceback" not in unreached.output


@pytest.mark.parametrize(
    "body",
    [None, {}, [], [[{"index": 10**9, "value": 1}]], [[{"index": 0}]], [7] * 32, [["a"]] * 32],
)
def test_what_a_server_says_is_not_trusted(
    body: Any, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfield.encoders.vendors.vendor import Reply, Vendor

    monkeypatch.setattr(Vendor, "send", lambda *_: Reply(200, {}, body))
    for folder in (certified.sparse, certified.late):
        with pytest.raises(VendorError, match="tei:http://here"):
            verify("tei:http://here", folder)
    with pytest.raises(VendorError, match="tei:http://here"):
        verify_reranker("tei:http://here", certified.judge)
