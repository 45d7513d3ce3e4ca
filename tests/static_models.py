"""Small static models, as model2vec and sentence-transformers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import processors

from tiny import tiny_tokenizer


def table(dim: int = 8, *, dtype: str = "float32") -> npt.NDArray[np.float32]:
    return (
        np.random.default_rng(0)
        .standard_normal((tiny_tokenizer().get_vocab_size(), dim))
        .astype(dtype)
    )


def model2vec_folder(
    path: Path,
    *,
    dtype: str = "float32",
    normalise: bool = True,
    max_tokens: int | None = 512,
    shared: bool = False,
) -> Path:
    """`shared`: rows are shared by tokens and weighted, as model2vec's vocabulary quantisation
    leaves them.
    """
    vectors, random = table(), np.random.default_rng(1)
    vectors = (vectors * 40).astype(np.int8) if dtype == "int8" else vectors.astype(dtype)
    mapping = random.integers(0, 20, len(vectors)) if shared else None
    weights = random.random(len(vectors)).astype(np.float32) if shared else None
    rows = vectors[:20] if shared else vectors
    model = StaticModel(
        rows,
        tiny_tokenizer(),
        normalize=normalise,
        weights=weights,
        token_mapping=mapping,
        max_length=max_tokens,
    )
    model.save_pretrained(path)
    return path


def sentence_transformers_folder(
    path: Path, *, normalise: bool = True, specials: bool = True
) -> Path:
    tokenizer = tiny_tokenizer()
    if not specials:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    parts = [
        StaticEmbedding(tokenizer, embedding_weights=table()),
        *([Normalize()] if normalise else []),
    ]
    SentenceTransformer(modules=parts, device="cpu").save(str(path))
    return path
