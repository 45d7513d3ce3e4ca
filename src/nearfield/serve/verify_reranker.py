"""Whether a back-end gives a reranker's own scores, and if not, what it does otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr

from nearfield.encoders.load import load_reranker
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.remote.address import Address
from nearfield.encoders.reranker import Reranker
from nearfield.errors import ContractError, TruncationWarning, VendorError
from nearfield.serve.certificate import Certificate
from nearfield.serve.hypotheses import CHANGES, LENGTHS
from nearfield.serve.verify import PART, Fault, answered
from nearfield.types.arrays import Floats

NEAR = 2e-3  # scores of another machine and order of operations differ by less
ROUNDED = 0.05  # of their spread: as far as bfloat16, float16 and int8 move scores
SAME_ORDER = 0.999
SCALES: Mapping[str, Callable[[Floats], Floats]] = {"logits": np.asarray, "0 to 1": expit}
Scored = Callable[[str, Sequence[str]], Floats]
"""From a query and documents to their scores: (n,) float32."""
Scores = dict[str, Floats]
"""By query, the scores of all documents."""


@dataclass(frozen=True)
class Judgement:
    """How near a back-end's scores of one query's documents are: the greatest and the mean
    difference, Spearman's rank correlation, and the greatest difference between a document alone
    and among others.
    """

    query: str
    worst: float
    mean: float
    order: float
    alone: float


@dataclass(frozen=True)
class VerifiedScores:
    """What was found; no `faults` where the back-end gives the reranker's own scores. `scale` is
    what they are: logits, or between 0 and 1.
    """

    target: str
    model: str
    scale: str
    queries: tuple[Judgement, ...]
    faults: tuple[Fault, ...]


def verify_reranker(target: str, model: str | Path | None = None) -> VerifiedScores:
    """Compare the scores of `target` with the certificate of the cross-encoder `model` (the target
    itself by default), as logits or as what a sigmoid makes of them. Raises as `verify` does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        judge = Reranker.open(target if model is None else model)
        certificate = Certificate.open(judge.folder.path)
        return compare_scores(scorer(target), certificate, judge, target=target)


def scorer(target: str) -> Scored:
    """What gives the scores of a target, as they come."""
    address = Address.parse(target)
    if address is None:
        return _by(load_reranker(target))

    def scored(query: str, documents: Sequence[str]) -> Floats:
        scores: list[float] = []
        with closing(address.open()) as vendor:
            if not vendor.reranks:
                raise ContractError(f"{vendor.title} has no rerankers")
            for start in range(0, len(documents), PART):
                part = documents[start : start + PART]
                request = vendor.reranking(address.model, query, part)
                found = answered(target, vendor, request, vendor.relevance)
                # a document that the answer leaves out is NaN, which is refused below
                scores += [found.get(at, np.nan) for at in range(len(part))]
        try:
            row = np.asarray(scores, np.float32)
        except (TypeError, ValueError):
            row = np.array([np.nan], np.float32)
        if row.shape != (len(documents),) or not np.isfinite(row).all():
            raise VendorError(f"{target}: a score is missing or no finite number")
        return row

    return scored


def _by(judge: PairScorer, change: Callable[[str], str] = str) -> Scored:
    """The judge, of texts that are changed before it reads them."""

    def scored(query: str, documents: Sequence[str]) -> Floats:
        read = [change(document) for document in documents]
        everyone = np.arange(len(read))
        return judge.score_at([change(query)], read, (np.zeros_like(everyone), everyone))

    return scored


