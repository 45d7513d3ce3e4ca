"""Run every check on the data, and refuse to go on where one found an error."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Iterable

from nearfield.data.collection import Collection
from nearfield.data.doctor import CHECKS
from nearfield.data.doctor.subject import First, ModelFacts, Subject
from nearfield.data.pairs import Pairs
from nearfield.errors import DoctorRefusal, InputError, nearest
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding, Findings
from nearfield.types.progress import Progress, silent


def examine(
    data: Collection | Pairs,
    *,
    model: ModelFacts | None = None,
    first: First | None = None,
    only: Iterable[str] | None = None,
    cheap: bool = False,
    progress: Progress = silent,
) -> Findings:
    """What is wrong with `data`, for `model` where one is given: errors first, then warnings, then
    notes.

    `only` names the checks that are made, `cheap` leaves out those that compare texts with all
    others. `first`, which is `first_found` of nearfield.retrieval.bm25, is needed to see where
    words alone answer the queries.
    """
    subject = Subject(data, first, model)
    checks = {}
    for name in CHECKS if only is None else only:
        check = CHECKS[name]
        if isinstance(data, check.examines) and (check.cheap or not cheap):
            checks[name] = check
    findings = []
    for done, (name, check) in enumerate(checks.items()):
        progress(done, len(checks), name)
        found = check(subject)
        if found is not None:
            facts = vars(found) | {"fix": found.fix or check.fix}
            findings.append(Finding(name, **facts))
    progress(len(checks), len(checks), "")
    order = (ERROR, WARNING, NOTE)
    # sorting keeps the table's order among findings of one severity
    return Findings(sorted(findings, key=lambda finding: order.index(finding.severity)))


def refuse(findings: Iterable[Finding], *, allow: Container[str] = ()) -> None:
    """Raise DoctorRefusal where a finding is an error and its check is not in `allow`.

    Raises InputError, with the nearest known name, where `allow` holds a name that no check has.
    """
    for name in allow:
        if name not in CHECKS:
            raise InputError(
                f"--allow {name}: the doctor has no such check.{nearest(name, CHECKS)} It has "
                f"{', '.join(CHECKS)}"
            )
    lines = []
    options = []
    for finding in findings:
        if finding.severity == ERROR and finding.check not in allow:
            counts = f"{finding.count:,} of {finding.total:,}"
            lines.append(f"{finding.check} ({counts}): {finding.fix}")
            options.append(f"--allow {finding.check}")
    if not lines:
        return
    raise DoctorRefusal(
        f"the data would mislead whatever is trained or measured on it. {' | '.join(lines)} | To "
        f"go on all the same, pass {' '.join(options)}"
    )
