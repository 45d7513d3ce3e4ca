"""Run every check on the data, and refuse to go on where one found an error."""

from __future__ import annotations

import importlib
from collections.abc import Collection as Container
from collections.abc import Iterable
from typing import Protocol, cast

from nearfield.data.collection import Collection
from nearfield.data.doctor import CHECKS, COLLECTION, PAIRS
from nearfield.data.doctor.subject import First, ModelFacts, Subject
from nearfield.data.pairs import Pairs
from nearfield.errors import DoctorRefusal, InputError, nearest
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding
from nearfield.types.progress import Progress, silent

__all__ = ["Check", "ModelFacts", "examine", "refuse"]


class Check(Protocol):
    """Looks for one fault; None where it is not there. Without a model, what depends on one is not
    looked for.
    """

    def __call__(self, subject: Subject, model: ModelFacts | None) -> Finding | None: ...


def examine(
    data: Collection | Pairs,
    *,
    model: ModelFacts | None = None,
    first: First | None = None,
    checks: Container[str] = CHECKS,
    progress: Progress = silent,
) -> tuple[Finding, ...]:
    """What is wrong with `data`, for `model` where one is given: errors first, then warnings, then
    notes.

    `checks` are those that are made, `CHEAP` ones, say. `first`, which is `first_found` of
    nearfield.search.bm25, is needed to see where words alone answer the queries.
    """
    kind = COLLECTION if isinstance(data, Collection) else PAIRS
    subject, found = Subject(data, first), []
    names = [name for name, (_, kinds) in CHECKS.items() if kind in kinds and name in checks]
    for done, name in enumerate(names):
        progress(done, len(names), name)
        finding = load_check(name)(subject, model)
        if finding is not None:
            found.append(finding)
    progress(len(names), len(names), "")
    return tuple(sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity)))


def refuse(findings: Iterable[Finding], *, allow: Container[str] = ()) -> None:
    """Raise DoctorRefusal where a finding is an error and its check is not in `allow`.

    Raises InputError, with the nearest known name, where `allow` holds a name that is no check's.
    """
    for name in allow:
        if name not in CHECKS:
            raise InputError(
                f"--allow {name}: the doctor has no such "
                f"check.{nearest(name, CHECKS)} It has {', '.join(CHECKS)}"
            )
    errors = [
        finding for finding in findings if finding.severity == ERROR and finding.check not in allow
    ]
    if not errors:
        return
    lines = [
        f"{finding.check} ({finding.count:,} of {finding.total:,}): {finding.fix}"
        for finding in errors
    ]
    allowing = " ".join(f"--allow {finding.check}" for finding in errors)
    raise DoctorRefusal(
        f"the data would mislead whatever is trained or measured on it. {' | '.join(lines)} | To "
        f"go on all the same, pass {allowing}"
    )


def load_check(name: str) -> Check:
    """The check of this name in the registry."""
    module, function = CHECKS[name][0].split(":")
    return cast(
        Check, getattr(importlib.import_module(f"nearfield.data.doctor.{module}"), function)
    )
