"""How texts alone are learned from, before there are pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.train.pretraining.pretraining import Pretraining

_HERE = "nearfield.train.pretraining"

PRETRAINING: Registry[Pretraining] = Registry(
    "pre-training objective",
    {
        "simcse": f"{_HERE}.views:SIMCSE",
        "cropping": f"{_HERE}.views:CROPPING",
        "inverse-cloze": f"{_HERE}.views:INVERSE_CLOZE",
        "mlm": f"{_HERE}.reconstruction:MLM",
        "retromae": f"{_HERE}.reconstruction:RETROMAE",
        "tsdae": f"{_HERE}.reconstruction:TSDAE",
    },
)
