"""Quantities as people write them: 2GB, 500 MB, 50M, 1.5 billion."""

from __future__ import annotations

import re

from nearfield.errors import InputError

# GB is 10^9 and GiB 2^30, in letters of any case
_FACTORS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "b": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_WORDS = {"thousand": "k", "million": "m", "billion": "b", "bn": "b"}
_NUMBER = r"([0-9][0-9,_]*(?:\.[0-9]+)?|\.[0-9]+)"


def read_size(text: str) -> int:
    """Bytes of a size such as 2GB, 500 MB, 1.5 GiB or 2G. Raises InputError for anything else."""
    return _read(text, r"([kmgt]i?)?(?:b|bytes?)?", "a size such as 2GB or 500 MB")


def read_count(text: str) -> int:
    """A number such as 50M, 1.5 billion, 20k or 1,000. Raises InputError for anything else."""
    return _read(
        text, r"([kmb]|thousand|million|billion|bn)?", "a number such as 50M, 20k or 1,000"
    )


def _read(text: str, unit: str, wanted: str) -> int:
    found = re.fullmatch(rf"{_NUMBER}\s*{unit}", text.strip().lower())
    if found is None:
        raise InputError(f"got {text!r}; wanted {wanted}")
    word = found[2] or ""
    return round(_float(found[1]) * _FACTORS[_WORDS.get(word, word)])


def read_amount(text: str) -> float:
    """Dollars of an amount such as 5, $5 or 0.50. Raises InputError for anything else."""
    found = re.fullmatch(rf"\$?\s*{_NUMBER}", text.strip())
    if found is None:
        raise InputError(f"got {text!r}; wanted dollars such as 5 or 0.50")
    return _float(found[1])


def _float(number: str) -> float:
    return float(re.sub("[,_]", "", number))
