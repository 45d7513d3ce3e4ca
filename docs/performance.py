"""Draw docs/performance.md and docs/pictures/encode-*.svg from the results in benchmarks/results.

python docs/performance.py
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALIKE = 0.98  # the least cosine that a coarse precision may come to
ABOUT = ("machine", "versions")  # of the facts of every result
RESULTS = HERE.parent / "benchmarks" / "results"
HEAD = """# Performance

Drawn by `python docs/performance.py` from the JSON in `benchmarks/results`, one folder per
machine. All sides of a table took turns in one run; a ratio is the reference's seconds over a
side's within a round: the median over the rounds, with the least and the greatest. Absolute times
of shared machines mean little; each file holds the processor, the versions, the command and the
load before.
"""


def main() -> None:
    parts = [HEAD]
    for folder in sorted(path for path in RESULTS.glob("*") if path.is_dir()):
        results = {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(folder.glob("*.json"))
        }
        parts.append(_machine(next(iter(results.values()))["machine"]))
        parts += [part for name, result in results.items() for part in _drawn(name, result)]
    (HERE / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def _machine(facts: dict[str, Any]) -> str:
    extensions = ", ".join(facts["extensions"])
    return (
        f"## {facts['processor']}\n\n{facts['cores']} cores, {facts['memory_gib']:g} GiB, "
        f"{extensions}; GPU: {facts['gpu'] or 'none'}.\n"
    )


def _drawn(name: str, result: dict[str, Any]) -> list[str]:
    kind = max((start for start in DRAWN if name.startswith(f"{start}-")), key=len, default=name)
    command = f"`{result['command']}`, {result['date']}, load before {result['load_before']:g}.\n"
    draw = DRAWN.get(kind)
    if draw is None:
        raise SystemExit(
            f"{name}.json: docs/performance.py does not know how to draw it; add it to DRAWN"
        )
    return draw(name, result, command)


def _encode_cpu(name: str, result: dict[str, Any], command: str) -> list[str]:
    limits = ", ".join(
        f"{precision} {row['gflops']:.0f} ({row['by']})"
        if "by" in row
        else f"{precision} {row['gflops']:.0f}"
        for precision, row in result["gemm_limits"].items()
        if row.get("gflops")
    )
    title = (
        f"### Encoding, {result['model']}\n\nGEMM limit, GFLOP/s: {limits or 'not measured'}. "
        f"{command}"
    )
    absent = "".join(f"- not run: {side}: {why}\n" for side, why in result["not_run"].items())
    tables = [_encoding(kind, sides) for kind, sides in result["sides"].items()]
    parts = [title, _picture(name, result), *tables, absent]
    if "ndcg" in result:
        parts.append(
            "**nDCG@10 in each precision**, and its paired difference from float32's "
            "with its 95 % interval\n"
        )
        parts.append(
            _table([{"precision": precision} | row for precision, row in result["ndcg"].items()])
        )
    for what, rows in result.get("growth", {}).items():
        parts.append(f"**Milliseconds by the texts' {'number' if what == 'rows' else 'length'}**\n")
        parts.append(
            _table(
                [
                    {key: value for key, value in row.items() if key != "milliseconds"}
                    | row["milliseconds"]
                    for row in rows
                ]
            )
        )
    return parts


def _gpu_encode(name: str, result: dict[str, Any], command: str) -> list[str]:
    columns = ("least_cosine", "texts_per_second", "tokens_per_second", "share_of_gemm")
    tables = [f"**{kind}**\n\n" + _rows(sides, columns) for kind, sides in result["sides"].items()]
    return [f"### Encoding on a GPU, {result['model']}\n\n{command}", *tables]


def _cold_start(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = (
        f"### Cold start, {result['model']}\n\nSeconds from the interpreter's start to one "
        f"vector. {command}"
    )
    return [title, _rows(result["sides"], ("median_seconds",))]


def _train(name: str, result: dict[str, Any], command: str) -> list[str]:
    columns = ("pairs_per_second", "loss_off", "ndcg")
    tables = [
        f"**{Path(model).name}**\n\n" + _rows(sides, columns)
        for model, sides in result["models"].items()
    ]
    return [
        f"### Training on {result['asked']['on']}\n\nPairs a second, and the greatest relative "
        f"difference of a step's loss. {command}",
        *tables,
        *(f"- not run: {model}: {why}\n" for model, why in result.get("not_run", {}).items()),
    ]


def _train_memory(name: str, result: dict[str, Any], command: str) -> list[str]:
    facts = (
        "{model}: a step of {pairs:,} pairs, {tokens:,} tokens ({embedded_twice:,} embedded "
        "twice), took {seconds:.0f} s at a peak of "
    )
    return [
        "### Memory of a training step\n\n"
        + (facts + "{peak_gib:.2f} GiB. ").format(**result)
        + command
    ]


def _search(name: str, result: dict[str, Any], command: str) -> list[str]:
    about = (
        "Vectors: {vectors}; {threads} threads, which read {read_gb_per_second:g} GB/s of memory."
    ).format(**result)
    sides = {side: row for side, row in result["one query"].items() if "ratio" in row}
    failed = [
        f"- {side}: {row['failed']}\n"
        for side, row in result["one query"].items()
        if "failed" in row
    ]
    columns = ("milliseconds", "share_of_read", "recall", "oversampling", "bytes_per_document")
    parts = [
        f"### Search over {result['rows']:,} x {result['dim']}\n\n{about} One query at a "
        f"time. {command}",
        _rows(sides, columns),
    ]
    together = next(key for key in result if key.endswith(" queries"))
    parts += [
        *failed,
        f"**{together} together**\n",
        _table([{"side": side} | row for side, row in result[together].items()]),
    ]
    return (
        [*parts, "**Milliseconds by rows**\n", _table(result["growth"])]
        if "growth" in result
        else parts
    )


def _bm25(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = (
        f"### BM25 over {result['documents']:,} documents\n\n{result['queries']} queries, ten "
        f"documents each. {command}"
    )
    columns = (
        "queries_per_second",
        "build_seconds",
        "bytes_per_document",
        "peak_mb",
        "greatest_score_difference",
    )
    return [title, _rows(result["sides"], columns)]


def _static(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = (
        f"### Static models\n\nThe reference is the teacher, {result['teacher']}, on "
        f"{result['texts']:,} documents of {result['on']}. "
    )
    tables = [
        f"**{model}**\n\n" + _rows(sides, ("texts_per_second", "over_model2vec"))
        for model, sides in result["models"].items()
    ]
    return [title + command, *tables]


def _splade(name: str, result: dict[str, Any], command: str) -> list[str]:
    tables = [
        f"**{kind}**\n\n" + _rows(sides, ("least_cosine", "mean_cosine", "texts_per_second"))
        for kind, sides in result["sides"].items()
    ]
    return [f"### SPLADE, {result['model']}\n\n{command}", *tables]


def _out_of_core(name: str, result: dict[str, Any], command: str) -> list[str]:
    rows = [
        {
            "rows done": row["rows_done"],
            "seconds": row["seconds"],
            "peak MiB": row["peak_mib"],
            "end": row["end"].strip(", ") or "whole",
        }
        for row in result["runs"]
    ]
    checked = "; ".join(f"{what}: {_cell(value)}" for what, value in result["checked"].items())
    peak = (
        f"Peak memory at {result['rows']['large']:,} rows over that at "
        f"{result['rows']['small']:,}: {result['ratio']:.3f}. "
    )
    return [
        f"### Encoding out of core, {result['model']}\n\n{peak}{command}",
        _table(rows),
        f"Checked: {checked}.\n",
    ]


def _heads(name: str, result: dict[str, Any], command: str) -> list[str]:
    """What new heads find once they are trained: by three_heads.py, whose figures lie under
    `quality`, or by scifact_heads.py.
    """
    found = result.get("quality", result)
    stages = "; ".join(
        f"{stage['pairs']:,} pairs of {stage['on']} in {stage['steps']} steps"
        for stage in found.get("stages", ())
    )
    asked = ", queries looked up" if "inference-free" in name else ""
    title = (
        f"### {result.get('head', 'three')} on {result['model']}, trained{asked}\n\nTrained "
        f"on {stages}. {found.get('measure')} of "
    )
    rows = [
        {
            "system": row["system"],
            "mean": "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**row["mean"]),
            "bytes a document": round(row["bytes_per_document"]),
            "milliseconds a query": (row.get("query") or {}).get("encode_ms", row.get("query_ms")),
        }
        for row in found.get("rows", ())
    ]
    notes = "".join(f"- {note}\n" for note in found.get("notes", ()) if "active terms" in note)
    size = (
        f"{found.get('queries', 0):,} test queries over {found.get('documents', 0):,} documents. "
    )
    return [title + size + command, _table(rows), notes] if rows else []


def _load(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = f"### On a busy machine, {result['model']}\n\n"
    title += (
        "Slowdowns beside busy processes; sentence-transformers' slowdown over ours; how "
        "many times as fast as it. "
    )
    rows = []
    for part, levels in result["parts"].items():
        for level, found in levels.items():
            row: dict[str, Any] = {"part": part, "busy processes": level}
            for side in ("nearfield", "sentence-transformers"):
                row |= {
                    f"{side}, seconds": found[side]["seconds"],
                    f"{side}, slowdown": _spread(found[side]["slowdown"]),
                }
            cpu = _spread(found["cpu"]["ratio"]) if "cpu" in found else None
            rows.append(
                row
                | {
                    "theirs over ours": _spread(found["beside"]),
                    "as fast": _spread(found["faster"]),
                    "CPU, ours over theirs": cpu,
                }
            )
    return [title + command, _table(rows)]


def _serve(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = f"### Load on the server, {result['model']}\n\n"
    title += (
        "A plain FastAPI + sentence-transformers server and infinity's beside ours, in turn, the "
        "same requests of mixed lengths; every answer checked against sentence-transformers' "
        "vectors. "
    )
    return [title + command, _table(result["rows"])]


def _serve_soak(name: str, result: dict[str, Any], command: str) -> list[str]:
    facts = {**result["soak"], "memory_mb": ", ".join(map(str, result["soak"]["memory_mb"]))}
    title = f"### The server at 1.5 times its capacity, {result['model']}\n\n"
    return [title + command, _table([facts])]


def _images(name: str, result: dict[str, Any], command: str) -> list[str]:
    sides = [side for side in result if isinstance(result[side], dict) and side not in ABOUT]
    rows = [{"side": side, **result[side]} for side in sides]
    title = f"### Images beside {sides[-1]}\n\n"
    title += (
        "Decode, resize and forward by CLIP ViT-B/32, in turn, equal vectors; theirs over ours by "
        f"the clock {result['ratio_clock']}, in the processors' time {result['ratio_used']}. "
    )
    return [title + command, _table(rows)]


def _quickstart(name: str, result: dict[str, Any], command: str) -> list[str]:
    title = f"### The quickstart's commands, {result['rows']:,} rows\n\n"
    keys = ("command", "seconds", "processor_seconds")
    return [
        title + command,
        _table([{key: row[key] for key in keys} for row in result["commands"]]),
    ]


def _spread(found: dict[str, float]) -> str:
    return f"{found['ratio']:.2f} [{found['least']:.2f}, {found['greatest']:.2f}]"


DRAWN: dict[str, Callable[[str, dict[str, Any], str], list[str]]] = {
    "encode-cpu": _encode_cpu,
    "gpu-encode": _gpu_encode,
    "cold-start": _cold_start,
    "train_cpu": _train,
    "train_gpu": _train,
    "train-memory": _train_memory,
    "search": _search,
    "bm25": _bm25,
    "static": _static,
    "splade": _splade,
    "out-of-core": _out_of_core,
    "load": _load,
    "serve": _serve,
    "serve-soak": _serve_soak,
    "images": _images,
    "quickstart": _quickstart,
    "three-heads": _heads,
    "scifact": _heads,
}
"""What draws a result, by its file's name, or its start where that ends in the model's."""


def _encoding(kind: str, sides: dict[str, Any]) -> str:
    ordered = dict(sorted(sides.items(), key=lambda row: -row[1]["ratio"]))
    other = [
        f"- {side} gave other vectors here (least cosine {row['least_cosine']:g}), so it did "
        "other work and its ratio is no comparison\n"
        for side, row in ordered.items()
        if row["least_cosine"] < ALIKE
    ]
    table = _rows(ordered, ("least_cosine", "mean_cosine", "tokens_per_second", "share_of_gemm"))
    return f"**{kind}**\n\n{table}\n{''.join(other)}"


def _rows(rows: dict[str, dict[str, Any]], columns: tuple[str, ...]) -> str:
    shown = [
        column for column in columns if any(row.get(column) is not None for row in rows.values())
    ]
    lines = [
        "| side | ratio | " + " | ".join(column.replace("_", " ") for column in shown) + " |",
        "| --- " * (len(shown) + 2) + "|",
    ]
    for name, row in rows.items():
        ratio = f"{row['ratio']:.2f} [{row['least']:.2f}, {row['greatest']:.2f}]"
        lines.append(
            f"| {name} | {ratio} | " + " | ".join(_cell(row.get(column)) for column in shown) + " |"
        )
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> str:
    """A table of facts that are no ratios."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [
        "| " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "| --- " * len(columns) + "|",
    ]
    lines += [
        "| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return f"{value[0]:+g} [{value[1]:+g}, {value[2]:+g}]"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:.6g}"
        if isinstance(value, float)
        else str(value)
    )


