"""An objective, and beside it what a teacher says of each query's own documents."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nearfield.train.objectives import TEACHER_LOSSES
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.objective import Wrapper


@dataclass(frozen=True)
class Distilled(Wrapper):
    """`inner` + `weight` times the teacher loss called `loss` over each row's own candidates.

    The teacher's scores are divided by `temperature` and the model's by `student_temperature`.
    """

    loss: str
    weight: float
    temperature: float
    student_temperature: float

    adds = frozenset({"own", "teacher"})

    def __call__(self, examples: Examples) -> Tensor:
        value = self.inner(examples)
        scores, real = examples.candidates()
        teacher = examples.column("teacher") / self.temperature
        loss = TEACHER_LOSSES[self.loss](scores / self.student_temperature, teacher, real=real)
        return value + self.weight * loss
