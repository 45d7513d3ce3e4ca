"""Where a run trains: as asked, or refused before any work; what was noted of it is compared when
it goes on.
"""

from __future__ import annotations

import pytest
import torch

from nearfield.errors import InputError, NearfieldWarning
from nearfield.runtimes.hardware import cuda
from nearfield.train.engine.environment import (
    device_here,
    environment,
    precision_here,
    same_environment,
)
from nearfield.train.engine.group import ALONE, Group


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert device_here("auto") == ("cuda" if cuda() else "cpu")
    assert device_here("cpu") == "cpu"


@pytest.mark.parametrize("wanted", ["gpu", "cuda:99", "xpu:7"])
def test_a_device_that_is_not_here_is_refused(wanted: str) -> None:
    with pytest.raises(InputError, match=f"the device '{wanted}' cannot be used"):
        device_here(wanted)


def test_several_processes_have_each_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(type(ALONE)):  # type: ignore[misc]
        size, device = 2, "cpu"

    both: Group = Two()
    assert device_here("auto", both) == "cpu"
    with pytest.raises(InputError, match="leave the device out"):
        device_here("cpu", both)


def test_the_precision_is_the_devices() -> None:
    assert precision_here("float32", "cuda") == "float32"
    able = torch.cpu.get_capabilities()
    assert (precision_here("auto", "cpu") == "bfloat16") == bool(
        able.get("avx512_bf16") or able.get("amx_bf16")
    )


def test_going_on_elsewhere_is_said_and_what_was_not_noted_is_not() -> None:
    now = environment("float32", "cpu")
    assert now["device"] == "cpu"
    assert (
        same_environment({key: value for key, value in now.items() if key != "device"}, now)
        == "float32"
    )
    with pytest.warns(NearfieldWarning, match="device was cuda and is cpu"):
        same_environment(now | {"device": "cuda"}, now)
