"""The model card: the README.md of a tuned model's folder, as the hub and sentence-transformers
read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nearfield.catalog.card import cards
from nearfield.report.facts import About, RunFacts
from nearfield.report.reproduce import command, flat, toml
from nearfield.report.words import LETTERS, advice, guard_line, headline, in_one_line
from nearfield.similarity import EMBEDDINGS
from nearfield.types.comparison import Comparison, Row
from nearfield.types.numbers import UNKNOWN, count, estimated, size
from nearfield.types.verdict import Verdict

_USE = """## Use

```python
from nearfield import load

encoder = load("path/to/this/folder")
documents = encoder.encode(["..."], "document")
queries = encoder.encode(["..."], "query")
scores = queries.scores(documents)
```"""
_USE_ELSEWHERE = """or, with the same vectors, in sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
documents = model.encode_document(["..."])
queries = model.encode_query(["..."])
scores = model.similarity(queries, documents)
```"""


def model_card(run: RunFacts) -> str:
    """The card as Markdown with YAML front matter; what the run has not written is left out."""
    about = run.about
    title = f"# {_plain(about.model)} tuned on {_plain(about.collection)}"
    opening = (
        f"A sentence embedding model: {_linked(about.model)}, tuned on the collection "
        f"{_code(about.collection)} with nearfield."
    )
    parts = [_front_matter(run), title, opening, *_verdict(run), *_comparison(run), _USE]
    # the classes of sentence-transformers for other kinds are called otherwise
    if EMBEDDINGS[about.kind].one_vector:
        parts.append(_USE_ELSEWHERE)
    parts += _training(run)
    return "\n\n".join(parts) + "\n"


def _front_matter(run: RunFacts) -> str:
    known = cards().get(run.about.model)
    facts: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction", "nearfield"],
    }
    if known:
        facts |= {"base_model": known.hub, "base_model_relation": "finetune"}
        terms = known.contract.terms
        if terms.languages:
            facts["language"] = list(terms.languages)
        if terms.licence:
            # the hub's identifiers of licences are in lower case
            facts["license"] = terms.licence.lower()
    if run.verdict:
        facts["model-index"] = [_results(run.about, run.verdict)]
    # a JSON value is a YAML value, whatever is in its texts
    lines = [f"{name}: {json.dumps(value, ensure_ascii=True)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _results(about: About, verdict: Verdict) -> dict[str, Any]:
    """The test's main measure in the hub's own form for results."""
    dataset = {
        "name": f"{verdict.collection} ({verdict.split})",
        "type": verdict.collection,
        "split": verdict.split,
    }
    metric = {
        "type": verdict.measure.lower().replace("@", "_at_"),
        "name": verdict.measure,
        "value": round(verdict.tuned.mean, 4),
    }
    task = {"type": "information-retrieval", "name": "Information Retrieval"}
    return {
        "name": f"{about.model}-{about.collection}",
        "results": [{"task": task, "dataset": dataset, "metrics": [metric]}],
    }


def _verdict(run: RunFacts) -> Iterator[str]:
    if run.verdict is None:
        return
    yield "## Verdict"
    what_to_do = _plain(advice(run.verdict, run.comparison))
    yield f"**{_plain(headline(run.verdict))}** {_plain(in_one_line(run.verdict))}. {what_to_do}"
    if run.verdict.forgotten:
        yield "\n".join(f"- Guard {_plain(guard_line(guard))}." for guard in run.verdict.forgotten)


def _comparison(run: RunFacts) -> Iterator[str]:
    if run.comparison is None or not run.comparison.rows:
        return
    found = run.comparison
    yield "## Comparison"
    place = f"{_plain(found.collection)} / {_plain(found.split)}"
    yield f"{count(len(found.query_ids))} queries of {place}, {count(found.documents)} documents."
    yield "\n".join(_table(found))
    yield LETTERS


def _table(comparison: Comparison) -> Iterator[str]:
    yield f"| system | {comparison.measure}, 95 % interval | group | dim | storage | bytes/doc |"
    yield "| --- | --- | --- | ---: | --- | ---: |"
    for row in comparison.rows:
        yield f"| {' | '.join(_cells(row))} |"


def _cells(row: Row) -> tuple[str, ...]:
    dim = UNKNOWN if row.dim is None else str(row.dim)
    return (
        _plain(row.name),
        estimated(row.estimate),
        row.letters,
        dim,
        row.storage or UNKNOWN,
        size(row.bytes_per_document),
    )


def _training(run: RunFacts) -> Iterator[str]:
    yield "## Training"
    yield _fenced("sh", command(run))
    origin = run.origin
    yield from _facts("Model and data (fingerprints are SHA-256):", origin.data)
    yield from _facts("Environment:", origin.environment)
    if origin.recipe:
        yield "The recipe, as `recipe.toml`:"
        yield _fenced("toml", toml(origin.recipe))


def _facts(title: str, facts: Mapping[str, Any]) -> Iterator[str]:
    lines = [f"- {_plain(name)}: {_code(value)}" for name, value in flat(facts).items()]
    if lines:
        yield title
        yield "\n".join(lines)


def _linked(model: str) -> str:
    known = cards().get(model)
    if known:
        return f"[{model}](https://huggingface.co/{known.hub})"
    return _code(model)


def _fenced(language: str, text: str) -> str:
    # a fence inside the text would end the block, so the block's own is longer
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    line = " ".join(text.split())
    if "`" in line:
        # two backticks and a blank on each side, by CommonMark's rule for code with one in it
        return f"`` {line} ``"
    return f"`{line}`"


def _plain(text: str) -> str:
    """Text from data that Markdown takes as it stands."""
    line = " ".join(text.split())
    return re.sub(r"[\\`*_<>#|~]", r"\\\g<0>", line)
