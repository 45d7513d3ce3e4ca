"""An objective, and beside it what a teacher says of each query's own documents."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives import TEACHER_LOSSES
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Objective


@dataclass(frozen=True)
class Distilled(Objective):
    """`inner` + `weight` times the teacher loss called `loss` over each row's own candidates.

    The teacher's scores are divided by `temperature` and the model's by `student_temperature`.
    """

    inner: Objective
    loss: str
    weight: float
    temperature: float
    student_temperature: float

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs | {"own", "teacher"}

    @property
    def rowwise(self) -> bool:  # type: ignore[override]
        return self.inner.rowwise

    def __call__(self, examples: Examples) -> Tensor:
        value = self.inner(examples)
        own = examples.column("own")
        student = examples.scores.gather(1, own.clamp(min=0)) / self.student_temperature
        teacher = examples.column("teacher") / self.temperature
        loss = TEACHER_LOSSES[self.loss]
        return value + self.weight * loss(student, teacher, real=own >= 0)
