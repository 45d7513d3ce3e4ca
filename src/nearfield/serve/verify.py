"""Whether a back-end gives a model's own vectors, and if not, what it does otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import load, load_text_encoder
from nearfield.encoders.remote.address import Address
from nearfield.encoders.text import TextEncoder
from nearfield.encoders.vendors import VENDORS
from nearfield.encoders.vendors.vendor import Asked, Unanswered, Vendor, message
from nearfield.errors import (
    ContractError,
    NearfieldError,
    TruncationWarning,
    VendorError,
    first_line,
)
from nearfield.serve.certificate import Certificate
from nearfield.serve.hypotheses import Hypothesis, Made, Rows, hypotheses
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract
from nearfield.types.role import Role

COSINE = 0.9999  # float32 of another machine and order of operations stays above it
ROUNDED = 0.98  # as far as bfloat16, float16 and int8 move a vector
NORM = 1e-3
ROLE = "{role}"
PART = 32  # texts of one request, which every dialect takes


@dataclass(frozen=True)
class Fault:
    """What a back-end does otherwise: its kind in a few words, and in full."""

    fault: str
    what: str


@dataclass(frozen=True)
class Agreement:
    """How near a back-end's vectors are in one role: the worst and the mean cosine, the least and
    the greatest norm, and the worst cosine between a text alone and among others. The vectors of a
    text's tokens count as one, one behind the other.
    """

    role: Role
    worst: float
    mean: float
    norms: tuple[float, float]
    alone: float


@dataclass(frozen=True)
class Verified:
    """What was found; no `faults` where the back-end gives the model's own vectors."""

    target: str
    model: str
    roles: tuple[Agreement, ...]
    faults: tuple[Fault, ...]


