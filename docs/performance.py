"""Draw docs/performance.md and docs/pictures/encode-*.svg from the results in benchmarks/results.

python docs/performance.py
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALIKE = 0.98  # the least cosine that a coarse precision may come to
RESULTS = HERE.parent / "benchmarks" / "results"
HEAD = """# Performance

Drawn by `python docs/performance.py` from the JSON in `benchmarks/results`, one folder a machine. All sides of a table took turns in one
run; a ratio is the reference's seconds over a side's within a round: the median over the rounds, with the least and the greatest.
Absolute times of shared machines mean little; each file holds the processor, the versions, the command and the load before.
"""


def main() -> None:
    parts = [HEAD]
    for folder in sorted(path for path in RESULTS.glob("*") if path.is_dir()):
        results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
        parts.append(_machine(next(iter(results.values()))["machine"]))
        parts += [part for name, result in results.items() for part in _drawn(name, result)]
    (HERE / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def _machine(facts: dict[str, Any]) -> str:
    extensions = ", ".join(facts["extensions"])
    return f"## {facts['processor']}\n\n{facts['cores']} cores, {facts['memory_gib']:g} GiB, {extensions}; GPU: {facts['gpu'] or 'none'}.\n"


def _drawn(name: str, result: dict[str, Any]) -> list[str]:
    command = f"`{result['command']}`, {result['date']}, load before {result['load_before']:g}.\n"
    if name.startswith("encode-cpu"):
        limits = ", ".join(f"{precision} {row['gflops']:.0f} ({row['by']})" if "by" in row else f"{precision} {row['gflops']:.0f}"
                           for precision, row in result["gemm_limits"].items() if row.get("gflops"))  # fmt: skip
        title = f"### Encoding, {result['model']}\n\nGEMM limit, GFLOP/s: {limits or 'not measured'}. {command}"
        absent = "".join(f"- not run: {side}: {why}\n" for side, why in result["not_run"].items())
        tables = [_encoding(kind, sides) for kind, sides in result["sides"].items()]
        return [title, _picture(name, result), *tables, absent]
    if name == "cold-start":
        title = f"### Cold start, {result['model']}\n\nSeconds from the interpreter's start to one vector. {command}"
        return [title, _rows(result["sides"], ("median_seconds",))]
    if name in ("train_cpu", "train_gpu"):
        tables = [
            f"**{Path(model).name}**\n\n" + _rows(sides, ("pairs_per_second", "loss_off", "ndcg"))
            for model, sides in result["models"].items()
        ]
        return [f"### Training\n\nPairs a second, and the greatest relative difference of a step's loss. {command}", *tables]
    table = {key: row for key, row in result.items() if isinstance(row, dict) and "ratio" in row}
    rest = {key: value for key, value in result.items() if isinstance(value, int | float) and key not in ("load_before",)}
    facts = ", ".join(f"{key} {value:g}" for key, value in rest.items())
    columns = tuple(dict.fromkeys(key for row in table.values() for key in row if key not in ("ratio", "least", "greatest")))
    return [f"### {name.replace('_', ' ').capitalize()}\n\n{facts}. {command}", _rows(table, columns)]


def _encoding(kind: str, sides: dict[str, Any]) -> str:
    ordered = dict(sorted(sides.items(), key=lambda row: -row[1]["ratio"]))
    other = [
        f"- {side} gave other vectors here (least cosine {row['least_cosine']:g}), so it did other work and its ratio is no comparison\n"
        for side, row in ordered.items()
        if row["least_cosine"] < ALIKE
    ]
    table = _rows(ordered, ("least_cosine", "mean_cosine", "tokens_per_second", "share_of_gemm"))
    return f"**{kind}**\n\n{table}\n{''.join(other)}"


def _rows(rows: dict[str, dict[str, Any]], columns: tuple[str, ...]) -> str:
    shown = [column for column in columns if any(row.get(column) is not None for row in rows.values())]
    lines = ["| side | ratio | " + " | ".join(column.replace("_", " ") for column in shown) + " |", "| --- " * (len(shown) + 2) + "|"]
    for name, row in rows.items():
        ratio = f"{row['ratio']:.2f} [{row['least']:.2f}, {row['greatest']:.2f}]"
        lines.append(f"| {name} | {ratio} | " + " | ".join(_cell(row.get(column)) for column in shown) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)


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
            f'<rect x="300" y="{y}" width="{row["ratio"] * scale:.1f}" height="18" rx="2" fill="{colour}"/>',
            f'<line x1="{least:.1f}" x2="{greatest:.1f}" y1="{y + 9}" y2="{y + 9}" stroke="#111827"/>',
            f'<text x="{greatest + 8:.1f}" y="{y + 13}">{row["ratio"]:.2f}</text>',
        ]
    height = 32 + 26 * len(sides)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{height}" font-family="sans-serif" font-size="12">'
    title = f"{result['model']}, paragraphs: speed over sentence-transformers in float32, with the spread over rounds"
    target = HERE / "pictures" / f"{name}.svg"
    background = f'<rect width="740" height="{height}" fill="white"/><text x="8" y="13" font-weight="bold">{title}</text>'
    target.write_text("\n".join([head, background, *lines, "</svg>"]) + "\n", encoding="utf-8")
    return f"![{title}](pictures/{target.name})\n"


if __name__ == "__main__":
    main()
