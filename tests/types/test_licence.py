from __future__ import annotations

import pytest

from nearfield.types.licence import allows_commercial_use


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("apache-2.0", True),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-NC-SA-4.0", False),
        ("My-Own", None),
        (None, None),
    ],
)
def test_what_a_licence_allows(licence: str | None, allowed: bool | None) -> None:
    assert allows_commercial_use(licence) is allowed
