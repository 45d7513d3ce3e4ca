"""What the numbers mean: the sentences that the terminal, the page and the model card
share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nearfield.errors import InputError
from nearfield.evaluate.busy import BUSY as BUSY
from nearfield.statistics.correlation import SPEARMAN
from nearfield.statistics.pairwise import ALPHA
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.slices import Slice
from nearfield.types.numbers import count, interval, p_value, plural, score, signed
from nearfield.types.verdict import (
    BETTER,
    ENOUGH,
    NO_DIFFERENCE,
    WORSE,
    Forgotten,
    Verdict,
)

_HEADLINES = {
    BETTER: "The {tuned} is better.",
    NO_DIFFERENCE: "No difference was shown.",
    WORSE: "The {tuned} is worse.",
}
_ADVICE = {
    BETTER: "Use the {tuned}.",
    NO_DIFFERENCE: "Keep the {base}, or test on more queries.",
    WORSE: "Keep the {base}.",
}
# `measure_meaning` takes the phrases with {k} out for a measure without a cutoff
_MEASURES = {
    "nDCG": "how near the top of the first {k} results the relevant documents stand, from 0 to 1",
    "R": "the share of all relevant documents that are among the first {k} results",
    "P": "the share of the first {k} results that are relevant",
    "RR": "one divided by the rank of the first relevant document, within the first {k}",
    "AP": "precision averaged over the ranks of the relevant documents, within the first {k}",
    "Success": "the share of queries with a relevant document among the first {k} results",
}
LETTERS = (
    "Two systems that share a letter cannot be told apart on these queries; two that share none "
    "differ "
    "(paired randomisation test, Holm-corrected, 5 %)."
)


NO_GUARD = "This run had no guard, so nothing is known about what tuning lost elsewhere."
ENOUGH_MEANS = "so many would show a difference of this size four times in five"
P_MEANS = "the share of random swaps of the two systems that differ as much: small is not chance"


def headline(verdict: Verdict, comparison: Comparison | None = None) -> str:
    """The verdict in one sentence, with what ranks higher than both models in the `comparison` that
    it was made of. Raises InputError for an outcome that is none of the three.
    """
    first = None if comparison is None else _higher(verdict, comparison)
    if first is None:
        return _outcome(verdict)
    if verdict.outcome == BETTER and all(guard.kept for guard in verdict.forgotten):
        return f"The tuned model is better than its base, but {first.name} ranks higher."
    return f"{_outcome(verdict)} {first.name} ranks higher than both."


def _outcome(verdict: Verdict) -> str:
    lost = [guard.guard for guard in verdict.forgotten if not guard.kept]
    if not lost:
        undecided = verdict.outcome == NO_DIFFERENCE and verdict.split in verdict.small
        if undecided:
            return "No difference was shown: the test is too small to decide."
        return _said(_HEADLINES, verdict)
    joined = {
        BETTER: "but it",
        NO_DIFFERENCE: f"and the {verdict.tuned.noun}",
        WORSE: "and it",
    }[verdict.outcome]
    outcome = _said(_HEADLINES, verdict).removesuffix(".")
    return f"{outcome}, {joined} lost more than allowed on {_listed(lost)}."


def advice(verdict: Verdict, comparison: Comparison | None = None) -> str:
    """What to do with it; where something else in the `comparison` that it was made of ranks higher
    than both models, that too; and that dev or the test was too small to decide anything.
    """
    sentence = _said(_ADVICE, verdict)
    away = verdict.difference
    if verdict.outcome == NO_DIFFERENCE and away.low == away.high == 0:
        sentence = f"Every query has the same value with both: keep the {verdict.baseline.noun}."
    elif verdict.outcome == BETTER and not all(guard.kept for guard in verdict.forgotten):
        sentence = (
            f"Use the {verdict.tuned.noun} only where the guard does not matter, or train again "
            "with a lower rate."
        )
    ahead = "" if comparison is None else _ahead(verdict, comparison)
    return " ".join(filter(None, (sentence, ahead, too_small(verdict))))


def too_small(verdict: Verdict) -> str:
    """Which of dev and the test has too few queries to decide anything, and how many would be
    enough; "" where neither has.
    """
    sentences = []
    for name, queries in verdict.small.items():
        few = plural(queries, "query")
        if name == "dev":
            sentences.append(
                f"The weights and the merge were chosen by {few}, which is too few: give "
                f"dev at least {ENOUGH}."
            )
        else:
            sentences.append(
                f"The {name} split has {few}, too few to show any but a large difference: "
                f"give it at least {ENOUGH}."
            )
    return " ".join(sentences)


def _ahead(verdict: Verdict, comparison: Comparison) -> str:
    """That the best row, BM25 or a fusion, ranks higher than the tuned model and its base; "" where
    none does.
    """
    best = _higher(verdict, comparison)
    if best is None:
        return ""
    ours = max(verdict.tuned.mean, verdict.baseline.mean)
    # a verdict knows means and no rows: the row of the better of our two is the nearest to its mean
    rival = min(comparison.rows, key=lambda row: abs(row.estimate.mean - ours))
    alike = set(best.letters) & set(rival.letters)
    sure = ", though they cannot be told apart" if alike else ""
    return (
        f"But {best.name} ranks higher than either on these queries "
        f"({score(best.estimate.mean)}{sure}): look at it first."
    )


def _higher(verdict: Verdict, comparison: Comparison) -> Row | None:
    """The best row, where it ranks higher than both models."""
    if not comparison.rows:
        return None
    best = comparison.rows[0]
    if best.estimate.mean <= max(verdict.tuned.mean, verdict.baseline.mean):
        return None
    return best


def measures_meaning(measures: Iterable[str]) -> str:
    """What each of these measures tells, as a sentence; "" where none is known."""
    known = {name: measure_meaning(name) for name in measures}
    meanings = [f"{name} is {meaning}" for name, meaning in known.items() if meaning]
    if not meanings:
        return ""
    return f"{'; '.join(meanings)}."


def summary(verdict: Verdict) -> str:
    """The verdict for someone who has never heard of nDCG."""
    queries = f"{plural(verdict.queries, 'unseen query')} of {verdict.collection}"
    base = verdict.baseline.name
    tuned = verdict.tuned.name
    levels = f"{verdict.measure} {{}} {score(verdict.baseline.mean)} to {score(verdict.tuned.mean)}"
    if verdict.outcome == BETTER:
        return (
            f"On {queries}, {tuned} ranks the right documents higher than {base}: "
            f"{levels.format('rises from')}."
        )
    if verdict.outcome == WORSE:
        return (
            f"On {queries}, {tuned} ranks the right documents lower than {base}: "
            f"{levels.format('falls from')}."
        )
    apart = f"On {queries}, {tuned} and {base} cannot be told apart"
    return f"{apart}: {levels.format('goes from')}, which may be chance. {enough_queries(verdict)}"


def enough_queries(verdict: Verdict) -> str:
    """How many queries would show the verdict's difference, as a sentence."""
    if verdict.queries_needed is None:
        return "No number of queries would show it."
    return (
        f"About {count(verdict.queries_needed)} queries would show a difference of this size "
        "four times in five."
    )


