"""Two processes, started for real, against one with the joined batch."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.errors import InputError, ProcessError
from nearfield.models.model import TextModel
from nearfield.scale.launch import processes
from nearfield.store.run import RunFolder
from nearfield.train.data.batch import Asked
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.engine.loop import lead, train
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe
from nearfield.types.progress import silent
from planted import planted, ran
from tiny import tiny_model
from training import data_of, training_step

RECIPE = Recipe.of(
    {
        "schedule": {
            "epochs": 2,
            "batch": 16,
            "rate": 1e-3,
            "clip": 1e6,
            "evaluations": 2,
            "freeze_embeddings": False,
        }
    }
)

# the temperature is learned beside the weights
LEARNED = dataclasses.replace(
    RECIPE, objective=dataclasses.replace(RECIPE.objective, learn_temperature=True)
)


def test_loss_and_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    """Also with a cache in each process, with fewer texts than processes' mini-batches, and over
    whole runs with a resumed one.
    """
    folder = tiny_model(tmp_path / "model")
    alone = TextModel.open(folder)
    data = data_of(alone, 64, negatives=1)
    cached = Recipe.of({"schedule": {"graph_tokens": 1, "clip": 1e6, "freeze_embeddings": False}})
    with processes(2) as group:
        for recipe, rows in [(RECIPE, 64), (cached, 64), (RECIPE, 2)]:
            batch = np.arange(rows)
            trainer = Trainer(alone, recipe, 1)
            weights = list(trainer.trained.values())
            expected = training_step(alone, data.prepare(batch, alone), recipe, weights)
            plain = [weight.grad.clone() for weight in weights if weight.grad is not None]
            trainer.optimiser.zero_grad(set_to_none=True)
            together = Trainer(alone, recipe, 1, group)
            lead(together, made=0)
            step = group.agree(data.prepare(batch, alone, Asked(processes=2)))
            assert len(step.parts) >= 2
            value = training_step(alone, step, recipe, weights, group=group)
            group.agree(None)
            assert value == pytest.approx(expected, rel=1e-5)
            for weight, gradient in zip(weights, plain, strict=True):
                torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-6)
            trainer.optimiser.zero_grad(set_to_none=True)
        for recipe, name in [(RECIPE, "plain"), (LEARNED, "learned")]:
            run = tmp_path / name
            whole = weights_after(folder, run / "alone", ALONE, recipe)
            shared = weights_after(folder, run / "shared", group, recipe)
            before = {
                name: weight.detach()
                for name, weight in TextModel.open(folder).parameters().items()
            }
            moved, apart = (
                sum(float((whole[name] - other[name]).square().sum()) for name in whole) ** 0.5
                for other in (before, shared)
            )
            assert apart < 0.01 * moved
            for expected, which in [(whole, ALONE), (shared, group)]:
                kept = run / f"resumed-{which.size}"
                resumed = weights_after(folder, kept, which, recipe, stop=3)
                for name, weight in expected.items():
                    assert torch.equal(weight, resumed[name])


def weights_after(
    folder: Path, run: Path, group: Group, recipe: Recipe, *, stop: int | None = None
) -> dict[str, torch.Tensor]:
    """The weights of a run; with `stop`, of one that was broken off after so many measurements and
    begun again.
    """
    measured = [0]

    def measure() -> np.ndarray:
        measured[0] += 1
        if measured[0] == stop:
            raise KeyboardInterrupt
        return np.array([float(measured[0]), 1.0])

    held = RunFolder(run)
    for _ in range(2):
        model = TextModel.open(folder)
        try:
            return train(
                model,
                data_of(model, 64),
                recipe,
                run=held,
                measure=measure,
                progress=silent,
                group=group,
            )
        except KeyboardInterrupt:
            group.agree(None)
    raise AssertionError("a run that was begun again did not end")


def test_a_process_that_is_gone_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="give the same command again"), processes(2) as group:
        (other,) = children()
        os.kill(other, signal.SIGKILL)
        for _ in range(100):
            group.agree("something")
            group.gather({0: (torch.ones(1),)}, 2)
            time.sleep(0.1)


def test_those_that_follow_end_with_the_process_that_leads_and_run_no_code_of_the_working_folder(
    tmp_path: Path,
) -> None:
    words = """
import time
from nearfield.scale.launch import processes
with processes(2):
    print("up", flush=True)  # all of them are
    time.sleep(60)
"""
    leading = subprocess.Popen(
        [sys.executable, "-P", "-c", words], stdout=subprocess.PIPE, cwd=planted(tmp_path / "here")
    )
    assert leading.stdout is not None
    assert leading.stdout.readline() == b"up\n"
    assert ran(tmp_path / "here") == []
    (other,) = children(leading.pid)
    leading.kill()
    leading.wait()
    leading.stdout.close()
    for _ in range(200):
        if not alive(other):
            break
        time.sleep(0.1)
    assert not alive(other)


def children(parent: int | None = None) -> list[int]:
    listed = Path(
        f"/proc/{parent or os.getpid()}/task/{parent or os.getpid()}/children"
    ).read_text()
    return [int(pid) for pid in listed.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_number_of_processes_that_cannot_be() -> None:
    with pytest.raises(InputError, match="--processes is 0"), processes(0):
        pass
