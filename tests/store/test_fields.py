from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.errors import InputError
from nearfield.store.fields import Fields, read_fields, read_json, read_objects

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(10**400)
    | st.just(-(10**400)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def fields(value: Any) -> Fields:
    return Fields({"key": value}, "config.json")


@given(JSON)
def test_a_value_of_any_kind_is_what_was_wanted_or_an_error_that_names_file_and_field(
    value: Any,
) -> None:
    wanted = {
        "text": lambda found: isinstance(found, str),
        "flag": lambda found: isinstance(found, bool),
        "integer": lambda found: isinstance(found, int) and 0 <= found < 2**31,
        "number": lambda found: isinstance(found, float) and abs(found) < float("inf"),
        "texts": lambda found: all(isinstance(item, str) for item in found),
        "object": lambda found: isinstance(found, Fields),
        "objects": lambda found: all(isinstance(item, Fields) for item in found),
    }
    for getter, check in wanted.items():
        try:
            found = getattr(fields(value), getter)("key")
        except InputError as error:
            named = str(error)
        else:
            assert check(found)
            continue
        assert "config.json" in named
        assert "key" in named


def test_what_is_absent_or_null_is_the_default_or_an_error() -> None:
    assert fields(None).integer("key", 7) == 7
    assert fields(None).object("other", None) is None
    with pytest.raises(InputError, match="has no other; wanted a text"):
        fields(1).text("other")


def test_a_nested_field_is_named_in_full() -> None:
    (item,) = Fields({"modules": [{"idx": "a"}]}, "modules.json").objects("modules")
    with pytest.raises(
        InputError,
        match=r'modules\.json: modules\[0\]\.idx is "a"; wanted a '
        r"whole number",
    ):
        item.integer("idx")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "not usable JSON"),
        ("{", "is not JSON"),
        ('"\udcff"', "is not UTF-8"),
        ("[1]", "wanted a JSON object"),
        ('{"a": ["\\ud83d"]}', r"holds \\ud83d, half of a character"),
        ('{"\\udc00": 1}', r"holds \\udc00, half of a character"),
    ],
)
def test_files_that_hold_no_object(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said):
        read_fields(path)


def test_an_escaped_pair_is_one_character(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"prompt": "\N{GRINNING FACE} "}))
    assert read_fields(path).text("prompt") == "\N{GRINNING FACE} "


def test_lists_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "modules.json"
    path.write_text(json.dumps([{"idx": 0}, {"idx": 1.5}]))
    first, second = read_objects(path)
    assert first.integer("idx") == 0
    with pytest.raises(InputError, match=r"\[1\]\.idx is 1\.5"):
        second.integer("idx")


@pytest.mark.timeout(20)
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="not a regular file"):
        read_json(tmp_path / "fifo")
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "absent")
