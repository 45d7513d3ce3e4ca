"""Whether a back-end gives a model's own vectors, and if not, what it does otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import load, load_text_encoder
from nearfield.encoders.remote.address import Address
from nearfield.encoders.text import TextEncoder
from nearfield.encoders.vendors.vendor import Asked, message
from nearfield.errors import NearfieldError, TruncationWarning, VendorError
from nearfield.serve.certificate import Certificate
from nearfield.serve.hypotheses import Hypothesis, Made, hypotheses
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats
from nearfield.types.role import Role

COSINE = 0.9999  # float32 of another machine and order of operations stays above it
ROUNDED = 0.98  # as far as bfloat16, float16 and int8 move a vector
NORM = 1e-3
ROLE = "{role}"
_PART = 32  # texts of one request, which every dialect takes


@dataclass(frozen=True)
class Fault:
    """What a back-end does otherwise: its kind in a few words, and in full."""

    fault: str
    what: str


@dataclass(frozen=True)
class Agreement:
    """How near a back-end's vectors are in one role: the worst and the mean cosine, the least and
    the greatest norm, and the worst cosine between a text alone and among others.
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
    InputError where there is no certificate, and VendorError where a server does not answer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        encoder = load_text_encoder(target if model is None else model)
        certificate = Certificate.open(encoder.folder.path)
        return compare(backend(target), certificate, encoder, target=target)


def backend(target: str) -> Made:
    """What makes the vectors of a target, as they come."""
    address = Address.parse(target)
    if address is None:
        encoder: Encoder = load(target)
        return lambda texts, role: encoder.encode_as(role, texts).as_dense("verify").floats()

    def made(texts: Sequence[str], role: Role) -> Floats:
        rows: list[Floats] = []
        with closing(address.open()) as vendor:
            for start in range(0, len(texts), _PART):
                part = list(texts[start : start + _PART])
                name = address.model.replace(ROLE, role)
                asked = Asked(name, part, vendor.roles.get(role))
                reply = vendor.send(*vendor.embedding(asked))
                if reply.status != 200:
                    raise VendorError(f"{target}: answered {reply.status}: {message(reply.body)}")
                found = vendor.vectors(reply.body)
                rows += [np.asarray(found[at], np.float32) for at in range(len(part))]
        return np.stack(rows)

    return made


def compare(
    made: Made, certificate: Certificate, encoder: TextEncoder, *, target: str = ""
) -> Verified:
    """As `verify`, of anything that makes vectors."""
    texts = [text for text in certificate.texts if text.strip()]
    kept = [at for at, text in enumerate(certificate.texts) if text.strip()]
    wanted = {role: vectors[kept] for role, vectors in certificate.vectors.items()}
    got = {role: made(texts, role) for role in wanted}
    dims = {vectors.shape[1] for vectors in got.values()}
    if dims != {encoder.contract.dim}:
        found = _cut(got, wanted) or Fault(
            "another model", f"vectors have {dims} dimensions; wanted {encoder.contract.dim}"
        )
        return Verified(target, certificate.name, (), (found,))
    rows = tuple(
        _agreement(role, got[role], wanted[role], _alone(made, texts, role)) for role in wanted
    )
    faults = misplaced = _order(got, wanted)
    if not misplaced and min(row.worst for row in rows) < COSINE:
        faults = [_diagnosis(got, wanted, texts, encoder)]
    if not misplaced:  # alone, each has its place
        faults = faults + _batch(rows)
    faults = faults + _norms(rows, wanted)
    return Verified(target, certificate.name, rows, tuple(faults))


def _agreement(role: Role, got: Floats, wanted: Floats, alone: Floats) -> Agreement:
    cosines = _cosines(got, wanted)
    norms = np.linalg.norm(got, axis=1)
    return Agreement(
        role,
        float(cosines.min()),
        float(cosines.mean()),
        (float(norms.min()), float(norms.max())),
        float(_cosines(alone, got).min()),
    )


def _alone(made: Made, texts: Sequence[str], role: Role) -> Floats:
    """The vectors of the texts, each asked for by itself."""
    return np.concatenate([made([text], role) for text in texts])