def in_one_line(verdict: Verdict) -> str:
    """The verdict as numbers: what is gained or lost, over what, on which queries, how sure."""
    difference = verdict.difference
    change = f"moves {signed(difference.mean)} {verdict.measure} {interval(difference)}"
    if verdict.outcome == BETTER:
        change = f"gains {score(difference.mean)} {verdict.measure} {interval(difference)}"
    if verdict.outcome == WORSE:
        lost = -difference
        change = f"loses {score(lost.mean)} {verdict.measure} {interval(lost)}"
    against = "over" if verdict.outcome == BETTER else "against"
    queries = f"{count(verdict.queries)} unseen queries of {verdict.collection}"
    base = verdict.baseline.name
    tuned = verdict.tuned.name
    return f"{tuned} {change} {against} {base} on {queries} ({p_value(verdict.p)})"


def guard_line(guard: Forgotten) -> str:
    """What a guard lost or gained against the loss that was allowed."""
    margin = score(guard.margin)
    if guard.loss < 0:
        change = f"gains {score(-guard.loss)}"
        allowed = f"where a loss of {margin} was allowed"
    else:
        change = f"loses {score(guard.loss)}" if guard.loss else "loses no"
        allowed = f"{'within' if guard.kept else 'more than'} the {margin} allowed"
    noun = "pair" if guard.measure == SPEARMAN else "query"
    return (
        f"{guard.guard}: {change} {guard.measure} ({score(guard.before)} to {score(guard.after)} "
        f"on {plural(guard.queries, noun)} that the merge was not chosen by), {allowed}"
    )


def measure_meaning(measure: str) -> str:
    """What a measure such as nDCG@10 tells, or "" for one that is not known here."""
    name, _, k = measure.partition("@")
    meaning = _MEASURES.get(name, "")
    if k:
        return meaning.format(k=k)
    return meaning.replace(", within the first {k}", "").replace(
        "the first {k} results", "all results"
    )


def told_apart(comparison: Comparison) -> str:
    """Which rows share the best row's group, in words; "" when there is one row only."""
    if len(comparison.rows) < 2:
        return ""
    best = comparison.rows[0]
    rest = comparison.rows[1:]
    equals = [row.name for row in rest if set(row.letters) & set(best.letters)]
    if not equals:
        return (
            f"{best.name} is the best of the {len(comparison.rows)}, and the queries tell it "
            "apart from every other."
        )
    return (
        f"{best.name} has the highest mean, but these queries do not tell it apart from "
        f"{_listed(equals)}."
    )


def fusion(weights: Mapping[str, float], *, before: float, dev: float) -> str:
    """What the score of each head counts for, and what dev says of it."""
    counted = _listed([f"{weight:.3g} × {kind}" for kind, weight in weights.items()])
    reached = "as before"
    if dev != before:
        reached = f"dev reaches {score(dev)} with these weights, {score(before)} with those before"
    return f"The heads' scores are fused as {counted}; {reached}."


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _said(sentences: Mapping[str, str], verdict: Verdict) -> str:
    """The sentence of the verdict's outcome, which names what was trained against what."""
    if verdict.outcome not in sentences:
        known = ", ".join(sentences)
        raise InputError(f"the verdict's outcome is {verdict.outcome!r}; wanted one of {known}")
    sides = {"tuned": verdict.tuned.noun, "base": verdict.baseline.noun}
    return sentences[verdict.outcome].format(**sides)


def flips(found: Sequence[Slice]) -> list[str]:
    """A line for each slice in which another row than the best of all is shown to be ahead."""
    lines = []
    for each in found:
        if each.ahead is None or each.p is None or each.p >= ALPHA:
            continue
        first = next(iter(each.means))
        size = plural(each.items, "item")
        lines.append(
            f"The order flips where {each.by} is {each.name} ({size}): {first} is ahead of the "
            f"best by {score(each.ahead.mean)} {interval(each.ahead)}, {p_value(each.p)}."
        )
    return lines
