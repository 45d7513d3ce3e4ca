"""A run that trains a model which makes vectors."""

from __future__ import annotations

from typing import Any

from nearfield.data.collection import Split
from nearfield.encoders.encoder import Encoder
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.train.runs.candidate import ByVectors
from nearfield.train.runs.conclude import Measured, cuts, measure_test
from nearfield.train.runs.model_run import ModelRun
from nearfield.types.progress import Progress


class EncoderRun(ModelRun):
    """`encoder` runs the model as it stands; `after` keeps what the merged weights make of
    documents, as `finder` does of the base's.
    """

    nouns = ("tuned model", "base model")
    encoder: Any
    after: EncodedOnce

    def measured_with(self, encoder: Encoder[Any]) -> None:
        """Have this encoder, which runs what is trained, mine and measure."""
        self.encoder = encoder
        self.finder = EncodedOnce(encoder)
        self.after = EncodedOnce(encoder)
        self.base = ByVectors(self.finder)
        self.now = ByVectors(encoder)
        self.merged = ByVectors(self.after)

    def weights_changed(self) -> None:
        self.after.forget()

    def before(self, base: Encoder[Any]) -> EncodedOnce:
        """The base, opened from its folder, with the documents' vectors that this run made of
        it.
        """
        return self.finder.handed_to(base)

    @property
    def kept(self) -> EncodedOnce:
        """What holds the documents' vectors by the weights that were kept."""
        return self.after if self.chosen else self.finder

    def measure_folders(
        self, base: Encoder[Any], tuned: Encoder[Any], split: Split, progress: Progress
    ) -> Measured:
        """Both models, opened from their folders, on the test split; vectors that the same weights
        made in this run are not made again.
        """
        return measure_test(
            self.before(base),
            self.kept.handed_to(tuned),
            split,
            name=base.contract.name,
            measure=self.measure,
            dims=cuts(base.contract, tuned.contract.matryoshka_dims),
            progress=progress,
        )