def _cosines(first: Floats, second: Floats) -> Floats:
    cosines: Floats = np.einsum("ij,ij->i", unit(first), unit(second))
    return cosines


def _batch(rows: Sequence[Agreement]) -> list[Fault]:
    """Whether a text's vector depends on the others that are asked with it."""
    alone = min(row.alone for row in rows)
    if alone >= COSINE:
        return []
    what = f"a text alone has another vector than among others (cosine {alone:.5f})"
    return [Fault("depends on its batch", f"{what}: padding is pooled or attended to")]


def _norms(rows: Sequence[Agreement], wanted: dict[Role, Floats]) -> list[Fault]:
    """Whether the vectors are of another length than those wanted."""
    norms = np.concatenate([np.linalg.norm(vectors, axis=1) for vectors in wanted.values()])
    low, high = min(row.norms[0] for row in rows), max(row.norms[1] for row in rows)
    if np.allclose((low, high), (norms.min(), norms.max()), rtol=NORM):
        return []
    name = "missing normalisation" if np.allclose(norms, 1, atol=NORM) else "wrong norms"
    what = f"norms are {low:.4g} to {high:.4g}; wanted {norms.min():.4g} to {norms.max():.4g}"
    return [Fault(name, what)]


def _order(got: dict[Role, Floats], wanted: dict[Role, Floats]) -> list[Fault]:
    """Whether the right vectors come in another order."""
    for role in got:
        near = unit(got[role]) @ unit(wanted[role]).T
        _, place = linear_sum_assignment(-near)
        right = _cosines(got[role], wanted[role][place]).min() >= COSINE
        if right and _cosines(got[role], wanted[role]).min() < COSINE:
            return [Fault("wrong order", "the vectors are right and come in another order")]
    return []


def _cut(got: dict[Role, Floats], wanted: dict[Role, Floats]) -> Fault | None:
    """Whether the vectors are the first dimensions of those wanted."""
    for role, vectors in got.items():
        dim = vectors.shape[1]
        if dim >= wanted[role].shape[1]:
            return None
        if _cosines(vectors, wanted[role][:, :dim]).min() < COSINE:
            return None
    return Fault("dimensions", f"only the first {dim} dimensions are returned")


def _diagnosis(
    got: dict[Role, Floats], wanted: dict[Role, Floats], texts: list[str], encoder: TextEncoder
) -> Fault:
    """What explains the vectors best."""
    if all(
        np.allclose(np.sort(unit(got[role])), np.sort(unit(wanted[role])), atol=1e-3)
        for role in got
    ):
        return Fault("wrong dims order", "the dimensions come in another order")
    before = _explained(got, wanted)
    best, score = None, before
    for hypothesis in hypotheses(encoder):
        try:
            made = {role: hypothesis.made(texts, role) for role in got}
        except NearfieldError:  # what the model cannot do, nobody has done with it
            continue
        found = _explained(got, made)
        if found > score + 1e-6:
            best, score = hypothesis, found
        if found > COSINE:
            break
    if best is not None and score > COSINE - (1 - before) / 4:
        return Fault(best.fault, best.what)
    if _worst(got, wanted) > ROUNDED:
        return Fault("precision", f"vectors are rounded: cosines are {before:.5f} in the mean")
    return _fallback(best, score, before)


def _fallback(best: Hypothesis | None, score: float, before: float) -> Fault:
    near = "" if best is None else f"; nearest, at {score:.3f}: {best.what}"
    return Fault(
        "another model", f"cosines are {before:.3f} in the mean, and nothing explains that{near}"
    )


def _explained(got: dict[Role, Floats], made: dict[Role, Floats]) -> float:
    """The mean over the roles of how near vectors are, the farthest fifth of texts counting
    most.
    """
    means = []
    for role in got:
        cosines = np.sort(_cosines(got[role], made[role]))
        means.append(cosines[: max(1, len(cosines) // 3)].mean())
    return float(np.mean(means))


def _worst(got: dict[Role, Floats], wanted: dict[Role, Floats]) -> float:
    return float(min(_cosines(got[role], wanted[role]).min() for role in got))
