"""What shows that a converted model is still the model: its vectors beside float32 torch's, on real
texts.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfield.errors import ModelError

CHECKED = 64  # texts that vectors are compared on
CALIBRATED = 300  # texts that int8 ranges are taken from: what NNCF asks for by default
# docs/log.md (OpenVINO and ONNX Runtime; The native runtime) has what conversions reach
_BOUNDS = {"float32": (0.99999, "least"), "bfloat16": (0.9999, "least"), "int8": (0.997, "mean")}
_NAMED = """
    argparse collections csv datetime decimal email.message fractions heapq inspect ipaddress
    itertools json logging os pathlib random re shutil socket statistics string subprocess
    tarfile tempfile textwrap threading urllib.parse zipfile
"""
_MODULES = tuple(_NAMED.split())


@dataclass(frozen=True)
class Proof:
    """How a conversion is shown to be faithful.

    `texts` are real texts of the kind that will be encoded, which int8 is also calibrated on;
    without any, docstrings of the standard library stand in. `fidelity` is the cosine to float32
    torch that is asked for, of the least similar text (int8: the mean over texts); None asks for
    what the precision allows: .99999, bfloat16 .9999, int8 .997.
    """

    texts: tuple[str, ...] = ()
    fidelity: float | None = None

    @classmethod
    def on(cls, texts: Sequence[str], fidelity: float | None = None) -> Proof:
        """A proof on some of `texts`, taken at equal steps through them."""
        step = max(1, len(texts) // CALIBRATED)
        some = [str(texts[at]) for at in range(0, len(texts), step)]
        return cls(tuple(some), fidelity)

    def sample(self, count: int) -> list[str]:
        """`count` of the texts (all where there are fewer), at equal steps through them, in their
        order.
        """
        texts = self.texts or _docstrings()
        places = np.linspace(0, len(texts) - 1, min(count, len(texts)))
        return [texts[int(at)] for at in places]

    def fingerprint(self) -> str:
        """SHA-256 of the texts that int8 is calibrated on, or "built in"."""
        if not self.texts:
            return "built in"
        joined = "\0".join(self.sample(CALIBRATED))
        return hashlib.sha256(joined.encode()).hexdigest()


BUILT_IN = Proof()


@dataclass(frozen=True)
class Measured:
    """Cosines of a conversion's vectors to float32 torch's over `texts` texts: the least one and
    their mean.
    """

    least: float
    mean: float
    texts: int

    def refuse_below(self, fidelity: float | None, precision: str, what: str) -> None:
        """Raise ModelError, with the figures, where less is reached than is asked for (None: than
        `precision` allows).
        """
        bound, kind = _BOUNDS[precision]
        if fidelity is not None:
            bound = fidelity
        reached = self.least if kind == "least" else self.mean
        if not reached >= bound:  # NaN is not, either
            raise ModelError(
                f"{what}: its vectors are not the model's: the {kind} cosine to float32 torch is "
                f"{reached:.6f} on {self.texts} texts (least {self.least:.6f}, mean "
                f"{self.mean:.6f}), wanted {bound:g}. Ask for another precision or runtime, or "
                "for less fidelity."
            )


def _docstrings() -> tuple[str, ...]:
    """Docstrings of the running Python's standard library, whole and in first paragraphs, of a few
    words and of hundreds.
    """
    texts = dict[str, None]()  # each once, in the order in which they are found
    for name in _MODULES:
        __import__(name)
        for member_name, member in inspect.getmembers(sys.modules[name]):
            if member_name.startswith("_"):
                continue
            if not inspect.isclass(member) and not inspect.isroutine(member):
                continue
            text = inspect.getdoc(member) or ""
            if len(text.split()) > 3:
                first = text.split("\n\n")[0]
                texts[first] = None
                texts[text] = None
    return tuple(texts)
