"""Running the checks, and refusing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor import CHECKS
from nearfield.data.doctor.check import ALL, ALONE, COPIES
from nearfield.data.doctor.examine import examine, refuse
from nearfield.data.pairs import Pairs
from nearfield.errors import DoctorRefusal, InputError
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding, Findings
from tiny_data import tiny_collection


def finding(check: str, severity: str) -> Finding:
    return Finding(check, severity, 1234, 5000, "an example", "fix it")


@pytest.mark.parametrize("name", list(CHECKS))
def test_every_check_of_the_registry_states_what_it_examines_and_compares(name: str) -> None:
    check = CHECKS[name]
    assert check.examines in ((Collection,), (Pairs,), (Collection, Pairs))
    assert check.compares in (ALONE, COPIES, ALL)
    assert inspect.getdoc(check.look), "its docstring says when it is an error"


def test_the_checks_are_imported_when_they_are_asked_for() -> None:
    code = (
        "import sys, nearfield.data.doctor as doctor; list(doctor.CHECKS); "
        "assert not [name for name in sys.modules if name.startswith('nearfield.data.doctor.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_examined_can_be_chosen(sound: Collection) -> None:
    steps: list[str] = []

    def note(done: int, total: int, note: str = "") -> None:
        steps.append(note)

    examine(sound, only=("small-splits", "duplicate-pairs"), progress=note)
    assert steps == ["small-splits", ""], "pairs are not what is examined"
    steps.clear()
    examine(sound, cheap=True, progress=note)
    assert "leaked-queries" in steps
    assert not set(steps) & {"near-duplicate-documents", "false-negatives", "easy-queries"}


def test_printed_findings_can_be_read() -> None:
    found = Findings([finding("leaked-queries", ERROR), finding("one-positive", NOTE)])
    assert str(found).splitlines() == [
        "error: leaked-queries (1,234 of 5,000): an example; fix it",
        "note: one-positive (1,234 of 5,000): an example; fix it",
    ]
    assert str(Findings()) == "The doctor found nothing to fix."


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
