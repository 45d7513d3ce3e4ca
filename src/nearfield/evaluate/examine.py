"""The data doctor with all that it can ask for: any source, a model by its name, and BM25."""

from __future__ import annotations

from nearfield.data.doctor import examine as doctor
from nearfield.data.open import open_data
from nearfield.encoders.load import load_text_encoder
from nearfield.encoders.model_facts import model_facts
from nearfield.retrieval.bm25 import first_found
from nearfield.types.finding import Findings
from nearfield.types.progress import Progress, silent


def examine(data: object, *, model: str | None = None, progress: Progress = silent) -> Findings:
    """What would spoil training or measuring on `data`, which is anything that `open_collection`
    and `open_pairs` take: errors first, then warnings, then notes. Printed, they can be read.

    With the name of a `model`, what depends on one is looked for, too: lost tokens, a missing
    prompt. Raises InputError for what is not data, ModelError for what is not a model.
    """
    facts = None if model is None else model_facts(load_text_encoder(model))
    return doctor.examine(open_data(data), model=facts, first=first_found, progress=progress)
