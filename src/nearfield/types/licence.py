"""What a licence allows, as far as choosing a model needs it."""

from __future__ import annotations

_COMMERCIAL = {
    "apache-2.0": True,
    "bsd-3-clause": True,
    "cc-by-4.0": True,
    "cc-by-nc-4.0": False,
    "cc-by-nc-sa-4.0": False,
    "cc-by-sa-4.0": True,
    "cc0-1.0": True,
    "gemma": True,  # under Google's terms, with a list of prohibited uses
    "mit": True,
}


def allows_commercial_use(licence: str | None) -> bool | None:
    """Whether a licence, by its SPDX identifier or its usual name, allows commercial use; None
    where this table does not know it.

    The table follows the licences' own texts and is no legal advice.
    """
    if licence is None:
        return None
    return _COMMERCIAL.get(licence.lower())
