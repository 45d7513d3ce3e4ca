"""Each objective against a plain loop, and against sentence-transformers' loss of the same
embeddings where it has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer import losses as peers
from torch import Tensor, nn

from nearfield.errors import InputError, RecipeError
from nearfield.models.heads.represented import Rows
from nearfield.train.objectives import OBJECTIVES
from nearfield.train.objectives.both_ways import clip
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.examples import Examples
from nearfield.train.objectives.sigmoid import sigmoid, sigmoid_of_scores
from nearfield.train.recipe import Recipe
from nearfield.train.wrappers.spread import spread
from training import marked

B, DIM, GUIDE = 6, 5, 4
LABEL = [0, 1, 0, 1, 2, 2]
TOGETHER = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
ALIKE = [0.9, 0.1, 0.5, 0.5, 0.0, 1.0]
CLASSES = [0.0, 1.0, 2.0, 1.0, 0.0, 2.0]
QUERY = [0, 1, 2, 1, 2, 3]
T, MARGIN = 0.2, 0.7


@dataclass
class Given:
    """Vectors as lists: q and d of each row's query and positive, n of its negative; a guide's of
    the same; what is learned.
    """

    q: list[Any]
    d: list[Any]
    n: list[Any]
    guide: dict[str, Any]
    learned: dict[str, Any]

    @property
    def all(self) -> list[Any]:
        return self.d + self.n


def cos(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


def cross_entropy(logits: Sequence[float], own: int) -> float:
    most = max(logits)
    return most + math.log(sum(math.exp(x - most) for x in logits)) - logits[own]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def naive_infonce(g: Given, hardness: float = 0.0) -> float:
    rows = []
    for i in range(B):
        near = [cos(g.q[i], d) for d in g.all]
        rows.append(
            cross_entropy([s / T + (hardness * s if j != i else 0) for j, s in enumerate(near)], i)
        )
    return mean(rows)


def naive_symmetric(g: Given) -> float:
    back = mean([cross_entropy([cos(q, g.d[i]) / T for q in g.q], i) for i in range(B)])
    return (naive_infonce(g) + back) / 2


def naive_same_side(g: Given) -> float:
    rows = []
    for i in range(B):
        others = [j for j in range(B) if j != i]
        logits = [cos(g.q[i], d) / T for d in g.all]
        logits += [cos(g.q[i], g.q[j]) / T for j in others]
        logits += [cos(q, g.d[i]) / T for q in g.q]
        logits += [cos(g.d[i], side[j]) / T for side in (g.d, g.n) for j in others]
        rows.append(cross_entropy(logits, i))
    return mean(rows)


def naive_several(g: Given) -> float:
    rows = []
    for i in range(B):
        logits = [cos(g.q[i], d) / T for d in g.all]
        rows.append(mean([cross_entropy(logits, p) for p in range(B) if QUERY[p] == QUERY[i]]))
    return mean(rows)


def naive_guided(g: Given) -> float:
    rows = []
    documents = g.guide["d"] + g.guide["n"]
    for i in range(B):
        own = cos(g.guide["q"][i], documents[i])
        kept = [
            j
            for j in range(2 * B)
            if j == i or cos(g.guide["q"][i], documents[j]) <= own - 0.1 * abs(own)
        ]
        rows.append(cross_entropy([cos(g.q[i], g.all[j]) / T for j in kept], kept.index(i)))
    return mean(rows)


def naive_sigmoid(g: Given) -> float:
    bias = g.learned["bias"]
    return mean(
        [
            sum(
                math.log1p(math.exp((-1 if j == i else 1) * (cos(g.q[i], d) / T + bias)))
                for j, d in enumerate(g.all)
            )
            for i in range(B)
        ]
    )


def naive_own(g: Given) -> float:
    return mean([cross_entropy([cos(g.q[i], g.d[i]), cos(g.q[i], g.n[i])], 0) for i in range(B)])


def naive_triplet(g: Given) -> float:
    return mean([max(0.0, cos(g.q[i], g.n[i]) - cos(g.q[i], g.d[i]) + MARGIN) for i in range(B)])


def naive_pairwise(near: Sequence[float], score: Sequence[float]) -> float:
    total = 1.0
    for i in range(B):
        for j in range(B):
            if score[i] > score[j]:
                total += math.exp((near[j] - near[i]) / T)
    return math.log(total)


def own_cosines(g: Given) -> list[float]:
    return [cos(a, b) for a, b in zip(g.q, g.d, strict=True)]


def naive_angle(g: Given) -> float:
    half, near = (DIM + 1) // 2, []
    for a, b in zip(g.q, g.d, strict=True):
        total = 0.0
        x, y = ([*v, 0.0] for v in (a, b))
        for k in range(half):
            z = complex(x[k], x[half + k]) * complex(y[k], y[half + k]).conjugate()
            total += z.real + z.imag
        near.append(abs(total) / math.sqrt(sum(v * v for v in a) * sum(v * v for v in b)))
    return naive_pairwise(near, ALIKE)


def naive_contrastive(g: Given) -> float:
    return mean(
        [
            0.5 * (1 - s) ** 2 if y else 0.5 * max(0.0, MARGIN - (1 - s)) ** 2
            for s, y in zip(own_cosines(g), TOGETHER, strict=True)
        ]
    )


def naive_online(g: Given) -> float:
    apart = [1 - s for s in own_cosines(g)]
    near = [d for d, y in zip(apart, TOGETHER, strict=True) if y]
    far = [d for d, y in zip(apart, TOGETHER, strict=True) if not y]
    pulled = sum(d * d for d in near if d > min(far))
    return pulled + sum(max(0.0, MARGIN - d) ** 2 for d in far if d < max(near))


def naive_batch_hard(g: Given) -> float:
    rows = []
    for i in range(B):
        same = [cos(g.q[i], g.q[j]) for j in range(B) if j != i and LABEL[j] == LABEL[i]]
        other = [cos(g.q[i], g.q[j]) for j in range(B) if LABEL[j] != LABEL[i]]
        rows.append(max(0.0, max(other) - min(same) + MARGIN))
    return mean(rows)


def naive_softmax(g: Given) -> float:
    rows = []
    for u, v, which in zip(g.q, g.d, CLASSES, strict=True):
        features = [*u, *v, *(abs(x - y) for x, y in zip(u, v, strict=True))]
        logits = [
            sum(w * x for w, x in zip(row, features, strict=True)) + b
            for row, b in zip(g.learned["weight"], g.learned["bias"], strict=True)
        ]
        rows.append(cross_entropy(logits, int(which)))
    return mean(rows)


def naive_distillation(g: Given) -> float:
    each = []
    for side in ("q", "d"):
        for u, v in zip(getattr(g, side), g.guide[side], strict=True):
            projected = [
                sum(w * x for w, x in zip(row, u, strict=True)) for row in g.learned["weight"]
            ]
            each.append(1 - cos(projected, v))
    return mean(each)


def of_embeddings(make: Callable[[], Any], sides: int, target: Sequence[float] | None = None):  # type: ignore[no-untyped-def]
    """A peer's loss that is computed of embeddings."""

    def loss(q: Tensor, d: Tensor, n: Tensor, *_: Any) -> Tensor:
        labels = None if target is None else torch.tensor(target, dtype=q.dtype)
        return make().compute_loss_from_embeddings([q, d, n][:sides], labels)

    return loss


