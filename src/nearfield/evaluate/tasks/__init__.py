"""The tasks that models are compared on. One literal table, in the order in which data is tried."""

from __future__ import annotations

from nearfield.evaluate.task import Task
from nearfield.registry import Registry

TASKS: Registry[type[Task]] = Registry(
    "task",
    {
        "retrieval": "nearfield.evaluate.tasks.retrieval:Retrieval",
        "similarity": "nearfield.evaluate.tasks.similarity:Similarity",
        "bitext": "nearfield.evaluate.tasks.bitext:Bitext",
        "word-analogies": "nearfield.evaluate.tasks.word_analogies:WordAnalogies",
        "word-similarity": "nearfield.evaluate.tasks.word_similarity:WordSimilarity",
    },
)