def verify(target: str, model: str | Path | None = None) -> Verified:
    """Compare the vectors of `target` with the certificate of `model` (a folder or a name; the
    target itself by default).

    `target` is a spec, a folder, or an address such as `tei:http://host` or
    `http://host/v1#minilm:{role}`, in which `{role}` stands for the role that is asked. Raises
    InputError where there is no certificate, ContractError for a server that has no embeddings of
    the model's kind, and VendorError for one that does not answer, or not with embeddings.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        encoder = load_text_encoder(target if model is None else model)
        certificate = Certificate.open(encoder.folder.path)
        return compare(backend(target, encoder.contract), certificate, encoder, target=target)


def backend(target: str, contract: Contract) -> Made:
    """What makes the embeddings of a target, as they come, of the kind of `contract`."""
    address = Address.parse(target)
    if address is None:
        encoder: Encoder = load(target)
        return lambda texts, role: encoder.encode_as(role, texts).numbers()
    kind = contract.kind
    vocabulary = contract.dim if EMBEDDINGS[kind].has_terms else None
    if kind not in VENDORS[address.vendor].kinds:
        title = VENDORS[address.vendor].title
        known = ", ".join(f"{name}:" for name in VENDORS if kind in VENDORS[name].kinds)
        raise ContractError(f"{title} has no {kind} embeddings; ask by {known or 'another'}")

    def made(texts: Sequence[str], role: Role) -> list[Floats]:
        rows: list[Floats] = []
        with closing(address.open()) as vendor:
            for start in range(0, len(texts), PART):
                part = list(texts[start : start + PART])
                name = address.model.replace(ROLE, role)
                asked = Asked(name, part, vendor.roles.get(role), kind=kind)
                found = answered(target, vendor, vendor.embedding(asked), vendor.vectors)
                rows += [_row(target, found.get(at), vocabulary) for at in range(len(part))]
        return rows

    return made


def answered(
    target: str,
    vendor: Vendor,
    request: tuple[str, dict[str, Any]],
    read: Callable[[Any], Mapping[int, Any]],
) -> Mapping[int, Any]:
    """What a vendor's answer says of each item. Raises VendorError for a refusal, for no answer,
    and for one of another shape.
    """
    try:
        reply = vendor.send(*request)
        if reply.status != 200:
            raise VendorError(f"{target}: answered {reply.status}: {message(reply.body)}")
        return read(reply.body)
    except Unanswered as error:
        raise VendorError(f"{target}: {error}") from None
    except (LookupError, TypeError, ValueError) as error:
        raise VendorError(f"{target}: answered in another shape: {first_line(error)}") from None


def _row(target: str, found: Any, vocabulary: int | None) -> Floats:
    """One item of an answer as numbers; of terms and their weights where it is over a
    `vocabulary`, of which this is the size.
    """
    try:
        # what is too large for float32 becomes infinite, and is refused below
        with np.errstate(over="ignore"):
            if vocabulary is None:
                # an item that the answer leaves out makes one NaN, which is refused below, too
                row = np.asarray(found, np.float32)
            else:
                row = np.zeros(vocabulary, np.float32)
                for each in found:
                    row[each["index"]] = each["value"]
    except (LookupError, TypeError, ValueError) as error:
        raise VendorError(f"{target}: an embedding is none: {first_line(error)}") from None
    if row.ndim not in (1, 2) or not np.isfinite(row).all():
        raise VendorError(f"{target}: an embedding is no finite numbers")
    return row


def compare(
    made: Made, certificate: Certificate, encoder: TextEncoder, *, target: str = ""
) -> Verified:
    """As `verify`, of anything that makes vectors."""
    # not every server takes an empty text
    kept = [at for at, text in enumerate(certificate.texts) if text.strip()]
    texts = [certificate.texts[at] for at in kept]
    wanted = {role: vectors[kept] for role, vectors in certificate.vectors.items()}
    got = {role: made(texts, role) for role in wanted}
    # of (dim,) and of (tokens, dim) alike; an empty item tells none
    dims = {len(row.T) for rows in got.values() for row in rows if row.size}
    if dims != {encoder.contract.dim}:
        what = f"vectors have {sorted(dims)} dimensions; wanted {encoder.contract.dim}"
        found = _cut(got, wanted, min(dims, default=0)) or Fault("another model", what)
        return Verified(target, certificate.name, (), (found,))
    rows = []
    for role in wanted:
        alone = [made([text], role)[0] for text in texts]
        rows.append(_agreement(role, got[role], wanted[role], alone))
    faults = _order(got, wanted)
    # vectors in another order differ from what is wanted, and from those of each text alone
    if not faults:
        if min(row.worst for row in rows) < COSINE:
            faults.append(_diagnosis(got, wanted, texts, encoder))
        faults += _batch(rows)
    faults += _norms(rows, wanted, explained=bool(faults))
    return Verified(target, certificate.name, tuple(rows), tuple(faults))


def _agreement(role: Role, got: Rows, wanted: Rows, alone: Rows) -> Agreement:
    """How near `got` is to `wanted`, and to the vectors of the same texts, each asked `alone`."""
    cosines = _cosines(got, wanted)
    norms = _lengths(got)
    return Agreement(
        role,
        worst=float(cosines.min()),
        mean=float(cosines.mean()),
        norms=(float(norms.min()), float(norms.max())),
        alone=float(_cosines(alone, got).min()),
    )


def _matrices(*every: Rows) -> list[Floats]:
    """Each as (n, width): the vectors of an item one after the other, and zeros behind the last."""
    width = max(row.size for rows in every for row in rows)
    # one token more or less shifts all behind it, so that the cosine falls at once
    found = [np.zeros((len(rows), width), np.float32) for rows in every]
    for matrix, rows in zip(found, every, strict=True):
        for at, row in enumerate(rows):
            matrix[at, : row.size] = row.ravel()
    return found


def _cosines(first: Rows, second: Rows) -> Floats:
    """Of each two items; those that both are nothing are the same."""
    one, other = _matrices(first, second)
    cosines: Floats = np.einsum("ij,ij->i", unit(one), unit(other))
    return np.where(one.any(1) | other.any(1), cosines, 1)


def _lengths(rows: Rows) -> Floats:
    lengths: Floats = np.linalg.norm(_matrices(rows)[0], axis=1)
    return lengths


def _batch(rows: Sequence[Agreement]) -> list[Fault]:
    """Whether a text's vector depends on the others that are asked with it."""
    alone = min(row.alone for row in rows)
    if alone >= COSINE:
        return []
    what = f"a text alone has another vector than among others (cosine {alone:.5f})"
    return [Fault("depends on its batch", f"{what}: padding is pooled or attended to")]


