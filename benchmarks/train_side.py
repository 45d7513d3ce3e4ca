"""One side of a training benchmark, in a process of its own: this package or sentence-transformers,
on the same rows in the same order.

It answers `open`, `steps` and `quality` on standard input (see `interleave.Child`). Both sides
train every weight with InfoNCE at temperature .05 over cosines (sentence-transformers'
MultipleNegativesRankingLoss at scale 20), AdamW without weight decay, gradients clipped to 1, a
rate that falls linearly to 0, no dropout. sentence-transformers' texts are tokenised before the
clock starts, and its loop does per step what its trainer does, without what its trainer adds; ours
is the step that `nearfield tune` makes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from interleave import serve

if TYPE_CHECKING:
    from nearfield.train.data.sampling import TrainingPairs

Row = Sequence[str]
"""A query, its positive, and a hard negative where there is one."""


def rows_of(name: str, count: int, negatives: bool) -> list[Row]:
    """`count` rows of the collection, repeated where it has fewer: each train query with its first
    positive, no document twice.

    A hard negative is the document that stands after the positive in the collection.
    """
    from nearfield import open_collection

    collection = open_collection(name)
    split = collection.split("train")
    used: set[int] = set()
    rows: list[Row] = []
    for query, text in zip(split.query_ids, split.query_texts, strict=True):
        first = next(
            (document for document, grade in split.relevance[query].items() if grade > 0), None
        )
        at = int(collection.document_positions([first])[0]) if first is not None else -1
        other = at + 1 if negatives else at
        if at < 0 or other >= len(collection.documents) or used & {at, other}:
            continue
        used |= {at, other}
        texts = collection.document_texts
        rows.append((text, texts[at], texts[other]) if negatives else (text, texts[at]))
        if len(rows) == count:
            break
    return [rows[at % len(rows)] for at in range(count)]


def pairs_of(rows: list[Row]) -> TrainingPairs:
    """The rows as positions in the queries and in all documents laid end to end, row by row."""
    from nearfield.train.data.sampling import TrainingPairs

    at, width = np.arange(len(rows)), len(rows[0]) - 1
    return TrainingPairs(at, at * width, (at * width)[:, None] + np.arange(1, width)[None, :])


class Ours:
    """This package's trainer."""

    def __init__(self, model: str, rows: list[Row], ask: dict[str, Any]) -> None:
        from nearfield.encoders.text import TextEncoder
        from nearfield.models.find import model_path
        from nearfield.models.model import TextModel
        from nearfield.runtimes.torch_runtime import TorchRuntime
        from nearfield.train.data.training_data import TokenSource, TrainingData
        from nearfield.train.engine.loop import prepared_steps
        from nearfield.train.engine.trainer import Trainer
        from nearfield.train.recipe import Recipe

        self.model = TextModel.open(
            model_path(model), precision=ask["precision"], device=ask["device"]
        )
        schedule = {
            "epochs": 1,
            "batch": ask["batch"],
            "rate": ask["rate"],
            "weight_decay": 0.0,
            "warmup": 0.0,
        }
        schedule |= {
            "freeze_embeddings": ask["freeze"],
            "graph_tokens": ask["graph_tokens"],
            "engine": ask["engine"],
        }
        recipe = Recipe.of({"schedule": schedule, "objective": {"temperature": 0.05}})
        encoder = TextEncoder(self.model.folder, TorchRuntime(self.model))

        def source(texts: list[str], role: str) -> TokenSource:
            return TokenSource(
                texts, lambda chosen: encoder.tokenise(chosen, role, max_tokens=ask["max_tokens"])
            )

        queries, documents = [row[0] for row in rows], [text for row in rows for text in row[1:]]
        pairs = pairs_of(rows)
        relevant = [{int(at)} for at in pairs.positive]
        data = TrainingData(
            source(queries, "query"),
            source(documents, "document"),
            pairs,
            np.arange(len(documents)),
            relevant,
        )
        self.trainer = Trainer(self.model, recipe, len(rows) // ask["batch"])
        self.made, self.prepared = 0, prepared_steps(data, recipe, self.model, after=0)

    def step(self) -> float:
        self.made += 1
        return self.trainer.step(self.made, next(self.prepared))


class Theirs:
    """sentence-transformers' model and loss."""

    def __init__(self, model: str, rows: list[Row], ask: dict[str, Any]) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import losses

        from nearfield.models.find import model_path

        self.model = SentenceTransformer(str(model_path(model)), device=ask["device"])
        self.reads, self.model.max_seq_length = self.model.max_seq_length, ask["max_tokens"]
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        self.model.train()
        self.loss = losses.MultipleNegativesRankingLoss(self.model)
        self.weights = list(self.model.parameters())
        self.optimiser = torch.optim.AdamW(
            self.weights, lr=ask["rate"], weight_decay=0.0, fused=True
        )
        size, steps = ask["batch"], len(rows) // ask["batch"]
        self.rates = [ask["rate"] * (steps - step) / steps for step in range(steps)]
        self.half = ask["precision"] == "bfloat16"
        order = pairs_of(rows).epoch(size, seed=0, epoch=0)
        batches = [list(zip(*(rows[at] for at in batch.tolist()), strict=True)) for batch in order]
        self.batches = [
            [self._features(list(column), at == 0) for at, column in enumerate(batch)]
            for batch in batches
        ]
        self.made = 0

    def _features(self, texts: list[str], query: bool) -> dict[str, Any]:
        prompt = self.model.prompts.get("query" if query else "document") or ""
        return {
            name: part.to(self.model.device) if hasattr(part, "to") else part
            for name, part in self.model.preprocess([prompt + text for text in texts]).items()
        }

    def step(self) -> float:
        self.optimiser.param_groups[0]["lr"] = self.rates[self.made]
        with torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=self.half):
            loss = self.loss(self.batches[self.made], None)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.made += 1
        return float(loss.detach())


