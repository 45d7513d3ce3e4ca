"""The queries that a model was trained on, by hashes that travel in its folder: their texts cannot
be read from them.

A query is known again by 64 bits of its wording's hash; a nearly equal one by 256 bits, each the
last bit of a MinHash (Li and König, "b-bit minwise hashing", 2010, with b = 1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.data.doctor.minhash import QUERY_RUNS, signatures
from nearfield.data.doctor.words import Hashes, Shingler, digests, wording
from nearfield.store.atomic import write_json
from nearfield.store.fields import Fields, read_fields
from nearfield.types.arrays import Floats

FILE = "trained_on.json"
FORMAT = 1
Flags = npt.NDArray[np.bool_]
_BITS = 256  # of a signature
_WORDS = _BITS // 64
# bits that agree in near-copies: a Jaccard similarity of .8 lets 230 agree, with a deviation of 5
_LEAST = 222
_BLOCK = 2048  # queries compared with as many others at a time


@dataclass(frozen=True)
class TrainingRun:
    """The queries of one run by their wordings' digests, ascending: what it `trained` on, chose its
    weights with (`dev`) and was measured on at its end (`test`). `near`: (trained, 4) uint64, the
    signature of each of `trained`.
    """

    trained: Hashes
    near: npt.NDArray[np.uint64]
    dev: Hashes
    test: Hashes

    @classmethod
    def of(
        cls, trained: Iterable[str], *, dev: Iterable[str] = (), test: Iterable[str] = ()
    ) -> TrainingRun:
        """The run that trained on the queries of these texts."""
        texts = list(trained)
        keys, first = np.unique(digests(map(wording, texts)), return_index=True)
        near = _signed([texts[at] for at in first])
        return cls(keys, near, _keys(dev), _keys(test))

    def seen(self, keys: Hashes, signed: npt.NDArray[np.uint64]) -> Flags:
        """Which queries, by their digests and signatures, it trained on, or on near-copies of them
        that are not its own dev or test.
        """
        found: Flags = np.isin(keys, self.trained)
        own = np.isin(keys, self.dev) | np.isin(keys, self.test)
        asked = np.flatnonzero(
            ~found & ~own & signed.any(axis=1)
        )  # a text without words is near none
        found[asked] = _near(signed[asked], self.near)
        return found

    def json(self) -> dict[str, str]:
        """As JSON: base64 of little-endian numbers."""
        return {
            "trained": _base64(self.trained),
            "near": _base64(self.near),
            "dev": _base64(self.dev),
            "test": _base64(self.test),
        }

    @classmethod
    def from_json(cls, facts: Fields) -> TrainingRun:
        """The run in an object of the file. Raises InputError where it holds none."""
        trained = _numbers(facts, "trained")
        near = _numbers(facts, "near")
        if len(near) != _WORDS * len(trained):
            raise facts.error("near", f"{_WORDS} numbers for each of the {len(trained)} in trained")
        dev = _numbers(facts, "dev")
        return cls(trained, near.reshape(-1, _WORDS), dev, _numbers(facts, "test"))


@dataclass(frozen=True)
class TrainedOn:
    """The runs that made a model, the first one's first; none where nothing is known of its
    training.
    """

    runs: tuple[TrainingRun, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __or__(self, other: TrainedOn) -> TrainedOn:
        known = [run.json() for run in self.runs]  # arrays have no equality that is one bool
        new = [run for run in other.runs if run.json() not in known]
        return TrainedOn((*self.runs, *new))

    def seen(self, queries: Sequence[str]) -> Flags:
        """(queries,) which of them the model was trained on, or on nearly the same ones."""
        found = np.zeros(len(queries), bool)
        if self.runs:
            keys = digests(map(wording, queries))
            signed = _signed(queries)
            for run in self.runs:
                found |= run.seen(keys, signed)
        return found

    def chosen_with(self, queries: Sequence[str]) -> Flags:
        """(queries,) by which of them the model's weights were chosen."""
        keys = digests(map(wording, queries))
        found = np.zeros(len(queries), bool)
        for run in self.runs:
            found |= np.isin(keys, run.dev)
        return found

    def save(self, folder: Path) -> None:
        """Write it into a model's folder. Raises StorageError when writing fails."""
        write_json(folder / FILE, {"format": FORMAT, "runs": [run.json() for run in self.runs]})

    @classmethod
    def read(cls, folder: str | Path) -> TrainedOn:
        """What a model's folder says; nothing where it says nothing. Raises InputError where the
        file is damaged.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            return cls()
        facts = read_fields(path)
        facts.integer("format", low=FORMAT, high=FORMAT)
        return cls(tuple(map(TrainingRun.from_json, facts.objects("runs"))))


UNKNOWN = TrainedOn()


def keep_trained_on(
    sources: Iterable[str | Path], folder: Path, run: TrainingRun | None = None
) -> None:
    """Write into a model's folder what the models in `sources`, which it was made of, were trained
    on, and the run that made it.
    """
    known = TrainedOn(() if run is None else (run,))
    for source in sources:
        known = TrainedOn.read(source) | known
    if known:
        known.save(folder)


def _keys(texts: Iterable[str]) -> Hashes:
    """The digests of the texts' wordings, ascending, each once."""
    return np.unique(digests(map(wording, texts)))


def _base64(array: npt.NDArray[np.uint64]) -> str:
    return base64.b64encode(array.astype("<u8").tobytes()).decode()


def _signed(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """(texts, 4) the signatures; zeros for a text without words."""
    found = np.zeros((len(texts), _WORDS), np.uint64)
    hashes, rows = signatures(texts, Shingler(QUERY_RUNS), _BITS)
    last_bits = (hashes & np.uint32(1)).astype(bool)
    found[rows] = np.packbits(last_bits, axis=1).view("<u8")
    return found


def _near(asked: npt.NDArray[np.uint64], trained: npt.NDArray[np.uint64]) -> Flags:
    """Which of the signatures `asked: (m, 4)` agree in 222 bits with any of `trained: (n, 4)`."""
    found = np.zeros(len(asked), bool)
    for start in range(0, len(asked), _BLOCK):
        rows = slice(start, start + _BLOCK)
        ours = _signs(asked[rows])
        for other in range(0, len(trained), _BLOCK):
            # a product of signs is the bits that agree less those that differ, exact in float32
            agreement = ours @ _signs(trained[other : other + _BLOCK]).T
            found[rows] |= (agreement >= 2 * _LEAST - _BITS).any(axis=1)
    return found


def _signs(signed: npt.NDArray[np.uint64]) -> Floats:
    """(n, 256) the bits as 1 and -1."""
    bits = np.unpackbits(np.ascontiguousarray(signed).view(np.uint8), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _numbers(facts: Fields, name: str) -> Hashes:
    text = facts.text(name)
    try:
        held = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise facts.error(name, "base64") from error
    if len(held) % 8:
        raise facts.error(name, "base64 of numbers of 8 bytes")
    return np.frombuffer(held, "<u8").astype(np.uint64)