def _norms(
    rows: Sequence[Agreement], wanted: Mapping[Role, Rows], *, explained: bool
) -> list[Fault]:
    """Whether the vectors are of another length than those wanted. Where another fault explains
    their directions, it explains lengths that are not all 1.
    """
    norms = np.concatenate([_lengths(vectors) for vectors in wanted.values()])
    low = min(row.norms[0] for row in rows)
    high = max(row.norms[1] for row in rows)
    whole = bool(np.allclose(norms, 1, atol=NORM))
    right = np.allclose((low, high), (norms.min(), norms.max()), rtol=NORM)
    if right or (explained and not whole):
        return []
    name = "missing normalisation" if whole else "wrong norms"
    what = f"norms are {low:.4g} to {high:.4g}; wanted {norms.min():.4g} to {norms.max():.4g}"
    return [Fault(name, what)]


def _order(got: Mapping[Role, Rows], wanted: Mapping[Role, Rows]) -> list[Fault]:
    """Whether the right vectors come in another order."""
    for role in got:
        ours, own = _matrices(got[role], wanted[role])
        # the assignment of ours to the model's own that has the greatest sum of cosines
        _, place = linear_sum_assignment(-(unit(ours) @ unit(own).T))
        right = _cosines(ours, own[place]).min() >= COSINE
        if right and _cosines(got[role], wanted[role]).min() < COSINE:
            return [Fault("wrong order", "the vectors are right and come in another order")]
    return []


def _cut(got: Mapping[Role, Rows], wanted: Mapping[Role, Rows], dim: int) -> Fault | None:
    """Whether the vectors are the first `dim` dimensions of those wanted."""
    # cut, vectors have other lengths; a cosine does not see them
    for role, vectors in got.items():
        if _cosines(vectors, [row[..., :dim] for row in wanted[role]]).min() < COSINE:
            return None
    return Fault("dimensions", f"only the first {dim} dimensions are returned")


def _diagnosis(
    got: Mapping[Role, Rows], wanted: Mapping[Role, Rows], texts: list[str], encoder: TextEncoder
) -> Fault:
    """What explains the vectors best."""
    # dimensions in another order leave the values of a vector as they are
    both = [_matrices(got[role], wanted[role]) for role in got]
    if all(np.allclose(np.sort(unit(a)), np.sort(unit(b)), atol=1e-3) for a, b in both):
        return Fault("wrong dims order", "the dimensions come in another order")
    before = _explained(got, wanted)
    best: Hypothesis | None = None
    score = before
    for hypothesis in hypotheses(encoder):
        try:
            made = {role: hypothesis.made(texts, role) for role in got}
        except NearfieldError:  # what the model cannot do, nobody has done with it
            continue
        found = _explained(got, made)
        # a later one that makes the same vectors differs by rounding alone
        if found > score + 1e-6:
            best = hypothesis
            score = found
        # nothing that is tried later can explain it so much better
        if score > COSINE and 1 - score < (1 - before) / 20:
            break
    # named where it takes three quarters of the distance away, else mentioned as the nearest
    if best is not None and 1 - score < (1 - before) / 4:
        return Fault(best.fault, best.what)
    worst = min(_cosines(got[role], wanted[role]).min() for role in got)
    if worst > ROUNDED:
        return Fault("precision", f"vectors are rounded: cosines are {before:.5f} in the mean")
    what = f"cosines are {before:.3f} in the mean, and nothing explains that"
    if best is not None:
        what += f"; nearest, at {score:.3f}: {best.what}"
    return Fault("another model", what)


def _explained(got: Mapping[Role, Rows], made: Mapping[Role, Rows]) -> float:
    """The mean over the roles of the cosines of the farthest third of texts: most texts are short,
    and many faults show in long ones alone.
    """
    means = []
    for role in got:
        cosines = np.sort(_cosines(got[role], made[role]))
        means.append(cosines[: max(1, len(cosines) // 3)].mean())
    return float(np.mean(means))
