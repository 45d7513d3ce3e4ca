"""The mteb package both ways: an encoder that runs under it, and its tasks run here.

mteb.evaluate(MtebEncoder(nf.load("minilm")), mteb.get_task("SciFact"))
nf.compare(["minilm", "e5-small"], from_mteb(mteb.get_task("SciFact")))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from nearfield.data.evaluated.summaries import Summaries, Summarised
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.writer import CollectionWriter, PairsWriter
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, nearest
from nearfield.evaluate.task import Task
from nearfield.evaluate.tasks.bitext import Bitext
from nearfield.evaluate.tasks.classification import Classification
from nearfield.evaluate.tasks.clustering import Clustering
from nearfield.evaluate.tasks.pair_classification import PairClassification
from nearfield.evaluate.tasks.reranking import Reranking
from nearfield.evaluate.tasks.retrieval import Retrieval
from nearfield.evaluate.tasks.similarity import Similarity
from nearfield.evaluate.tasks.summarisation import Summarisation
from nearfield.extras import require
from nearfield.similarity.functions import similarity
from nearfield.types.arrays import Floats
from nearfield.types.comparison import Comparison
from nearfield.types.role import DOCUMENT, QUERY, Role

_ROLES: Mapping[str, Role] = {
    "Classification": "classification",
    "Clustering": "clustering",
    "STS": "similarity",
    "PairClassification": "similarity",
    "Summarization": "similarity",
}


class MtebEncoder:
    """An encoder as mteb wants one (its EncoderProtocol), with the roles of the contract.

    A text is a query or a document where mteb says so. Else it has the role of the task's type
    where the contract has a prompt for it, and is a query where it has none, as in `compare`.
    """

    def __init__(self, encoder: Encoder[Any]) -> None:
        self.encoder = encoder
        self._score = similarity(encoder.contract.similarity)

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        batch_size: int = 0,
        show_progress_bar: bool = False,
    ) -> Floats:
        """(n, dim) of the texts in mteb's batches, packed by tokens whatever `batch_size` says."""
        texts = [text for batch in inputs for text in batch["text"]]
        role = self.encoder.contract.role_of_alike([_ROLES.get(task_metadata.type, "")])
        if prompt_type is not None:
            role = DOCUMENT if prompt_type.value == "document" else QUERY
        embeddings = self.encoder.encode(texts, role).as_dense("mteb")
        return np.asarray(embeddings, np.float32)

    def similarity(self, first: Any, second: Any) -> Any:
        """(n, m) similarities of two arrays of vectors."""
        one, other = (np.atleast_2d(np.asarray(side, np.float32)) for side in (first, second))
        return torch.from_numpy(self._score(one, other))

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """(n,) similarities of the vectors in equal places."""
        # not the diagonal of all with all, which for n pairs would take n x n numbers
        rows = [self.similarity(*pair)[0, 0] for pair in zip(first, second, strict=True)]
        return torch.stack(rows)

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb writes of the model beside its results."""
        contract = self.encoder.contract
        meta = require("mteb.models.model_meta", extra="dev").ModelMeta
        return meta.create_empty(
            {
                "name": f"nearfield/{contract.name}",
                "max_tokens": float(contract.max_tokens),
                "embed_dim": contract.dim,
                "use_instructions": bool(contract.prompts),
            }
        )


def from_mteb(task: Any, *, split: str = "test", subset: str = "default") -> Task:
    """A text task of the mteb package on its own data, which is loaded if it was not.

    `subset` is mteb's, a language or a pair of them. Raises InputError for a type of task that is
    not here, and for a subset or split that the task does not have.
    """
    kind = task.metadata.type
    name = task.metadata.name
    if kind not in _TASKS:
        raise InputError(
            f"{name}: tasks of mteb's type {kind} are not here; known: {', '.join(_TASKS)}."
            f"{nearest(kind, _TASKS)}"
        )
    if not task.data_loaded:
        task.load_data()
    data = task.dataset
    # a task of one language may have its splits at the top, with no level of subsets
    if subset in data or subset != "default":
        data = _part(data, subset, name, "subset")
    _part(data, split, name, "split")
    found = _TASKS[kind](task, data, split)
    found.split = split
    return found


def to_mteb(comparison: Comparison) -> list[dict[str, Any]]:
    """Each row as mteb's results file of one task: its measures under mteb's keys where it has
    them, the main one as main_score.
    """
    files = []
    for row in comparison.rows:
        scores = {"hf_subset": "default", "languages": [], "main_score": row.estimate.mean}
        scores |= {_key(name): value for name, value in row.means.items()}
        files.append(
            {
                "task_name": comparison.collection,
                "mteb_version": "nearfield",
                "model_name": row.name,
                "scores": {comparison.split: [scores]},
            }
        )
    return files


def _key(measure: str) -> str:
    """ndcg_at_10 of nDCG@10, cosine_spearman of cosine Spearman."""
    return measure.lower().replace("@", "_at_").replace(" ", "_").replace("-", "_")


def _part(data: Any, name: str, task: str, what: str) -> Any:
    if name not in data:
        raise InputError(
            f"{task} has no {what} {name!r}; it has {', '.join(data)}.{nearest(name, list(data))}"
        )
    return data[name]


def _scored(task: Any, data: Any, columns: tuple[str, str, str], split: str) -> Pairs:
    writer = PairsWriter(task.metadata.name, None)
    for first, second, score in zip(*(data[split][column] for column in columns), strict=True):
        writer.pair(first, second, score=float(score))
    return writer.finish()


def _similarity(task: Any, data: Any, split: str) -> Task:
    return Similarity(_scored(task, data, (*task.column_names, "score"), split))


def _pair_classification(task: Any, data: Any, split: str) -> Task:
    columns = (task.input1_column_name, task.input2_column_name, task.label_column_name)
    return PairClassification(_scored(task, data, columns, split))


def _bitext(task: Any, data: Any, split: str) -> Task:
    table = data[split]
    writer = PairsWriter(task.metadata.name, None)
    for first, second in zip(table["sentence1"], table["sentence2"], strict=True):
        writer.pair(first, second)
    return Bitext(writer.finish())


def _labels(task: Any, data: Any, splits: Mapping[str, str]) -> Labelled:
    rows = []
    for split, part in splits.items():
        table = data[split]
        labels = table[task.label_column_name]
        for text, label in zip(table[task.input_column_name], labels, strict=True):
            # numbers in the order of their size, which is that of the classes
            name = f"{label:06d}" if isinstance(label, int) else str(label)
            rows.append((text, name, part))
    return Labelled.of(rows, name=task.metadata.name, place=task.metadata.name)


def _classification(task: Any, data: Any, split: str) -> Task:
    found = _labels(task, data, {task.train_split: "train", split: "test"})
    return Classification(found, draws=task.n_experiments, per_label=task.samples_per_label)


def _clustering(task: Any, data: Any, split: str) -> Task:
    found = _labels(task, data, {split: "test"})
    sampled = task.max_document_to_embed
    if task.max_fraction_of_documents_to_embed is not None:
        sampled = int(task.max_fraction_of_documents_to_embed * len(data[split]))
    # mteb calls a sample that is clustered a cluster, in its number and its size
    return Clustering(
        found, draws=task.n_clusters, sampled=sampled, size=task.max_documents_per_cluster
    )


def _summarisation(task: Any, data: Any, split: str) -> Task:
    columns = (
        task.human_summaries_column_name,
        task.machine_summaries_column_name,
        task.relevancy_column_name,
    )
    texts = []
    for human, machine, scores in zip(*(data[split][column] for column in columns), strict=True):
        texts.append(Summarised(tuple(human), tuple(machine), tuple(map(float, scores))))
    return Summarisation(Summaries(task.metadata.name, texts))


def _retrieval(task: Any, data: Any, split: str) -> Task:
    part = data[split]
    writer = CollectionWriter(task.metadata.name, None)
    for row in part["corpus"]:
        writer.document(row["id"], row["text"], title=row.get("title") or "")
    for row in part["queries"]:
        writer.query(row["id"], row["text"])
    for query, grades in part["relevant_docs"].items():
        for document, grade in grades.items():
            writer.judgement(query, document, grade, split)
    return Retrieval(writer.finish().split(split))


def _reranking(task: Any, data: Any, split: str) -> Task:
    part = data[split]
    texts = {row["id"]: f"{row.get('title') or ''} {row['text']}".strip() for row in part["corpus"]}
    writer = PairsWriter(task.metadata.name, None)
    for query in part["queries"]:
        grades = part["relevant_docs"].get(query["id"], {})
        positives: list[str] = []
        negatives: list[str] = []
        for document in part["top_ranked"].get(query["id"], []):
            side = positives if grades.get(document, 0) > 0 else negatives
            side.append(texts[document])
        # one for each positive: Reranking joins the rows of a query again
        for text in positives:
            writer.pair(query["text"], text, negatives=negatives)
    return Reranking(writer.finish())


_TASKS: Mapping[str, Callable[[Any, Any, str], Task]] = {
    "Retrieval": _retrieval,
    "Reranking": _reranking,
    "STS": _similarity,
    "PairClassification": _pair_classification,
    "BitextMining": _bitext,
    "Classification": _classification,
    "Clustering": _clustering,
    "Summarization": _summarisation,
}
"""What makes a task here of one of mteb's, by its type there."""
