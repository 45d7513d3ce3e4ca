from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nearfield.data.texts import Texts

STRINGS = st.lists(st.text(max_size=8), max_size=12)


def column(values: list[str], chunks: int) -> pa.ChunkedArray:
    cut = max(1, len(values) // chunks)
    return pa.chunked_array(
        [pa.array(values[at : at + cut], pa.string()) for at in range(0, len(values), cut)],
        pa.string(),
    )


@given(STRINGS, st.integers(1, 4), st.slices(12), st.data())
def test_behaves_as_the_list_of_its_texts(
    values: list[str], chunks: int, part: slice, data: st.DataObject
) -> None:
    texts = Texts(column(values, chunks))
    assert list(texts) == values
    assert len(texts) == len(values)
    assert list(texts[part]) == values[part]
    assert [texts[row] for row in range(-len(values), len(values))] == values + values
    rows = (
        data.draw(st.lists(st.integers(-len(values), len(values) - 1), max_size=9))
        if values
        else []
    )
    assert list(texts[rows]) == [values[row] for row in rows]
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dtype=bool
    )
    assert list(texts[mask]) == [value for value, kept in zip(values, mask, strict=True) if kept]
    within = texts[part]
    assert list(within[::-1]) == values[part][::-1]
    assert [within[::-1][row] for row in range(len(within))] == values[part][::-1]


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=8))
def test_two_columns_are_joined_and_stripped(rows: list[tuple[str, str]]) -> None:
    texts = Texts(column([title for title, _ in rows], 2), column([text for _, text in rows], 3))
    wanted = [f"{title} {text}".strip() for title, text in rows]
    assert list(texts) == wanted
    assert [texts[row] for row in range(len(rows))] == wanted
    assert list(texts[list(range(len(rows)))]) == wanted


def test_an_index_past_the_end_raises() -> None:
    texts = Texts(column(["a"], 1))
    for index in (1, -2):
        try:
            texts[index]
        except IndexError:
            continue
        raise AssertionError(f"texts[{index}] gave a text")


def test_a_slice_shares_the_memory() -> None:
    whole = column([str(number) for number in range(100_000)], 1)
    before = pa.total_allocated_bytes()
    part = Texts(whole)[10:99_000]
    assert part[0] == "10"
    assert pa.total_allocated_bytes() - before < 4096
