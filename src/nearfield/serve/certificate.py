"""Reference texts with the vectors that a model makes of them, kept beside the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.store.fingerprint import CERTIFICATE, model_hash
from nearfield.store.tensors import noted_tensors, whole_tensors
from nearfield.types.arrays import Floats
from nearfield.types.role import DOCUMENT, QUERY

_FORMAT = "1"
LONGEST = 4  # times what the model reads: the longest text, in words
# Each tells some of the faults in `hypotheses` from the others: case, line breaks, characters that
# NFKC changes, scripts beyond ASCII and Latin-1.
_SHORT = (
    "a cat",
    "A CAT",
    "How do I return a parcel that arrived late?",
    "The NASA rover Curiosity landed on Mars in August 2012.",
    "Die Fußgängerüberführung wird größer; naïve café, Ærø, ﬁnal ½ m²",
    "東京は日本の首都です。 Привет, мир! שלום 🎉👩‍🔬",
    "first line\nsecond line\n\n- an item\n- another\ttabbed",
    "  spaced   out  and, with; punctuation... (really?) ",
    "def read(path):\n    return open(path, encoding='utf-8').read()",
    "",
)
QUERIES = (
    "How do I return a parcel?",
    "the law of the sea",
    "WHICH ROVER landed on Mars\nin 2012?",
)
_SENTENCES = (
    "the law of the sea and the sun of the north, a red song that nobody sang, three lists of "
    "numbers, an open window, one green tree, a court that met at nine, bread and water, a map "
    "without names, the last train home, two letters and an answer"
)
_WORDS = _SENTENCES.split()


def reference_texts(max_tokens: int) -> list[str]:
    """Short texts, one about as long as the model reads, and texts longer than that, whose
    beginnings and ends differ.
    """
    # a static model reads without a limit, which is a million tokens here (`UNLIMITED`)
    most = min(max_tokens, 8192)
    texts = list(_SHORT)
    for share, turn in ((0.4, 0), (0.9, 7), (1.5, 13), (2.5, 21), (LONGEST, 34)):
        # each text goes round the words from another place and in other steps
        places = [turn + at * (turn + 1) for at in range(int(most * share))]
        texts.append(" ".join(_WORDS[place % len(_WORDS)] for place in places))
    return texts


@dataclass(frozen=True)
class Certificate:
    """`texts`, and for each role their vectors by the model called `name`, whose files have the
    hash `files`: (n, dim) float32, a number for each term of a sparse model's vocabulary, or
    (n, tokens, dim) of a multi-vector model, zeros behind a text's last token. Of a reranker the
    texts are documents, and each query has the place of a role: (n, 1), its logits.
    """

    name: str
    files: str
    texts: tuple[str, ...]
    vectors: Mapping[str, Floats]

    @classmethod
    def make(cls, encoder: TextEncoder) -> Certificate:
        """The certificate of a model, by what has it open, in each role of its contract. Raises
        ContractError for embeddings of several kinds in one pass.
        """
        contract = encoder.contract
        texts = reference_texts(contract.max_tokens)
        vectors = {}
        for role in sorted({QUERY, DOCUMENT, *contract.prompts}):
            vectors[role] = encoder.encode_as(role, texts).numbers()
        return cls(contract.name, model_hash(encoder.folder.path), tuple(texts), vectors)

    @classmethod
    def of_reranker(cls, folder: Path) -> Certificate:
        """The certificate of a cross-encoder's folder. Raises as `Reranker.open` does."""
        from nearfield.encoders.reranker import Reranker

        judge = Reranker.open(folder)
        # not every API of rerankers takes an empty document
        texts = [text for text in reference_texts(judge.folder.max_tokens) if text.strip()]
        everyone = np.arange(len(texts))
        vectors = {}
        for query in QUERIES:
            scores = judge.score_at([query], texts, (np.zeros_like(everyone), everyone))
            # (n, 1), so that scores are kept as vectors are
            vectors[query] = scores[:, None]
        return cls(judge.name, model_hash(folder), tuple(texts), vectors)

    def save(self, folder: Path) -> Path:
        """Write it into a model folder, whole or not at all; the model stays the same one."""
        tensors = {role: torch.from_numpy(np.array(made)) for role, made in self.vectors.items()}
        facts = {"certificate": _FORMAT, "model": self.name, "files": self.files}
        noted_tensors(folder / CERTIFICATE, tensors, facts | {"texts": json.dumps(self.texts)})
        return folder / CERTIFICATE

    @classmethod
    def open(cls, folder: Path) -> Certificate:
        """The certificate in a model folder. Raises InputError where there is none, where it is
        damaged, and where it is of other files than the folder now holds.
        """
        path = folder / CERTIFICATE
        if not path.is_file():
            raise InputError(f"there is no certificate; nearfield certify {folder}", path=path)
        tensors, facts = whole_tensors(path)
        if facts.get("certificate") != _FORMAT:
            raise InputError("is of another version; make it again", path=path)
        if facts["files"] != model_hash(folder):
            advice = f"make it again: nearfield certify {folder}"
            raise InputError(f"is of other files than the folder now holds; {advice}", path=path)
        vectors = {role: tensor.numpy() for role, tensor in tensors.items()}
        return cls(facts["model"], facts["files"], tuple(json.loads(facts["texts"])), vectors)