def compare_scores(
    scored: Scored, certificate: Certificate, judge: Reranker, *, target: str = ""
) -> VerifiedScores:
    """As `verify_reranker`, of anything that scores documents."""
    texts = list(certificate.texts)
    logits = {query: rows[:, 0] for query, rows in certificate.vectors.items()}
    got = {query: scored(query, texts) for query in logits}
    # an API does not say which it gives: whichever is nearer to the model's own
    scale = min(SCALES, key=lambda name: _apart(got, _through(SCALES[name], logits)))
    wanted = _through(SCALES[scale], logits)
    rows = tuple(_judgement(query, scored, texts, got[query], wanted[query]) for query in got)
    faults = []
    if max(row.worst for row in rows) > NEAR:
        faults.append(_diagnosis(got, wanted, texts, judge, scale))
    alone = max(row.alone for row in rows)
    if alone > NEAR:
        what = f"a document alone has another score than among others ({alone:.4f} apart)"
        faults.append(Fault("depends on its batch", what))
    return VerifiedScores(target, certificate.name, scale, rows, tuple(faults))


def _judgement(
    query: str, scored: Scored, texts: Sequence[str], got: Floats, wanted: Floats
) -> Judgement:
    apart = np.abs(got - wanted)
    alone = np.concatenate([scored(query, [text]) for text in texts])
    return Judgement(
        query,
        worst=float(apart.max()),
        mean=float(apart.mean()),
        order=_order(got, wanted),
        alone=float(np.abs(alone - got).max()),
    )


def _order(got: Floats, wanted: Floats) -> float:
    """Spearman's rank correlation, 0 where all scores are the same."""
    if np.ptp(got) == 0 or np.ptp(wanted) == 0:
        return 0.0
    return float(spearmanr(got, wanted).statistic)


def _through(scale: Callable[[Floats], Floats], logits: Mapping[str, Floats]) -> Scores:
    return {query: scale(row) for query, row in logits.items()}


def _apart(got: Mapping[str, Floats], other: Mapping[str, Floats]) -> float:
    """The mean over queries of the greatest third of the differences: most documents are short, and
    many faults show in long ones alone.
    """
    means = []
    for query in got:
        apart = np.sort(np.abs(got[query] - other[query]))[::-1]
        means.append(apart[: max(1, len(apart) // 3)].mean())
    return float(np.mean(means))


def _diagnosis(
    got: Scores, wanted: Scores, texts: Sequence[str], judge: Reranker, scale: str
) -> Fault:
    """What explains the scores best."""
    if all(np.allclose(np.sort(got[each]), np.sort(wanted[each]), atol=NEAR) for each in got):
        return Fault("wrong order", "the scores are right and stand at other documents")
    before = least = _apart(got, wanted)
    best = None
    for fault, made in _hypotheses(judge):
        logits = {query: made(query, texts) for query in got}
        apart = _apart(got, _through(SCALES[scale], logits))
        if apart < least:
            best = fault
            least = apart
        if apart < NEAR:
            break
    # as for vectors: named where it takes three quarters of the distance away
    if best is not None and least < before / 4:
        return best
    if before < ROUNDED * max(float(np.ptp(row)) for row in wanted.values()):
        return Fault("precision", f"scores are rounded: {before:.4f} apart")
    if min(_order(got[query], wanted[query]) for query in got) > SAME_ORDER:
        return Fault("another scale", "documents are in the model's order, by other scores")
    what = f"scores are {before:.3f} apart, and nothing explains that"
    if best is not None:
        what += f"; nearest, {least:.3f} apart: {best.what}"
    return Fault("another model", what)


def _hypotheses(judge: Reranker) -> Iterator[tuple[Fault, Scored]]:
    def exchanged(query: str, documents: Sequence[str]) -> Floats:
        everyone = np.arange(len(documents))
        return judge.score_at(documents, [query], (everyone, np.zeros_like(everyone)))

    yield Fault("exchanged", "the document is read as the query, and the query after it"), exchanged
    for fault, what, change in CHANGES:
        yield Fault(fault, what), _by(judge, change)
    folder = judge.folder
    if folder.prompt:
        bare = Reranker(replace(folder, prompt=""), judge.runtime)
        yield Fault("missing prompt", "no prompt is put before the query"), _by(bare)
    for length in LENGTHS:
        if length < folder.max_tokens:
            shorter = Reranker(replace(folder, max_tokens=length), judge.runtime)
            what = f"pairs are cut to {length} tokens, and the model reads {folder.max_tokens}"
            yield Fault("truncation length", what), _by(shorter)
