"""The tasks that models are compared on. One literal table, in the order in which data is tried."""

from __future__ import annotations

from nearfield.evaluate.task import Task
from nearfield.registry import Registry

TASKS: Registry[type[Task]] = Registry(
    "task",
    {
        # where several tasks take the same data the first does, and the others are to be named:
        # scored pairs are pair-classification where the scores have two values, else similarity;
        # texts with a label are classification
        "retrieval": "nearfield.evaluate.tasks.retrieval:Retrieval",
        "instruction-following": (
            "nearfield.evaluate.tasks.instruction_following:InstructionFollowing"
        ),
        "pair-classification": ("nearfield.evaluate.tasks.pair_classification:PairClassification"),
        "reranking": "nearfield.evaluate.tasks.reranking:Reranking",
        "similarity": "nearfield.evaluate.tasks.similarity:Similarity",
        "bitext": "nearfield.evaluate.tasks.bitext:Bitext",
        "classification": "nearfield.evaluate.tasks.classification:Classification",
        "zero-shot": "nearfield.evaluate.tasks.zero_shot:ZeroShot",
        "image-to-text": "nearfield.evaluate.tasks.image_to_text:ImageToText",
        "clustering": "nearfield.evaluate.tasks.clustering:Clustering",
        "spans": "nearfield.evaluate.tasks.spans:Spans",
        "summarisation": "nearfield.evaluate.tasks.summarisation:Summarisation",
        "word-analogies": "nearfield.evaluate.tasks.word_analogies:WordAnalogies",
        "word-similarity": "nearfield.evaluate.tasks.word_similarity:WordSimilarity",
    },
)
