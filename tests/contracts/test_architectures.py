"""What the table of architectures says, beside what the files of a folder are read by."""

from __future__ import annotations

from nearfield.formats.architectures import ARCHITECTURES, NATIVE
from nearfield.models.backbones.classifiers import CLASSIFIERS, PADDED


def test_every_classifier_that_is_named_is_known() -> None:
    named = {kind for kind, known in ARCHITECTURES.items() if known.classifier}
    assert named == {*CLASSIFIERS, *PADDED}


def test_what_the_kernels_run_packs() -> None:
    assert all(ARCHITECTURES[kind].packs for kind in NATIVE)