def _picture(name: str, result: dict[str, Any]) -> str:
    """Bars of each side's ratio on paragraphs, ours in blue, with the spread as a line."""
    sides = sorted(result["sides"]["paragraphs"].items(), key=lambda row: -row[1]["ratio"])
    most = max(row["greatest"] for _, row in sides)
    scale, lines = 360 / most, []
    for at, (side, row) in enumerate(sides):
        y, colour = 20 + 26 * at, "#2563eb" if side.startswith("nearfield") else "#9ca3af"
        least, greatest = (300 + row[end] * scale for end in ("least", "greatest"))
        lines += [
            f'<text x="292" y="{y + 13}" text-anchor="end">{html.escape(side)}</text>',
            f'<rect x="300" y="{y}" width="{row["ratio"] * scale:.1f}" height="18" rx="2" '
            f'fill="{colour}"/>',
            f'<line x1="{least:.1f}" x2="{greatest:.1f}" y1="{y + 9}" y2="{y + 9}" '
            'stroke="#111827"/>',
            f'<text x="{greatest + 8:.1f}" y="{y + 13}">{row["ratio"]:.2f}</text>',
        ]
    height = 32 + 26 * len(sides)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    )
    title = (
        f"{result['model']}, paragraphs: speed over sentence-transformers in float32, with "
        "the spread over rounds"
    )
    target = HERE / "pictures" / f"{name}.svg"
    background = (
        f'<rect width="740" height="{height}" fill="white"/><text x="8" y="13" '
        f'font-weight="bold">{title}</text>'
    )
    target.write_text("\n".join([head, background, *lines, "</svg>"]) + "\n", encoding="utf-8")
    return f"![{title}](pictures/{target.name})\n"


if __name__ == "__main__":
    main()
