"""What the rows of a comparison are called."""

from __future__ import annotations

from types import SimpleNamespace

from nearfield.evaluate.encoders import row_names


def test_no_model_takes_the_row_of_another() -> None:
    first, second = (SimpleNamespace(contract=SimpleNamespace(name="minilm")) for _ in "ab")
    assert row_names([first, second, first]) == {
        "minilm": first,
        "minilm (2)": second,
    }
    assert row_names(["minilm", first, "minilm"]) == {"minilm": "minilm", "minilm (2)": first}
    assert list(row_names([first, "minilm"])) == ["minilm", "minilm (2)"]
    assert list(row_names(["a/x", "b/x", "a/x"])) == ["a/x", "b/x"]
