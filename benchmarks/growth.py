"""How the time of encoding grows with the length of the texts and with their number."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interleave import Child, interleaved

from nearfield.batch.tokens import Tokeniser

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
ROWS = (1, 4, 16, 64, 256, 1024)
CELL = 2048  # tokens that are encoded of each length


def growth_of(
    sides: Mapping[str, Child],
    texts: Sequence[str],
    tokeniser: Tokeniser,
    *,
    rounds: int,
    work: Path,
) -> dict[str, Any]:
    """Median milliseconds of each side for texts of each of LENGTHS tokens that the model reads,
    and for each of ROWS of `texts`.

    The texts of a length are cut from all `texts` laid end to end, and some 2,048 tokens of each
    are encoded.
    """
    words = " ".join(texts).split()
    lengths = []
    for length in (length for length in LENGTHS if length <= tokeniser.max_tokens):
        chosen = _texts_of(words, length, max(1, CELL // length), tokeniser)
        tokens = int(tokeniser.tokenise(chosen).lengths.sum())
        times = _milliseconds(sides, chosen, rounds, work)
        lengths.append(
            {
                "tokens_a_text": round(tokens / len(chosen), 1),
                "texts": len(chosen),
                "milliseconds": times,
            }
        )
    by_rows = [
        {"rows": rows, "milliseconds": _milliseconds(sides, texts[:rows], rounds, work)}
        for rows in ROWS
        if rows <= len(texts)
    ]
    return {"length": lengths, "rows": by_rows}


def _texts_of(words: Sequence[str], length: int, count: int, tokeniser: Tokeniser) -> list[str]:
    """`count` texts of about `length` tokens, special ones included: stretches of words, each as
    long as fits.
    """
    found, at = [], 0
    for _ in range(count):
        part = list(words[at : at + length]) or list(words[:length])
        while len(part) > 1 and tokeniser.count([" ".join(part)])[0] > length:
            part.pop()
        found.append(" ".join(part))
        at = (at + len(part)) % len(words)
    return found


def _milliseconds(
    sides: Mapping[str, Child], texts: Sequence[str], rounds: int, work: Path
) -> dict[str, float]:
    file = work / "growth.json"
    file.write_text(json.dumps(list(texts)), encoding="utf-8")

    def turn(child: Child) -> float:
        return float(child.ask(do="run", texts=str(file), role="document", vectors=None)["seconds"])

    for child in sides.values():
        turn(child)  # not timed: a length that a side has not met is prepared for
    seconds = interleaved(
        {name: lambda child=child: turn(child) for name, child in sides.items()}, rounds, rest=0.05
    )
    return {name: round(1000 * statistics.median(own), 2) for name, own in seconds.items()}
