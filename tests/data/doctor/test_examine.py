"""Running the checks, and refusing."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from nearfield.data import doctor
from nearfield.data.collection import Collection
from nearfield.data.doctor import BOTH, CHECKS
from nearfield.data.doctor.examine import examine, load_check, refuse
from nearfield.errors import DoctorRefusal, InputError
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding
from tiny_data import tiny_collection


def finding(check: str, severity: str) -> Finding:
    return Finding(check, severity, 1234, 5000, "an example", "fix it")


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_of_the_registry_is_there_and_gives_findings_of_its_name(name: str) -> None:
    check = load_check(name)
    assert list(inspect.signature(check).parameters) == ["subject", "model"]
    assert f'"{name}"' in inspect.getsource(inspect.getmodule(check)), (
        "its findings carry the name that --allow takes"
    )  # type: ignore[arg-type]
    assert set(CHECKS[name][1]) <= set(BOTH)


def test_the_registry_imports_nothing() -> None:
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    assert [line for line in source.splitlines() if line.startswith(("import ", "from "))] == [
        "from __future__ import annotations"
    ]


def test_errors_come_first_and_progress_is_told(sound: Collection, make_collection) -> None:  # type: ignore[no-untyped-def]
    documents = {"a": "x y z", "b": "X Y Z", "c": "-"}
    steps: list[tuple[int, int, str]] = []
    found = examine(
        make_collection(documents, {"q": "p"}, [("q", "a", 1, "t")]),
        progress=lambda done, total, note="": steps.append((done, total, note)),
    )
    order = [(ERROR, WARNING, NOTE).index(one.severity) for one in found]
    assert order == sorted(order)
    assert {one.check for one in found} >= {"duplicate-documents", "one-character-texts"}
    assert steps[0][:2] == (0, len(steps) - 1)
    assert steps[-1] == (len(steps) - 1, len(steps) - 1, "")
    assert {note for _, _, note in steps[:-1]} <= set(CHECKS)


def test_only_errors_are_refused() -> None:
    refuse([finding("duplicate-queries", WARNING), finding("shared-documents", NOTE)])
    refuse([])


def test_the_refusal_names_each_check_its_count_and_how_to_go_on() -> None:
    found = [
        finding("leaked-queries", ERROR),
        finding("swapped-columns", ERROR),
        finding("duplicate-queries", WARNING),
    ]
    with pytest.raises(DoctorRefusal) as refusal:
        refuse(found)
    message = str(refusal.value)
    assert "leaked-queries (1,234 of 5,000): fix it" in message
    assert message.endswith("--allow leaked-queries --allow swapped-columns")
    assert "duplicate-queries" not in message
    with pytest.raises(DoctorRefusal, match=r"--allow swapped-columns$"):
        refuse(found, allow=["leaked-queries"])
    refuse(found, allow={"leaked-queries", "swapped-columns"})


def test_an_unknown_name_to_allow_is_an_input_error_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Did you mean .leaked-queries.[?]"):
        refuse([], allow=["leaked-query"])


def test_splits_too_small_to_decide_anything_are_named() -> None:
    small = [
        finding
        for finding in examine(tiny_collection(queries=40))
        if finding.check == "small-splits"
    ]
    assert [finding.severity for finding in small] == ["warning"]
    assert small[0].example == (
        "dev has 10 queries and is to choose the weights and the merge; "
        "test has 10 queries and gives the verdict"
    )
    assert not [
        finding
        for finding in examine(tiny_collection(queries=120))
        if finding.check == "small-splits"
    ]