class Passed(nn.Module):
    """A model whose embeddings are what it is given."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features


def peer_guided(
    q: Tensor, d: Tensor, n: Tensor, guide: dict[str, Tensor], learned: dict[str, Tensor]
) -> Tensor:
    loss = peers.GISTEmbedLoss.__new__(peers.GISTEmbedLoss)
    nn.Module.__init__(loss)  # its own asks for tokenisers
    loss.model, loss.similarity_fct = Passed(), nn.CosineSimilarity(dim=-1)
    loss.temperature, loss.must_retokenize, loss.gather_across_devices = T, False, False
    loss.margin_strategy, loss.margin = "relative", 0.1
    loss.contrast_anchors = loss.contrast_positives = False
    loss.cross_entropy_loss = nn.CrossEntropyLoss()

    class Guide(nn.Module):
        def forward(self, features: dict[str, Any]) -> dict[str, Tensor]:
            return {"sentence_embedding": guide[features["side"]]}

    loss.guide = Guide()
    features = [
        {"sentence_embedding": vectors, "side": side}
        for side, vectors in (("q", q), ("d", d), ("n", n))
    ]
    return loss(features, None)


def peer_softmax(
    q: Tensor, d: Tensor, n: Tensor, guide: dict[str, Tensor], learned: dict[str, Tensor]
) -> Tensor:
    class Model(Passed):
        device = "cpu"

    loss = peers.SoftmaxLoss(Model(), DIM, 3)
    loss.classifier.weight = nn.Parameter(learned["weight"])
    loss.classifier.bias = nn.Parameter(learned["bias"])
    features = [{"sentence_embedding": vectors} for vectors in (q, d)]
    return loss(features, torch.tensor(CLASSES).long())


def peer_distillation(
    q: Tensor, d: Tensor, n: Tensor, guide: dict[str, Tensor], learned: dict[str, Tensor]
) -> Tensor:
    loss = peers.EmbedDistillLoss(None)
    loss.projection = nn.Linear(DIM, GUIDE, bias=False)
    loss.projection.weight = nn.Parameter(learned["weight"])
    return loss.compute_loss_from_embeddings([q, d], [guide["q"], guide["d"]])


def ranking(sides: int = 3, **how: Any) -> Any:
    return of_embeddings(
        lambda: peers.MultipleNegativesRankingLoss(None, scale=1 / T, **how), sides
    )


COSINE = peers.TripletDistanceMetric.COSINE
APART = peers.BatchHardTripletLossDistanceFunction.cosine_distance
FORTH, BACK = "query_to_doc", "doc_to_query"
EVERY = (FORTH, "query_to_query", BACK, "doc_to_doc")
MARGINS = {"parameters": {"margin": MARGIN}}


def peer_label(make: Callable[[], Any]) -> Any:
    return lambda q, *_: make().compute_loss_from_embeddings([q], torch.tensor(LABEL))


# by the objective: what the recipe says of it, the plain loop, the peer's loss, and the scores
TABLE: dict[str, tuple[dict[str, Any], Callable[[Given], float], Any, Any]] = {
    "infonce": ({}, naive_infonce, ranking(), None),
    "infonce hard": (
        {"parameters": {"hardness": 3.0}},
        lambda g: naive_infonce(g, 3.0),
        ranking(hardness_mode="all_negatives", hardness_strength=3.0),
        None,
    ),
    "symmetric": (
        {},
        naive_symmetric,
        ranking(directions=(FORTH, BACK), partition_mode="per_direction"),
        None,
    ),
    "same-side": ({}, naive_same_side, ranking(directions=EVERY), None),
    "several-positives": ({}, naive_several, None, None),
    "guided": (
        {"guide": "any", "parameters": {"above": 0.9}},
        naive_guided,
        peer_guided,
        None,
    ),
    "sigmoid": ({}, naive_sigmoid, None, None),
    "own-candidates": ({}, naive_own, None, None),
    "triplet": (
        MARGINS,
        naive_triplet,
        of_embeddings(
            lambda: peers.TripletLoss(None, distance_metric=COSINE, triplet_margin=MARGIN), 3
        ),
        None,
    ),
    "cosent": (
        {},
        lambda g: naive_pairwise(own_cosines(g), ALIKE),
        of_embeddings(lambda: peers.CoSENTLoss(None, scale=1 / T), 2, ALIKE),
        ALIKE,
    ),
    "angle": (
        {},
        naive_angle,
        of_embeddings(lambda: peers.AnglELoss(None, scale=1 / T), 2, ALIKE),
        ALIKE,
    ),
    "squared-error": (
        {},
        lambda g: mean([(s - y) ** 2 for s, y in zip(own_cosines(g), ALIKE, strict=True)]),
        of_embeddings(lambda: peers.CosineSimilarityLoss(None), 2, ALIKE),
        ALIKE,
    ),
    "contrastive": (
        MARGINS,
        naive_contrastive,
        of_embeddings(lambda: peers.ContrastiveLoss(None, margin=MARGIN), 2, TOGETHER),
        TOGETHER,
    ),
    "online-contrastive": (
        MARGINS,
        naive_online,
        of_embeddings(lambda: peers.OnlineContrastiveLoss(None, margin=MARGIN), 2, TOGETHER),
        TOGETHER,
    ),
    "softmax": ({}, naive_softmax, peer_softmax, CLASSES),
    "batch-hard": (
        MARGINS,
        naive_batch_hard,
        peer_label(lambda: peers.BatchHardTripletLoss(None, distance_metric=APART, margin=MARGIN)),
        None,
    ),
    "embedding-distillation": ({"guide": "any"}, naive_distillation, peer_distillation, None),
}


def given(seed: int) -> tuple[list[Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)

    def drawn(dim: int) -> list[Tensor]:
        return [torch.randn(B, dim, generator=generator, dtype=torch.float64) for _ in range(3)]

    return drawn(DIM), dict(zip("qdn", drawn(GUIDE), strict=True))


def lists(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in tensors.items()}


@pytest.mark.parametrize("case", TABLE)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_its_formula_and_the_loss_of_sentence_transformers(case: str, seed: int) -> None:
    asked, naive, peer, score = TABLE[case]
    recipe = Recipe.of({"objective": {"name": case.split()[0], "temperature": T, **asked}})
    objective = objective_of(recipe)
    (q, d, n), guide = given(seed)
    learned = {name: value.double() for name, value in objective.learns(DIM, GUIDE).items()}
    if "bias" in learned:
        learned["bias"] = learned["bias"] + torch.arange(learned["bias"].numel()).double().sum() - 1
    place = torch.arange(B)
    held = {
        "positive": place,
        "own": torch.stack([place, place + B], 1),
        "ignore": marked(torch.zeros(B, 2 * B)),
        "label": torch.tensor(LABEL),
        "query": torch.tensor(QUERY),
        "score": torch.tensor(score or ALIKE, dtype=torch.float64),
        "guide": nn.functional.normalize(guide["q"])
        @ nn.functional.normalize(torch.cat([guide["d"], guide["n"]])).T,
        "guide_vectors": torch.stack([guide["q"], guide["d"]], 1),
    }
    ours = objective(Examples(Rows(q), Rows(torch.cat([d, n])), held, None, learned))
    plain = naive(Given(q.tolist(), d.tolist(), n.tolist(), lists(guide), lists(learned)))
    assert float(ours) == pytest.approx(plain, rel=1e-9, abs=1e-12)
    if peer is not None:
        assert float(ours) == pytest.approx(float(peer(q, d, n, guide, learned).detach()), rel=1e-5)


def test_every_objective_but_those_without_a_peer_is_compared_with_one() -> None:
    compared = {case.split()[0] for case, (_, _, peer, _) in TABLE.items() if peer is not None}
    assert set(OBJECTIVES) - {case.split()[0] for case in TABLE} == {"self-distillation"}
    alone = {"own-candidates", "self-distillation", "several-positives", "sigmoid"}
    assert set(OBJECTIVES) - compared == alone


def test_a_pair_of_sides_as_of_images_and_captions() -> None:
    """CLIP's and SigLIP's losses of two matrices, in chunks, and their gradients."""
    (first, second, _), _ = given(7)
    rows = torch.arange(B)
    forth, back = (
        mean([cross_entropy([cos(a, b) / T for b in two], i) for i, a in enumerate(one)])
        for one, two in ((first.tolist(), second.tolist()), (second.tolist(), first.tolist()))
    )
    assert float(clip(first, second, temperature=T)) == pytest.approx((forth + back) / 2)
    scores = Rows(first).scores(Rows(second))
    whole = sigmoid_of_scores(scores, rows, temperature=T, bias=-1.5)
    for chunk in (1, 4, B):
        found = sigmoid(first, second, temperature=T, bias=-1.5, chunk=chunk)
        torch.testing.assert_close(found, whole)
    sides = (first.requires_grad_(), second.requires_grad_())
    numbers = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (T, -1.5)]
    assert torch.autograd.gradcheck(
        lambda a, b, t, bias: sigmoid(a, b, temperature=t, bias=bias, chunk=4), (*sides, *numbers)
    )
    assert torch.autograd.gradcheck(lambda a, b, t: clip(a, b, temperature=t), (*sides, numbers[0]))


def test_spread_is_the_regulariser_of_sentence_transformers() -> None:
    (vectors, _, _), _ = given(3)
    cosines = [
        cos(a, b)
        for i, a in enumerate(vectors.tolist())
        for j, b in enumerate(vectors.tolist())
        if i != j
    ]
    plain = mean(cosines) ** 2 + max(0.0, mean([c * c for c in cosines]) - 1 / DIM)
    assert float(spread(vectors)) == pytest.approx(plain)
    theirs = peers.GlobalOrthogonalRegularizationLoss(None).compute_loss_from_embeddings([vectors])
    assert float(spread(vectors)) == pytest.approx(float(sum(theirs.values())), rel=1e-5)


def test_hardness_is_a_constant_in_the_gradient() -> None:
    """Two documents: the negative's share of the softmax, times 1/t, is the gradient."""
    scores = torch.tensor([[0.3, 0.6]], dtype=torch.float64, requires_grad=True)
    examples = Examples(
        Rows(scores, "dot"),
        Rows(torch.eye(2, dtype=torch.float64), "dot"),
        {"positive": torch.tensor([0]), "ignore": marked(torch.zeros(1, 2))},
    )
    asked = {"name": "infonce", "temperature": T, "parameters": {"hardness": 3.0}}
    objective_of(Recipe.of({"objective": asked}))(examples).backward()
    hard, own = math.exp(0.6 / T + 3 * 0.6), math.exp(0.3 / T)
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad[0, 1], hard / (hard + own) / T)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("contrastive", "a score of 1, .* or 0"),
        ("softmax", "the number of their class, a whole number from 0 to 2"),
        ("squared-error", "a cosine, -1 to 1; divide the scores"),
    ],
)
def test_a_score_that_means_nothing_is_refused(name: str, why: str) -> None:
    objective = objective_of(Recipe.of({"objective": name}))
    (q, d, _), _ = given(0)
    held = {"positive": torch.arange(B), "score": 5 * torch.tensor(ALIKE)}
    learned = objective.learns(DIM, 0)
    with pytest.raises(InputError, match=why):
        objective(Examples(Rows(q), Rows(d), held, None, learned))


def test_a_temperature_at_which_nothing_is_learned_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"temperature is 1000\.0; .* nothing is learned"):
        Recipe.of({"objective": {"temperature": 1000.0}})
