from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.errors import InputError
from nearfield.types.quantity import read_amount, read_count, read_size


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2GB", 2 * 10**9),
        ("500 MB", 5 * 10**8),
        ("1.5 GiB", 3 * 2**29),
        ("2g", 2 * 10**9),
        ("12", 12),
        ("48 bytes", 48),
        (".5kB", 500),
    ],
)
def test_sizes(text: str, wanted: int) -> None:
    assert read_size(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("50M", 5 * 10**7),
        ("1.5 billion", 15 * 10**8),
        ("20k", 20_000),
        ("1,000", 1000),
        ("2_000", 2000),
        ("7b", 7 * 10**9),
    ],
)
def test_counts(text: str, wanted: int) -> None:
    assert read_count(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"), [("5", 5.0), ("$5", 5.0), ("0.50", 0.5), ("$ 1,200", 1200.0)]
)
def test_amounts(text: str, wanted: float) -> None:
    assert read_amount(text) == wanted


@pytest.mark.parametrize("text", ["", "GB", "-1", "two", "5 XB", "1e9", "5 € "])
def test_other_words_are_errors_that_quote_them(text: str) -> None:
    for read in (read_size, read_count, read_amount):
        with pytest.raises(InputError, match=r"got .*; wanted"):
            read(text)


@given(st.text(max_size=12))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (read_size, read_count, read_amount):
        with contextlib.suppress(InputError):
            assert read(text) >= 0