def main() -> None:
    """Serve one side."""
    held: dict[str, Any] = {}

    def answer(ask: dict[str, Any]) -> dict[str, Any]:
        if ask["do"] == "open":
            rows = rows_of(ask["collection"], ask["steps"] * ask["batch"], ask["negatives"])
            held["side"] = (Ours if ask["side"] == "nearfield" else Theirs)(ask["model"], rows, ask)
            return {"threads": torch.get_num_threads()}
        side = held["side"]
        if ask["do"] == "quality":
            return {"ndcg": quality(side, ask["collection"])}
        return timed_steps(side.step, ask["count"], cuda=side.model.device.type == "cuda")

    serve(answer)


def timed_steps(step: Callable[[], float], count: int, *, cuda: bool) -> dict[str, Any]:
    """The losses of `count` steps and the seconds that they took together."""
    started = time.perf_counter()
    losses = [step() for _ in range(count)]
    if cuda:
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - started, "losses": losses}


def quality(side: Ours | Theirs, name: str) -> float:
    """nDCG@10 on the collection's test split with the weights as they are, both sides' texts cut
    where the model cuts them.
    """
    from nearfield import open_collection
    from nearfield.encoders.text import TextEncoder
    from nearfield.evaluate.measures import score_ranking
    from nearfield.indexes.exact import Exact
    from nearfield.retrieval.queries import Queries
    from nearfield.retrieval.retrieve import retrieve
    from nearfield.runtimes.torch_runtime import TorchRuntime
    from nearfield.similarity.dense import Dense

    collection = open_collection(name)
    split = collection.split("test")
    if isinstance(side, Ours):
        encoder = TextEncoder(side.model.folder, TorchRuntime(side.model))
        queries, documents = (
            encoder.encode(split.query_texts, "query"),
            encoder.encode(collection.document_texts, "document"),
        )
    else:
        side.model.eval()
        side.model.max_seq_length = side.reads
        found = [
            encode(list(texts))
            for encode, texts in [
                (side.model.encode_query, split.query_texts),
                (side.model.encode_document, collection.document_texts),
            ]
        ]
        queries, documents = (Dense(vectors, vectors.shape[1]) for vectors in found)
    asked = Queries(split.query_texts, split.query_ids)
    ranking = retrieve(queries, Exact(documents), asked, collection.document_ids, k=100)
    (scores,) = score_ranking(ranking, split.relevance, ["nDCG@10"]).values()
    return float(scores.mean)


if __name__ == "__main__":
    main()
