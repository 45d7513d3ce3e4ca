from __future__ import annotations

import re

import pytest

from nearfield import errors
from nearfield.errors import InputError, MissingExtra, NearfieldError, NearfieldWarning, nearest
from nearfield.extras import require


def tree(kind: type, depth: int = 0) -> list[tuple[int, str]]:
    return [
        (depth, kind.__name__),
        *(line for child in kind.__subclasses__() for line in tree(child, depth + 1)),
    ]


def test_the_docstring_draws_the_real_tree() -> None:
    drawn = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(
            r"^((?:│   |    )*)(├── |└── "
            r")?(Nearfield\w+|\w+(?:Error|Warning|Refusal|Extra))\b",
            line,
        )
        if found:
            drawn.append((len(found[1]) // 4 + bool(found[2]), found[3]))
    real = [line for root in (NearfieldError, NearfieldWarning) for line in tree(root)]
    assert [line for line in real if line[1] in vars(errors)] == drawn


def test_an_input_error_leads_with_its_place() -> None:
    assert str(InputError("is empty")) == "is empty"
    assert str(InputError("is empty", path="a.csv")) == "a.csv: is empty"
    assert str(InputError("has 3 fields", path="a.csv", line=4)) == "a.csv:4: has 3 fields"


def test_nearest() -> None:
    assert nearest("cosin", ["cosine", "dot"]) == " Did you mean 'cosine'?"
    assert nearest("zzz", ["cosine", "dot"]) == ""


def test_a_missing_extra_gives_the_pip_line() -> None:
    with pytest.raises(MissingExtra, match=re.escape("pip install 'nearfield[store]'")):
        require("qdrant_edge_that_is_not_there", extra="store")
    assert require("json", extra="store").dumps([1]) == "[1]"


def test_a_missing_key_of_another_library_is_named_as_one() -> None:
    assert errors.first_line(KeyError("nosuch")) == "KeyError 'nosuch'"
    assert errors.first_line(ValueError("first\nsecond")) == "first"
    assert errors.first_line(ValueError()) == "ValueError"
